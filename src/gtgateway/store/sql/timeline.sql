-- name: path_received
SELECT id, received_at, client, format, verdict, sender_gln FROM message WHERE message_id = :message_id;

-- name: path_rules
-- How many findings of each severity.
SELECT severity, count(*) FROM finding WHERE message = :message GROUP BY severity ORDER BY severity;

-- name: path_deliveries
SELECT delivery.id, organisation, plan_version.received_at, delivery.state, delivery.reason, updated_at, endpoint
FROM plan_version
JOIN delivery ON delivery.plan = plan_version.plan AND delivery.plan_version = plan_version.version
WHERE plan_version.message = :message ORDER BY delivery.id;

-- name: path_attempts
SELECT attempt.delivery, started_at, finished_at, envelope_id, result, attempt.reason, detail
FROM plan_version
JOIN delivery ON delivery.plan = plan_version.plan AND delivery.plan_version = plan_version.version
JOIN attempt ON attempt.delivery = delivery.id
WHERE plan_version.message = :message ORDER BY attempt.id;

-- name: path_receipts
SELECT attempt.delivery, receipt.received_at, receipt.client, receipt.positive, receipt.refuse_code, receipt.envelope_id
FROM plan_version
JOIN delivery ON delivery.plan = plan_version.plan AND delivery.plan_version = plan_version.version
JOIN attempt ON attempt.delivery = delivery.id
JOIN receipt ON receipt.attempt = attempt.id
WHERE plan_version.message = :message ORDER BY receipt.received_at;

-- name: path_interventions
SELECT intervention.delivery, at, who, why, what
FROM plan_version
JOIN delivery ON delivery.plan = plan_version.plan AND delivery.plan_version = plan_version.version
JOIN intervention ON intervention.delivery = delivery.id
WHERE plan_version.message = :message ORDER BY intervention.id;
