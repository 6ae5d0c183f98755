"""Orders as data with dates and sources, deadlines, calendar."""
