-- name: insert_plan
-- A new plan; changes nothing when the sender has one of that id.
INSERT INTO plan (
    id, sender_gln, plan_id, patient, state, discharged_on, episode_of_care_id, main_diagnosis, version
) VALUES (
    :id, :sender_gln, :plan_id, :patient, 'active', :discharged_on, :episode_of_care_id, :main_diagnosis, 1
) ON CONFLICT (sender_gln, plan_id) DO NOTHING RETURNING id;

-- name: update_plan
UPDATE plan
SET patient = :patient, state = :state, discharged_on = :discharged_on, episode_of_care_id = :episode_of_care_id,
    main_diagnosis = :main_diagnosis, version = :version
WHERE id = :plan;

-- name: insert_plan_version
INSERT INTO plan_version (plan, version, message, letter_id, action, received_at)
VALUES (:plan, :version, :message, :letter_id, :action, :received_at);

-- name: insert_record
INSERT INTO record (id, record_id, plan, version, message, letter_id, state, document)
VALUES (:id, :record_id, :plan, 1, :message, :letter_id, 'active', :document) RETURNING id;

-- name: update_record
-- The next version; a withdrawal without a new document keeps the last one, a notification the plan's message.
UPDATE record
SET version = :version, message = coalesce(:message, message), letter_id = coalesce(:letter_id, letter_id), state = :state,
    document = coalesce(:document, document)
WHERE id = :record;

-- name: record
SELECT record.id, version, document, message.message_id, record.letter_id, state,
    EXISTS (SELECT 1 FROM case_event WHERE case_event.record = record.id), rerouted.hospital, rerouted.instead_of
FROM record
JOIN message ON message.id = record.message
LEFT JOIN rerouted ON rerouted.plan = record.plan
WHERE record_id = :record_id;

-- name: access
SELECT organisation FROM record_access WHERE record = :record;

-- name: grant_access
INSERT INTO record_access (record, organisation) VALUES (:record, :organisation) ON CONFLICT DO NOTHING;

-- name: end_access
DELETE FROM record_access WHERE record = :record AND organisation = :organisation;
