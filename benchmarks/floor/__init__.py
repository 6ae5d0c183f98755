"""The floor: what receiving durably costs before anything is judged. Not a gateway: it accepts everything."""
