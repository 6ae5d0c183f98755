-- Receipts that answer nothing are looked through by time.

CREATE INDEX IF NOT EXISTS receipt_unmatched ON receipt (received_at) WHERE attempt IS NULL;
