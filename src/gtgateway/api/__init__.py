"""Front door: HTTP in and out, no decisions."""
