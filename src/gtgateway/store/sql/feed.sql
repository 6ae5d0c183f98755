-- name: insert_feed_entry
INSERT INTO feed_entry (position, organisation, record, version, change)
VALUES (:id, :organisation, :record, :version, :change) RETURNING position;

-- name: feed_record
SELECT record_id, version, document FROM record WHERE id = :record;

-- name: newest
-- Of the recipients' feed and of the senders' one.
SELECT (SELECT coalesce(max(position), 0) FROM feed_entry), (SELECT coalesce(max(position), 0) FROM message_event);

-- name: insert_delivery
INSERT INTO delivery (
    record, plan, plan_version, organisation, organisation_name, roles, state, attempts, position, updated_at,
    endpoint, message_uuid, source, source_letter, since, next_at, give_up_at, reason
) VALUES (
    :record, :plan, :plan_version, :organisation, :organisation_name, :roles, :state, 0, :position, :updated_at,
    :endpoint, :message_uuid, :source, :source_letter, :since, :next_at, :give_up_at, :reason
);

-- name: cancel_deliveries
-- A later version takes the place of what has certainly not arrived; whose turn it was, and since when.
UPDATE delivery SET state = 'cancelled', reason = 'superseded', updated_at = :updated_at, next_at = NULL
WHERE plan = :plan AND (state = 'pending' OR (state = 'claimed' AND claimed_from = 'pending')) AND NOT EXISTS (
    SELECT 1 FROM attempt
    WHERE attempt.delivery = delivery.id AND (result IS NULL OR result IN ('sent', 'ambiguous'))
)
RETURNING organisation, since;

-- name: recipients_reached
-- Who may have a version of a plan.
SELECT DISTINCT organisation FROM delivery
WHERE plan = :plan AND (
    state IN ('inflight', 'sent', 'delivered', 'refused', 'served_by_sender') OR EXISTS (
        SELECT 1 FROM attempt
        WHERE attempt.delivery = delivery.id
        AND (result IS NULL OR result IN ('sent', 'ambiguous', 'delivered', 'refused'))
    )
);

-- name: last_recipients
-- Who was sent the version before and may still read the record.
SELECT delivery.organisation, organisation_name, roles, endpoint
FROM delivery JOIN record_access
    ON record_access.record = delivery.record AND record_access.organisation = delivery.organisation
WHERE delivery.record = :record AND delivery.plan = :plan AND delivery.plan_version = :plan_version - 1
ORDER BY delivery.id;

-- name: deliveries_of_message
SELECT record_id, delivery.plan_version, organisation, organisation_name, roles, delivery.state, attempts, updated_at,
    delivery.id, endpoint, next_at, reason
FROM plan_version
JOIN delivery ON delivery.plan = plan_version.plan AND delivery.plan_version = plan_version.version
JOIN record ON record.id = delivery.record
WHERE plan_version.message = :message ORDER BY delivery.id;
