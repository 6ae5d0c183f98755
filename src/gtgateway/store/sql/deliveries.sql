-- name: claim
-- Its end-point and what it was before stay known; `next_at` is the end of the lease.
UPDATE delivery
SET claimed_from = CASE state WHEN 'claimed' THEN claimed_from ELSE state END, state = 'claimed', claimed_by = :worker,
    next_at = :until, updated_at = :now
WHERE id = :delivery;

-- name: begin
-- A try is about to be made by whoever holds the lease.
UPDATE delivery
SET state = 'inflight', next_at = :unknown_until, updated_at = :started_at, attempts = attempts + 1,
    resends = resends + CASE WHEN claimed_from IN ('inflight', 'sent') THEN 1 ELSE 0 END
WHERE id = :delivery AND state = 'claimed' AND claimed_by = :worker
RETURNING id;

-- name: insert_attempt
INSERT INTO attempt (delivery, started_at, envelope_id, vans_id, message_uuid)
SELECT id, :started_at, :envelope_id, :vans_id, message_uuid FROM delivery WHERE id = :delivery;

-- name: conclude
-- By the worker that tried it; a receipt in the answer counts also when somebody has gone on meanwhile.
UPDATE delivery
SET state = :state, next_at = :next_at, reason = :reason, updated_at = :finished_at, attempts = attempts - :untried,
    claimed_by = NULL, claimed_from = NULL
WHERE id = :delivery AND (
    (state IN ('claimed', 'inflight') AND claimed_by = :worker)
    OR (:final AND state IN ('pending', 'claimed', 'inflight', 'sent', 'abandoned', 'cancelled'))
)
RETURNING id;

-- name: end_attempt
UPDATE attempt
SET finished_at = :finished_at, result = :result, reason = :reason, detail = :detail, receipt_digest = :receipt_digest
WHERE envelope_id = :envelope_id AND delivery = :delivery;

-- name: release
UPDATE delivery
SET state = claimed_from, next_at = :next_at, reason = :reason, claimed_by = NULL, claimed_from = NULL
WHERE id = :delivery AND state = 'claimed' AND claimed_by = :worker;

-- name: unsettled_endpoints
-- Where the deliveries of each recipient that still move are to go.
SELECT DISTINCT organisation, endpoint FROM delivery WHERE state IN ('pending', 'claimed', 'inflight', 'sent');

-- name: repoint
-- To another end-point all goes on; who pulls from now on finds everything in its feed; who is sent to is sent all.
UPDATE delivery
SET endpoint = :endpoint,
    state = CASE WHEN CAST(:endpoint AS text) IS NULL THEN 'pending' ELSE state END,
    next_at = CASE WHEN CAST(:endpoint AS text) IS NULL THEN NULL ELSE coalesce(next_at, :now) END,
    claimed_by = CASE WHEN CAST(:endpoint AS text) IS NULL THEN NULL ELSE claimed_by END,
    claimed_from = CASE WHEN CAST(:endpoint AS text) IS NULL THEN NULL ELSE claimed_from END
WHERE organisation = :organisation AND state IN ('pending', 'claimed', 'inflight', 'sent') AND endpoint IS DISTINCT FROM :endpoint
RETURNING id;

-- name: to_give_up
-- What is past its time: nothing of it is under way, and no receipt is waited for.
SELECT delivery.id, record_id, message_id, organisation, delivery.state, reason, since
FROM delivery
JOIN record ON record.id = delivery.record
JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
JOIN message ON message.id = plan_version.message
WHERE delivery.state IN ('pending', 'claimed', 'inflight', 'sent') AND endpoint IS NOT NULL AND give_up_at <= :now
AND (delivery.state = 'pending' OR next_at <= :now)
ORDER BY delivery.id;

-- name: unserved
-- Whom a plan has not reached since a time; of what nobody tries any more, only the newest version.
SELECT delivery.id, record_id, message_id, organisation, delivery.state, reason, since
FROM delivery
JOIN record ON record.id = delivery.record
JOIN plan ON plan.id = delivery.plan
JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
JOIN message ON message.id = plan_version.message
WHERE (
    delivery.state IN ('pending', 'claimed', 'inflight', 'sent')
    OR (delivery.state IN ('refused', 'abandoned') AND delivery.plan_version = plan.version)
) AND since < CASE WHEN endpoint IS NULL THEN CAST(:pulled_before AS text) ELSE CAST(:pushed_before AS text) END
ORDER BY since, delivery.id;

-- name: send_again
-- Only of a plan's newest version. `new`: as another message, also when the old one arrived.
UPDATE delivery
SET state = 'pending', next_at = CASE WHEN endpoint IS NULL THEN NULL ELSE CAST(:now AS text) END, updated_at = :now,
    resends = 0, reason = NULL, claimed_by = NULL, claimed_from = NULL,
    message_uuid = CASE WHEN :new THEN :message_uuid ELSE message_uuid END,
    give_up_at = CASE WHEN give_up_at < :give_up_at THEN :give_up_at ELSE give_up_at END
WHERE id = :delivery AND plan_version = (SELECT version FROM plan WHERE plan.id = delivery.plan) AND (
    state IN ('refused', 'abandoned') OR (:new AND endpoint IS NOT NULL AND state IN ('sent', 'delivered'))
)
RETURNING id;

-- name: abandon
UPDATE delivery
SET state = 'abandoned', reason = :reason, next_at = NULL, updated_at = :now, claimed_by = NULL, claimed_from = NULL
WHERE id = :delivery AND state IN ('pending', 'claimed', 'inflight', 'sent')
RETURNING id;

-- name: insert_intervention
INSERT INTO intervention (delivery, at, who, why, what) VALUES (:delivery, :now, :who, :why, :what);

-- name: circuits
SELECT endpoint, reason, failures, opened_at, probe_at, alarmed FROM circuit ORDER BY endpoint;

-- name: open_circuit
INSERT INTO circuit (endpoint, reason, failures, opened_at, probe_at, alarmed)
VALUES (:endpoint, :reason, :failures, :opened_at, :probe_at, :alarmed)
ON CONFLICT (endpoint) DO UPDATE SET reason = excluded.reason, failures = excluded.failures,
    opened_at = excluded.opened_at, probe_at = excluded.probe_at, alarmed = excluded.alarmed;

-- name: close_circuit
DELETE FROM circuit WHERE endpoint = :endpoint;

-- name: attempts
SELECT started_at, finished_at, envelope_id, result, reason, detail FROM attempt WHERE delivery = :delivery ORDER BY id;

-- name: delivery_counts
SELECT coalesce(endpoint, 'pull'), state, count(*) FROM delivery
WHERE state IN ('pending', 'claimed', 'inflight', 'sent', 'refused', 'abandoned')
GROUP BY 1, 2;
