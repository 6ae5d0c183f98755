"""Bytes to envelope and tree, hardened. The only code that touches untrusted bytes."""
