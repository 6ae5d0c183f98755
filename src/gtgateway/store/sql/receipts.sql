-- name: tries_of_receipt
-- The tries whose envelope, VANS envelope or message a receipt quotes, newest first.
-- `current`: it answers the message that stands, not one that another took the place of.
SELECT attempt.id, delivery.id, delivery.organisation, attempt.receipt_digest,
    attempt.message_uuid = delivery.message_uuid AS current
FROM attempt JOIN delivery ON delivery.id = attempt.delivery
WHERE attempt.id IN (
    SELECT id FROM attempt WHERE envelope_id = :quoted
    UNION SELECT id FROM attempt WHERE vans_id = :quoted
    UNION SELECT id FROM attempt WHERE message_uuid = :quoted
)
ORDER BY attempt.id DESC;

-- name: keep_receipt
-- A repeated one changes nothing, unless only now it is known what it answers.
INSERT INTO receipt (
    body_digest, envelope_id, letter_ids, sender_gln, receiver_gln, positive, refuse_code, received_at, client, attempt
) VALUES (
    :body_digest, :envelope_id, :letter_ids, :sender_gln, :receiver_gln, :positive, :refuse_code, :received_at, :client,
    :attempt
) ON CONFLICT (body_digest) DO UPDATE SET attempt = excluded.attempt, client = excluded.client
WHERE receipt.attempt IS NULL AND excluded.attempt IS NOT NULL
RETURNING body_digest;

-- name: answer_delivery
-- The first final answer stands.
UPDATE delivery
SET state = :state, reason = :reason, next_at = NULL, updated_at = :at, claimed_by = NULL, claimed_from = NULL
WHERE id = :delivery AND state IN ('pending', 'claimed', 'inflight', 'sent', 'abandoned', 'cancelled')
RETURNING id;

-- name: try_again
-- The recipient says that it has not taken it for now.
UPDATE delivery
SET state = 'pending', reason = :reason, next_at = :next_at, updated_at = :at, claimed_by = NULL, claimed_from = NULL
WHERE id = :delivery AND state IN ('claimed', 'inflight', 'sent')
RETURNING id;

-- name: note_not_taken
UPDATE attempt SET result = 'transient', reason = :reason WHERE id = :attempt;

-- name: unmatched_receipts
SELECT received_at, client, envelope_id, letter_ids, sender_gln, receiver_gln, positive, refuse_code
FROM receipt WHERE attempt IS NULL AND received_at < :before ORDER BY received_at DESC LIMIT :limit;
