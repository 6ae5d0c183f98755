-- name: case
-- A record with what its case is judged from.
SELECT record.id, record.version, record.state, record.document, record.letter_id, message.message_id,
    message.received_at, plan.id, plan.sender_gln, plan.plan_id, plan.version, plan.discharged_on, rerouted.hospital, rerouted.instead_of
FROM record
JOIN plan ON plan.id = record.plan
JOIN message ON message.id = record.message
LEFT JOIN rerouted ON rerouted.plan = plan.id
WHERE record_id = :record_id;

-- name: case_events
SELECT document, findings, version FROM case_event WHERE record = :record ORDER BY id;

-- name: case_deliveries
-- Of the plan's newest version.
SELECT record_id, delivery.plan_version, organisation, organisation_name, roles, delivery.state, attempts, updated_at,
    delivery.id, endpoint, next_at, reason
FROM record
JOIN plan ON plan.id = record.plan
JOIN delivery ON delivery.plan = plan.id AND delivery.plan_version = plan.version
WHERE record.id = :record ORDER BY delivery.id;

-- name: earlier_event
SELECT document, findings, version FROM case_event
WHERE record = (SELECT id FROM record WHERE record_id = :record_id) AND event_id = :event_id;

-- name: next_record_version
-- Nothing, when the record is not any more the one that the event was judged by.
UPDATE record SET version = version + 1, document = coalesce(:document, document)
WHERE record_id = :record_id AND version = :version
RETURNING id, plan, version;

-- name: insert_case_event
INSERT INTO case_event (
    id, record, event_id, kind, organisation, at, received_at, client, version, document, findings
) VALUES (
    :id, :record, :event_id, :kind, :organisation, :at, :received_at, :client, :version, :event, :findings
) RETURNING id;

-- name: settle_by_event
-- A refusal takes back that the plan arrived; that it arrived takes back nothing.
UPDATE delivery
SET state = :state, reason = :reason, next_at = NULL, updated_at = :at, claimed_by = NULL, claimed_from = NULL
WHERE plan = :plan AND organisation = :organisation AND plan_version = (SELECT version FROM plan WHERE plan.id = :plan)
AND state <> :state AND state NOT IN ('cancelled', 'served_by_sender', 'refused')
RETURNING id;

-- name: delivery_of_event
SELECT id FROM delivery
WHERE plan = :plan AND organisation = :organisation AND plan_version = (SELECT version FROM plan WHERE plan.id = :plan);

-- name: cancel_rerouted
-- Whoever is no recipient any more is sent nothing; what arrived has arrived.
UPDATE delivery
SET state = 'cancelled', reason = 'rerouted', next_at = NULL, updated_at = :at, claimed_by = NULL, claimed_from = NULL
WHERE plan = :plan AND organisation = :organisation
AND state IN ('pending', 'claimed', 'inflight', 'sent', 'refused', 'abandoned');

-- name: keep_rerouted
-- `instead_of` goes on to be the hospital that the plan names.
INSERT INTO rerouted (plan, hospital, instead_of) VALUES (:plan, :hospital, :instead_of)
ON CONFLICT (plan) DO UPDATE SET hospital = excluded.hospital;

-- name: end_rerouted
-- A new version that went elsewhere says itself which hospital was chosen.
DELETE FROM rerouted WHERE plan = :plan AND hospital IS DISTINCT FROM :hospital;

-- name: source_of_plan
-- What a plan's newest version is rendered from.
SELECT record.message, record.letter_id, plan.version
FROM record JOIN plan ON plan.id = record.plan
WHERE record.id = :record;

-- name: capacity_refusals
-- Receipts by which a hospital refuses for capacity and that no event of the case tells of.
SELECT delivery.id, record_id, message_id, organisation, delivery.state, reason, updated_at
FROM delivery
JOIN record ON record.id = delivery.record
JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
JOIN message ON message.id = plan_version.message
WHERE delivery.state = 'refused' AND delivery.reason = 'capacity'
AND delivery.plan_version = (SELECT version FROM plan WHERE plan.id = delivery.plan)
AND NOT EXISTS (
    SELECT 1 FROM case_event
    WHERE case_event.record = delivery.record AND case_event.organisation = delivery.organisation
    AND kind = 'refused_capacity' AND case_event.received_at >= delivery.updated_at
)
ORDER BY delivery.id;
