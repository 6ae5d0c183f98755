-- name: insert_feed_entry
INSERT INTO feed_entry (position, organisation, record, version, change)
VALUES (:id, :organisation, :record, :version, :change) RETURNING position;

-- name: feed_record
SELECT record_id, version, document, EXISTS (SELECT 1 FROM case_event WHERE case_event.record = record.id)
FROM record WHERE id = :record;

-- name: newest
-- Of the recipients' feed and of the senders' one.
SELECT (SELECT coalesce(max(position), 0) FROM feed_entry), (SELECT coalesce(max(position), 0) FROM message_event);

-- name: insert_delivery
-- A hospital that is chosen again after it was left is sent the same version anew.
INSERT INTO delivery (
    record, plan, plan_version, organisation, organisation_name, roles, state, attempts, position, updated_at,
    endpoint, message_uuid, source, source_letter, since, next_at, give_up_at, reason
) VALUES (
    :record, :plan, :plan_version, :organisation, :organisation_name, :roles, :state, 0, :position, :updated_at,
    :endpoint, :message_uuid, :source, :source_letter, :since, :next_at, :give_up_at, :reason
) ON CONFLICT (plan, plan_version, organisation) DO UPDATE
SET roles = excluded.roles, state = excluded.state, position = excluded.position, updated_at = excluded.updated_at,
    endpoint = excluded.endpoint, message_uuid = excluded.message_uuid, since = excluded.since, resends = 0,
    next_at = excluded.next_at, give_up_at = excluded.give_up_at, reason = excluded.reason;

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
SELECT DISTINCT organisation FROM delivery LEFT JOIN attempt ON attempt.delivery = delivery.id
WHERE plan = :plan AND (
    state IN ('inflight', 'sent', 'delivered', 'refused', 'served_by_sender')
    OR (attempt.id IS NOT NULL AND (result IS NULL OR result IN ('sent', 'ambiguous', 'delivered', 'refused')))
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
