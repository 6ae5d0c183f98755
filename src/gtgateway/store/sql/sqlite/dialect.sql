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
    AND state IN ('pending', 'claimed', 'inflight', 'sent') AND state = :before AND endpoint IS NULL
);

-- name: move_deliveries
UPDATE delivery SET state = :after, updated_at = :at
WHERE organisation IN (SELECT value FROM json_each(:organisations)) AND position <= :position
AND state IN ('pending', 'claimed', 'inflight', 'sent') AND state = :before AND endpoint IS NULL
RETURNING id;

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
SELECT plan.id, plan.version, record.id, record.record_id, record.version, record.message, record.letter_id
FROM plan JOIN record ON record.plan = plan.id
WHERE sender_gln = :sender_gln AND plan_id = :plan_id;

-- name: due_endpoints
-- End-points for which something is due.
SELECT asking.value FROM json_each(:endpoints) AS asking
WHERE (
    SELECT true FROM delivery
    WHERE endpoint = asking.value AND state IN ('pending', 'claimed', 'inflight', 'sent') AND next_at <= :now
    AND (plan_version = 1 OR NOT EXISTS (
        SELECT 1 FROM delivery AS earlier
        WHERE earlier.plan = delivery.plan AND earlier.organisation = delivery.organisation
        AND earlier.plan_version < delivery.plan_version AND earlier.state IN ('pending', 'claimed', 'inflight', 'sent')
    ))
    ORDER BY next_at LIMIT 1
);

-- name: due
-- What is due for end-points, so many each and oldest first, and no version of a plan whose earlier one is unsettled.
-- The write lock is held: nobody else claims.
SELECT delivery.id, delivery.message_uuid, delivery.endpoint, delivery.organisation, record.record_id, plan.plan_id,
    plan.sender_gln, delivery.plan_version, plan_version.action, message.message_id, delivery.source_letter,
    message.received_at, plan.discharged_on, delivery.roles, delivery.attempts, delivery.resends, delivery.give_up_at,
    CASE delivery.state WHEN 'claimed' THEN claimed_from ELSE delivery.state END IN ('inflight', 'sent') AS ambiguous,
    rerouted.hospital, rerouted.instead_of
FROM (
    SELECT delivery.id, row_number() OVER (PARTITION BY endpoint ORDER BY next_at, delivery.id) <= asking.value AS taken
    FROM json_each(:slots) AS asking
    JOIN delivery ON delivery.id IN (
        SELECT id FROM delivery
        WHERE endpoint = asking.key AND state IN ('pending', 'claimed', 'inflight', 'sent') AND next_at <= :now
        AND (plan_version = 1 OR NOT EXISTS (
            SELECT 1 FROM delivery AS earlier
            WHERE earlier.plan = delivery.plan AND earlier.organisation = delivery.organisation
            AND earlier.plan_version < delivery.plan_version AND earlier.state IN ('pending', 'claimed', 'inflight', 'sent')
        ))
        ORDER BY next_at, id LIMIT :most
    )
) AS asked
JOIN delivery ON delivery.id = asked.id
JOIN record ON record.id = delivery.record
JOIN plan ON plan.id = delivery.plan
JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
JOIN message ON message.id = delivery.source
LEFT JOIN rerouted ON rerouted.plan = plan.id
WHERE taken
ORDER BY next_at, delivery.id;

-- name: events
-- Entries after a position for any of the senders, in the order of commits.
SELECT position, message_id, kind, at, organisation, organisation_name, reason, detail
FROM json_each(:sender_glns) AS asking
JOIN message_event ON position IN (
    SELECT position FROM message_event
    WHERE sender_gln = asking.value AND position > :after ORDER BY position LIMIT :limit
)
JOIN message ON message.id = message_event.message
ORDER BY position LIMIT :limit;

-- name: records_of_messages
SELECT letter.message, record_id
FROM json_each(:messages) AS hit
JOIN letter ON letter.message = hit.value
JOIN record ON record.id = letter.record
ORDER BY letter.message, ordinal;

-- name: states_of_messages
SELECT plan_version.message, delivery.state, count(*)
FROM json_each(:messages) AS hit
JOIN plan_version ON plan_version.message = hit.value
JOIN delivery ON delivery.plan = plan_version.plan AND delivery.plan_version = plan_version.version
GROUP BY 1, 2;

-- name: newest_event_for
SELECT coalesce(max((
    SELECT max(position) FROM message_event WHERE sender_gln = asking.value
)), 0) FROM json_each(:sender_glns) AS asking;
