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
    AND state IN ('pending', 'claimed', 'inflight', 'sent') AND state = :before AND endpoint IS NULL
);

-- name: move_deliveries
UPDATE delivery SET state = :after, updated_at = :at
WHERE organisation = ANY (:organisations::text[]) AND position <= :position
AND state IN ('pending', 'claimed', 'inflight', 'sent') AND state = :before AND endpoint IS NULL
RETURNING id;

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
SELECT plan.id, plan.version, record.id, record.record_id, record.version, record.message, record.letter_id
FROM plan JOIN record ON record.plan = plan.id
WHERE sender_gln = :sender_gln AND plan_id = :plan_id
FOR UPDATE;

-- name: reserve_ids
SELECT nextval('row_id') FROM generate_series(1, :count);

-- name: reserve_positions
-- The lock holds until the commit: nobody else gets a position before these can be read.
SELECT nextval('feed_position') FROM pg_advisory_xact_lock(:lock), generate_series(1, :count);

-- name: announce
SELECT pg_notify('feed', :newest), pg_notify('events', :newest_event);

-- name: unsafe_settings
-- Settings of the server under which a commit is reported before it is on the disk.
SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off';

-- name: due_endpoints
-- End-points for which something is due.
SELECT asking.endpoint FROM unnest(:endpoints::text[]) AS asking (endpoint)
WHERE (
    SELECT true FROM delivery
    WHERE endpoint = asking.endpoint AND state IN ('pending', 'claimed', 'inflight', 'sent') AND next_at <= :now
    AND (plan_version = 1 OR NOT EXISTS (
        SELECT 1 FROM delivery AS earlier
        WHERE earlier.plan = delivery.plan AND earlier.organisation = delivery.organisation
        AND earlier.plan_version < delivery.plan_version AND earlier.state IN ('pending', 'claimed', 'inflight', 'sent')
    ))
    ORDER BY next_at LIMIT 1
);

-- name: due
-- What is due for end-points, so many each and oldest first, and no version of a plan whose earlier one is unsettled.
-- Others that claim at the same time pass over it.
SELECT delivery.id, delivery.message_uuid, delivery.endpoint, delivery.organisation, record.record_id, plan.plan_id,
    plan.sender_gln, delivery.plan_version, plan_version.action, message.message_id, delivery.source_letter,
    message.received_at, plan.discharged_on, delivery.roles, delivery.attempts, delivery.resends, delivery.give_up_at,
    CASE delivery.state WHEN 'claimed' THEN claimed_from ELSE delivery.state END IN ('inflight', 'sent') AS ambiguous,
    rerouted.hospital, rerouted.instead_of
FROM json_each_text(:slots::json) AS asking
CROSS JOIN LATERAL (
    SELECT * FROM delivery
    WHERE endpoint = asking.key AND state IN ('pending', 'claimed', 'inflight', 'sent') AND next_at <= :now
    AND (plan_version = 1 OR NOT EXISTS (
        SELECT 1 FROM delivery AS earlier
        WHERE earlier.plan = delivery.plan AND earlier.organisation = delivery.organisation
        AND earlier.plan_version < delivery.plan_version AND earlier.state IN ('pending', 'claimed', 'inflight', 'sent')
    ))
    ORDER BY next_at, id LIMIT asking.value::integer
    FOR UPDATE SKIP LOCKED
) AS delivery
JOIN record ON record.id = delivery.record
JOIN plan ON plan.id = delivery.plan
JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
JOIN message ON message.id = delivery.source
LEFT JOIN rerouted ON rerouted.plan = plan.id
ORDER BY next_at, delivery.id;

-- name: events
-- Entries after a position for any of the senders, in the order of commits.
SELECT position, message_id, kind, event.at, organisation, organisation_name, reason, detail
FROM unnest(:sender_glns::text[]) AS asking
CROSS JOIN LATERAL (
    SELECT * FROM message_event WHERE sender_gln = asking AND position > :after ORDER BY position LIMIT :limit
) AS event
JOIN message ON message.id = event.message
ORDER BY position LIMIT :limit;

-- name: records_of_messages
SELECT letter.message, record_id
FROM letter JOIN record ON record.id = letter.record
WHERE letter.message = ANY (:messages::bigint[]) ORDER BY letter.message, ordinal;

-- name: states_of_messages
SELECT plan_version.message, delivery.state, count(*)
FROM plan_version
JOIN delivery ON delivery.plan = plan_version.plan AND delivery.plan_version = plan_version.version
WHERE plan_version.message = ANY (:messages::bigint[]) GROUP BY 1, 2;

-- name: newest_event_for
SELECT coalesce(max((
    SELECT max(position) FROM message_event WHERE sender_gln = asking
)), 0) FROM unnest(:sender_glns::text[]) AS asking;
