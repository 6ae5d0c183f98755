"""The answer, decided once and rendered in the sender's own format."""
