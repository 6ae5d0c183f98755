"""Foundation: the plan, findings, messages, records. Data only; imports nothing of ours."""
