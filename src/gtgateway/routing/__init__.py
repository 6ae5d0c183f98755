"""Who gets the plan, and the organisation directory."""
