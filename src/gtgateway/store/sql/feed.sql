-- name: insert_feed_entry
INSERT INTO feed_entry (position, organisation, record, version, change)
VALUES (:id, :organisation, :record, :version, :change) RETURNING position;

-- name: feed_record
SELECT record_id, version, document FROM record WHERE id = :record;

-- name: newest
SELECT coalesce(max(position), 0) FROM feed_entry;

-- name: insert_delivery
INSERT INTO delivery (
    record, plan, plan_version, organisation, organisation_name, roles, state, attempts, position, updated_at
) VALUES (
    :record, :plan, :plan_version, :organisation, :organisation_name, :roles, 'pending', 0, :position, :updated_at
);

-- name: cancel_deliveries
-- A later version takes the place of what has not gone out.
UPDATE delivery SET state = 'cancelled', updated_at = :updated_at WHERE plan = :plan AND state = 'pending';

-- name: last_recipients
-- Who was sent the version before and may still read the record.
SELECT delivery.organisation, organisation_name, roles
FROM delivery JOIN record_access
    ON record_access.record = delivery.record AND record_access.organisation = delivery.organisation
WHERE delivery.record = :record AND delivery.plan = :plan AND delivery.plan_version = :plan_version - 1
ORDER BY delivery.id;

-- name: deliveries_of_message
SELECT record_id, delivery.plan_version, organisation, organisation_name, roles, delivery.state, attempts, updated_at
FROM plan_version
JOIN delivery ON delivery.plan = plan_version.plan AND delivery.plan_version = plan_version.version
JOIN record ON record.id = delivery.record
WHERE plan_version.message = :message ORDER BY delivery.id;
