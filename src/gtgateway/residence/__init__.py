"""Who lives where, by evidence: a port and its adapters."""
