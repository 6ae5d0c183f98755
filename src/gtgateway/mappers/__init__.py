"""Translations, one file per direction, named <target>_from_<source>."""
