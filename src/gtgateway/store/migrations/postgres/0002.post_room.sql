-- The post room: deliveries that are sent, their tries, receipts, circuits; and the sender's feed with all that it says.
-- What goes by an end-point has one in `endpoint`; NULL is a recipient that pulls. `next_at` is when something is due.
-- Instants that are compared or sorted are in the "C" collation: byte by byte.

ALTER TABLE delivery
    ADD COLUMN IF NOT EXISTS endpoint text,
    ADD COLUMN IF NOT EXISTS message_uuid text, -- of our own message, the same in every try
    ADD COLUMN IF NOT EXISTS source bigint REFERENCES message (id), -- the received message that it is rendered from
    ADD COLUMN IF NOT EXISTS source_letter text,
    ADD COLUMN IF NOT EXISTS since text COLLATE "C", -- the recipient has waited since
    ADD COLUMN IF NOT EXISTS next_at text COLLATE "C",
    ADD COLUMN IF NOT EXISTS give_up_at text COLLATE "C",
    ADD COLUMN IF NOT EXISTS resends integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS claimed_by text,
    ADD COLUMN IF NOT EXISTS claimed_from text, -- the state before it was claimed
    ADD COLUMN IF NOT EXISTS reason text;

UPDATE delivery
SET message_uuid = gen_random_uuid()::text,
    source = CASE plan_version.version WHEN plan.version THEN record.message ELSE plan_version.message END,
    source_letter = CASE plan_version.version WHEN plan.version THEN record.letter_id ELSE plan_version.letter_id END,
    since = plan_version.received_at,
    give_up_at = to_char(
        (plan_version.received_at::timestamptz + interval '30 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'
    )
FROM plan_version, plan, record
WHERE delivery.message_uuid IS NULL AND plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
AND plan.id = delivery.plan AND record.id = delivery.record;

ALTER TABLE delivery
    ALTER COLUMN message_uuid SET NOT NULL,
    ALTER COLUMN source SET NOT NULL,
    ALTER COLUMN source_letter SET NOT NULL,
    ALTER COLUMN since SET NOT NULL,
    ALTER COLUMN give_up_at SET NOT NULL,
    DROP CONSTRAINT IF EXISTS delivery_state_check;

ALTER TABLE delivery ADD CONSTRAINT delivery_state_check CHECK (
    state IN ('pending', 'claimed', 'inflight', 'sent', 'delivered', 'refused', 'abandoned', 'cancelled', 'served_by_sender')
);

-- The three that are looked through: by recipient that pulls, by what is due for an end-point, by state and age.
DROP INDEX IF EXISTS delivery_unsettled;

CREATE INDEX delivery_unsettled ON delivery (organisation, position)
WHERE state IN ('pending', 'claimed', 'inflight', 'sent');

CREATE INDEX IF NOT EXISTS delivery_due ON delivery (endpoint, next_at, id)
WHERE endpoint IS NOT NULL AND state IN ('pending', 'claimed', 'inflight', 'sent');

CREATE INDEX IF NOT EXISTS delivery_by_state ON delivery (state, since);

CREATE INDEX IF NOT EXISTS delivery_of_organisation ON delivery (organisation, state);

-- `envelope_id`, `vans_id` and `message_uuid` are ours: a receipt quotes one of them.
ALTER TABLE attempt
    ADD COLUMN IF NOT EXISTS vans_id text,
    ADD COLUMN IF NOT EXISTS message_uuid text,
    ADD COLUMN IF NOT EXISTS reason text,
    ADD COLUMN IF NOT EXISTS receipt_digest text; -- of the receipt that came in the answer

UPDATE attempt SET message_uuid = delivery.message_uuid
FROM delivery WHERE delivery.id = attempt.delivery AND attempt.message_uuid IS NULL;

ALTER TABLE attempt ALTER COLUMN message_uuid SET NOT NULL;

CREATE INDEX IF NOT EXISTS attempt_of_vans_id ON attempt (vans_id) WHERE vans_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS attempt_of_message ON attempt (message_uuid);

CREATE INDEX IF NOT EXISTS receipt_of_attempt ON receipt (attempt) WHERE attempt IS NOT NULL;

-- Positions come from the sequence of the feed from now on: given under its lock, in the order of commits.
ALTER TABLE message_event
    ALTER COLUMN position DROP IDENTITY IF EXISTS,
    ADD COLUMN IF NOT EXISTS at text,
    ADD COLUMN IF NOT EXISTS organisation text,
    ADD COLUMN IF NOT EXISTS organisation_name text,
    ADD COLUMN IF NOT EXISTS reason text;

DO $$ BEGIN
    PERFORM setval('feed_position', greatest(nextval('feed_position'), (SELECT coalesce(max(position), 0) FROM message_event)));
END $$;

UPDATE message_event SET at = message.received_at
FROM message WHERE message.id = message_event.message AND message_event.at IS NULL;

ALTER TABLE message_event ALTER COLUMN at SET NOT NULL;

-- End-points at fault, for every process that sends.
CREATE TABLE IF NOT EXISTS circuit (
    endpoint text PRIMARY KEY,
    reason text NOT NULL,
    failures integer NOT NULL,
    opened_at text NOT NULL,
    probe_at text NOT NULL,
    alarmed boolean NOT NULL
);

-- What a person did with a delivery, and why.
CREATE TABLE IF NOT EXISTS intervention (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    delivery bigint NOT NULL REFERENCES delivery (id),
    at text NOT NULL,
    who text NOT NULL,
    why text NOT NULL,
    what text NOT NULL
);

CREATE INDEX IF NOT EXISTS intervention_of_delivery ON intervention (delivery);

-- For searching.
ALTER TABLE message ALTER COLUMN received_at TYPE text COLLATE "C";

CREATE INDEX IF NOT EXISTS message_of_sender ON message (sender_gln, id);

CREATE INDEX IF NOT EXISTS message_of_verdict ON message (verdict, id);

CREATE INDEX IF NOT EXISTS message_by_time ON message (received_at);

CREATE INDEX IF NOT EXISTS message_of_envelope ON message (envelope_id);

-- Of refused letters too, in place of the one without them.
CREATE INDEX IF NOT EXISTS letter_by_id ON letter (letter_id, message);

DROP INDEX IF EXISTS letter_of_record;

CREATE INDEX IF NOT EXISTS finding_of_rule ON finding (rule, message);
