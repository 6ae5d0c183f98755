-- name: insert_waiting_copy
INSERT INTO waiting_copy (message, sender_gln, plan_id, organisation, original, received_at)
VALUES (:message, :sender_gln, :plan_id, :organisation, :original, :received_at)
ON CONFLICT DO NOTHING;

-- name: copies_wait
-- Whether copies of a plan came before it.
SELECT EXISTS (SELECT 1 FROM waiting_copy WHERE sender_gln = :sender_gln AND plan_id = :plan_id);

-- name: link_copies
-- Copies whose plan has come are shown with its record.
UPDATE letter SET record = (
    SELECT record.id
    FROM waiting_copy
    JOIN plan ON plan.sender_gln = waiting_copy.sender_gln AND plan.plan_id = waiting_copy.plan_id
    JOIN record ON record.plan = plan.id
    WHERE waiting_copy.message = letter.message LIMIT 1
)
WHERE record IS NULL AND message IN (SELECT message FROM waiting_copy);

-- name: serve_copies
-- Whoever was sent a copy by the sender needs no other of that version.
UPDATE delivery SET state = 'served_by_sender', updated_at = :updated_at, next_at = NULL
WHERE state NOT IN ('delivered', 'cancelled') AND id IN (
    SELECT served.id
    FROM waiting_copy
    JOIN plan ON plan.sender_gln = waiting_copy.sender_gln AND plan.plan_id = waiting_copy.plan_id
    JOIN plan_version ON plan_version.plan = plan.id
    JOIN message ON message.id = plan_version.message
    JOIN delivery AS served ON served.plan = plan.id AND served.plan_version = plan_version.version
        AND served.organisation = waiting_copy.organisation
    WHERE message.message_key = original OR (original IS NULL AND plan_version.version = 1)
);

-- name: end_waiting
DELETE FROM waiting_copy WHERE EXISTS (
    SELECT 1
    FROM plan
    JOIN plan_version ON plan_version.plan = plan.id
    JOIN message ON message.id = plan_version.message
    WHERE plan.sender_gln = waiting_copy.sender_gln AND plan.plan_id = waiting_copy.plan_id
    AND (message.message_key = original OR (original IS NULL AND plan_version.version = 1))
);

-- name: waiting_copies
-- Messages that wait for their plan since a time, oldest first.
SELECT DISTINCT message.id, message_id, message.received_at
FROM waiting_copy JOIN message ON message.id = waiting_copy.message
WHERE message.received_at < :before
ORDER BY message.id;
