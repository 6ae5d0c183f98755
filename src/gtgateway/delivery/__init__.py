"""Post room: what was accepted is sent to its lawful recipients, until they say that they have it."""
