"""Structure (schemas, profiles) and rules (the law)."""
