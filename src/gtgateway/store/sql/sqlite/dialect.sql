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

-- name: newest_for
SELECT coalesce(max((
    SELECT max(position) FROM feed_entry WHERE organisation = asking.value
)), 0) FROM json_each(:organisations) AS asking;

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

-- name: vans_id_used
-- Whether a VANS envelope id came on another message than this one.
SELECT EXISTS (
    SELECT 1 FROM vans_envelope JOIN message ON message.id = vans_envelope.message
    WHERE vans_envelope.sender_id = :sender_id AND vans_envelope.envelope_id = :envelope_id
    AND (message_key IS NOT :message_key OR (message_key IS NULL AND body_digest <> :body_digest))
);

-- name: plan_to_change
SELECT plan.id, plan.version, record.id, record.record_id, record.version
FROM plan JOIN record ON record.plan = plan.id
WHERE sender_gln = :sender_gln AND plan_id = :plan_id;
