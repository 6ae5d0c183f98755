-- name: feed
-- Entries after a position for any of the organisations, and whether one of them may read the record now.
-- The inner LIMIT per organisation keeps a page's cost independent of how much is waiting.
SELECT position, entry.organisation, change, entry.record, EXISTS (
    SELECT 1 FROM record_access
    WHERE record_access.record = entry.record AND record_access.organisation = ANY (:organisations::text[])
) AS readable
FROM unnest(:organisations::text[]) AS asking
CROSS JOIN LATERAL (
    SELECT position, organisation, change, record FROM feed_entry
    WHERE organisation = asking AND position > :after ORDER BY position LIMIT :limit
) AS entry
ORDER BY position LIMIT :limit;

-- name: newest_for
SELECT coalesce(max((
    SELECT max(position) FROM feed_entry WHERE organisation = asking
)), 0) FROM unnest(:organisations::text[]) AS asking;

-- name: deliveries_to_move
-- Whether a page or a cursor changes anything: most do not, and then nothing is written.
SELECT EXISTS (
    SELECT 1 FROM delivery
    WHERE organisation = ANY (:organisations::text[]) AND position <= :position
    AND state IN ('pending', 'sent') AND state = :before
);

-- name: move_deliveries
UPDATE delivery SET state = :after, updated_at = :at
WHERE organisation = ANY (:organisations::text[]) AND position <= :position
AND state IN ('pending', 'sent') AND state = :before;

-- name: move_pull_cursors
INSERT INTO pull_cursor (organisation, position, moved_at)
SELECT asking, :position, :at FROM unnest(:organisations::text[]) AS asking
ON CONFLICT (organisation) DO UPDATE SET position = excluded.position, moved_at = excluded.moved_at
WHERE excluded.position > pull_cursor.position;

-- name: vans_id_used
-- Whether a VANS envelope id came on another message than this one.
SELECT EXISTS (
    SELECT 1 FROM vans_envelope JOIN message ON message.id = vans_envelope.message
    WHERE vans_envelope.sender_id = :sender_id AND vans_envelope.envelope_id = :envelope_id
    AND (message_key IS DISTINCT FROM :message_key OR (message_key IS NULL AND body_digest <> :body_digest))
);

-- name: plan_to_change
-- Locked until the commit: another process may be changing it.
SELECT plan.id, plan.version, record.id, record.record_id, record.version
FROM plan JOIN record ON record.plan = plan.id
WHERE sender_gln = :sender_gln AND plan_id = :plan_id
FOR UPDATE;

-- name: reserve_ids
SELECT nextval('row_id') FROM generate_series(1, :count);

-- name: reserve_positions
-- The lock holds until the commit: nobody else gets a position before these can be read.
SELECT nextval('feed_position') FROM pg_advisory_xact_lock(:lock), generate_series(1, :count);

-- name: announce_feed
SELECT pg_notify('feed', :newest);

-- name: unsafe_settings
-- Settings of the server under which a commit is reported before it is on the disk.
SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off';
