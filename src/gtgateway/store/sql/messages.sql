-- name: earlier_by_key
-- The message that decides for a key.
SELECT message.message_id, message.content_digest, message.verdict, answer_status, acknowledgement
FROM message_key JOIN message ON message.id = message_key.message
WHERE message_key.message_key = :message_key;

-- name: earlier_by_letter
-- Accepted messages of a sender that held a letter, oldest first; `copy` is 1 when it went to another receiver.
SELECT message.message_id, message.content_digest, message.verdict, answer_status, acknowledgement,
    receiver_gln <> :receiver_gln AS copy, record.record_id, record.id
FROM letter JOIN message ON message.id = letter.message JOIN record ON record.id = letter.record
WHERE letter.letter_id = :letter_id AND sender_gln = :sender_gln
ORDER BY message.id;

-- name: active_plans
-- Open plans of a patient other than the plan itself.
SELECT sender_gln, plan_id, discharged_on, episode_of_care_id, main_diagnosis
FROM plan
WHERE patient = :patient AND state = 'active' AND NOT (sender_gln = :sender_gln AND plan_id = :plan_id)
ORDER BY id;

-- name: plans_of
-- Active plans of a patient with the message that each record was made from.
SELECT plan.sender_gln, plan.plan_id, plan.version, plan.discharged_on, plan.episode_of_care_id, message.message_id,
    record.letter_id, message.received_at, rerouted.hospital, rerouted.instead_of
FROM plan
JOIN record ON record.plan = plan.id
JOIN message ON message.id = record.message
LEFT JOIN rerouted ON rerouted.plan = plan.id
WHERE plan.patient = :patient AND plan.state = 'active'
ORDER BY plan.id;

-- name: stored_plan
-- The newest version of a plan, for a message about it (FHIR: correction, withdrawal).
SELECT version, discharged_on, rerouted.hospital, rerouted.instead_of
FROM plan LEFT JOIN rerouted ON rerouted.plan = plan.id
WHERE sender_gln = :sender_gln AND plan_id = :plan_id;

-- name: insert_message
INSERT INTO message (
    id, message_id, message_key, sender_gln, receiver_gln, envelope_id, format, verdict, repeat, received_at, client,
    content_digest, body_digest, size, acknowledgement, answer_status, answer_type, answer_body,
    receipt_status, receipt_type, receipt_body, summary, body
) VALUES (
    :id, :message_id, :message_key, :sender_gln, :receiver_gln, :envelope_id, :format, :verdict, :repeat, :received_at, :client,
    :content_digest, :body_digest, :size, :acknowledgement, :answer_status, :answer_type, :answer_body,
    :receipt_status, :receipt_type, :receipt_body, :summary, :body
) RETURNING id;

-- name: take_message_key
-- Becomes the deciding message, or takes over from a refused one with other content; changes nothing otherwise.
INSERT INTO message_key (message_key, message) VALUES (:message_key, :message)
ON CONFLICT (message_key) DO UPDATE SET message = excluded.message
WHERE :supersede AND EXISTS (
    SELECT 1 FROM message AS earlier
    WHERE earlier.id = message_key.message AND earlier.verdict = 'rejected' AND earlier.content_digest <> :content_digest
)
RETURNING message;

-- name: insert_vans_envelope
INSERT INTO vans_envelope (sender_id, envelope_id, message) VALUES (:sender_id, :envelope_id, :message)
ON CONFLICT DO NOTHING RETURNING message;

-- name: insert_letter
INSERT INTO letter (
    message, ordinal, letter_id, version_code, content_digest, verdict, action, order_id, order_basis, record
) VALUES (
    :message, :ordinal, :letter_id, :version_code, :content_digest, :verdict, :action, :order_id, :order_basis, :record
);

-- name: insert_finding
INSERT INTO finding (message, ordinal, letter_id, rule, severity, layer, path)
VALUES (:message, :ordinal, :letter_id, :rule, :severity, :layer, :path);

-- name: insert_message_event
INSERT INTO message_event (position, sender_gln, message, kind, at, reason, detail)
VALUES (:id, :sender_gln, :message, :kind, :at, :reason, :detail);

-- name: insert_delivery_event
-- What became of a delivery, told to the plan's sender.
INSERT INTO message_event (position, sender_gln, message, kind, at, organisation, organisation_name, reason, detail)
SELECT CAST(:id AS bigint), plan.sender_gln, plan_version.message, :kind, :at, organisation, organisation_name,
    :reason, :detail
FROM delivery
JOIN plan ON plan.id = delivery.plan
JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
WHERE delivery.id = :delivery;

-- name: message
SELECT id, sender_gln, receiver_gln, format, verdict, received_at, envelope_id, content_digest, body_digest, client, summary
FROM message WHERE message_id = :message_id;

-- name: letters_of_message
-- Letter ids in the order of the document, with the record that each belongs to.
SELECT letter.letter_id, record_id
FROM letter LEFT JOIN record ON record.id = letter.record
WHERE letter.message = :message ORDER BY ordinal;

-- name: records_of_key
-- What a repeated message came to the first time.
SELECT message.message_id, record_id
FROM message_key
JOIN message ON message.id = message_key.message
LEFT JOIN letter ON letter.message = message.id
LEFT JOIN record ON record.id = letter.record
WHERE message_key.message_key = :message_key ORDER BY ordinal;

-- name: letter_answer
SELECT answer_status, answer_type, answer_body FROM message WHERE message_id = :message_id;

-- name: envelope_answer
SELECT receipt_status, receipt_type, receipt_body FROM message
WHERE message_id = :message_id AND receipt_status IS NOT NULL;

-- name: body
SELECT body FROM message WHERE message_id = :message_id;

-- name: insert_meta
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING;

-- name: meta
SELECT value FROM meta WHERE name = :name;

-- name: prove_writable
INSERT INTO meta (name, value) VALUES ('written_at', :now) ON CONFLICT (name) DO UPDATE SET value = excluded.value;
