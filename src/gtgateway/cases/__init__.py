"""The office: what the authority does with a plan after it was received. Guarded events, clocks, status, handover."""
