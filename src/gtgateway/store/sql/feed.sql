-- name: insert_feed_entry
INSERT INTO feed_entry (organisation, record, version, change) VALUES (:organisation, :record, :version, :change);

-- name: feed
-- Entries after a position for any of the organisations, and whether one of them may read the record now.
-- The inner LIMIT per organisation keeps a page's cost independent of how much is waiting.
SELECT position, feed_entry.organisation, change, feed_entry.record, EXISTS (
    SELECT 1 FROM record_access
    WHERE record_access.record = feed_entry.record
    AND record_access.organisation IN (SELECT value FROM json_each(:organisations))
) AS readable
FROM json_each(:organisations) AS asking
JOIN feed_entry ON position IN (
    SELECT position FROM feed_entry
    WHERE organisation = asking.value AND position > :after ORDER BY position LIMIT :limit
)
ORDER BY position LIMIT :limit;

-- name: feed_record
SELECT record_id, version, document FROM record WHERE id = :record;

-- name: newest_for
SELECT coalesce(max((
    SELECT max(position) FROM feed_entry WHERE organisation = asking.value
)), 0) FROM json_each(:organisations) AS asking;

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

-- name: deliveries_to_move
-- Whether a page or a cursor changes anything: most do not, and then nothing is written.
SELECT EXISTS (
    SELECT 1 FROM delivery
    WHERE organisation IN (SELECT value FROM json_each(:organisations)) AND position <= :position
    AND state IN ('pending', 'sent') AND state = :before
);

-- name: move_deliveries
UPDATE delivery SET state = :after, updated_at = :at
WHERE organisation IN (SELECT value FROM json_each(:organisations)) AND position <= :position
AND state IN ('pending', 'sent') AND state = :before;

-- name: move_pull_cursors
INSERT INTO pull_cursor (organisation, position, moved_at)
SELECT value, :position, :at FROM json_each(:organisations) WHERE true
ON CONFLICT (organisation) DO UPDATE SET position = excluded.position, moved_at = excluded.moved_at
WHERE excluded.position > pull_cursor.position;
