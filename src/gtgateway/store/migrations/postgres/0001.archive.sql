-- The archive: messages, plans, records, deliveries and feeds.
-- Instants are ISO 8601 with their offset, as in every archive of ours.
-- IF NOT EXISTS: a process may be killed between a migration and its mark.

-- Keys of messages, plans and records, reserved for a whole group of writes at once.
CREATE SEQUENCE IF NOT EXISTS row_id;

-- Read under the feed lock only: the order of positions is then the order of commits.
CREATE SEQUENCE IF NOT EXISTS feed_position;

CREATE TABLE IF NOT EXISTS meta (
    name text PRIMARY KEY,
    value bytea NOT NULL
);

-- Received bytes and their one verdict. Never changed; `body` is zlib's, and NULL when refused (GOP-DATA-04).
CREATE TABLE IF NOT EXISTS message (
    id bigint PRIMARY KEY,
    message_id text NOT NULL UNIQUE,
    message_key text,
    sender_gln text NOT NULL,
    receiver_gln text NOT NULL,
    envelope_id text NOT NULL,
    format text NOT NULL,
    verdict text NOT NULL,
    repeat text NOT NULL,
    received_at text NOT NULL,
    client text NOT NULL,
    content_digest text NOT NULL,
    body_digest text NOT NULL,
    size integer NOT NULL,
    acknowledgement bytea,
    answer_status integer NOT NULL,
    answer_type text NOT NULL,
    answer_body bytea,
    receipt_status integer,
    receipt_type text,
    receipt_body bytea,
    summary bytea NOT NULL,
    body bytea
);

-- Compressed by the gateway; PostgreSQL would try again, slowly.
ALTER TABLE message ALTER COLUMN body SET STORAGE EXTERNAL;

-- Which message decides for a key (sender, receiver, letters). Only a refused one is ever superseded.
CREATE TABLE IF NOT EXISTS message_key (
    message_key text PRIMARY KEY,
    message bigint NOT NULL REFERENCES message (id)
);

CREATE TABLE IF NOT EXISTS vans_envelope (
    sender_id text NOT NULL,
    envelope_id text NOT NULL,
    message bigint NOT NULL REFERENCES message (id),
    PRIMARY KEY (sender_id, envelope_id)
);

-- The hospital's plan over time. `patient` is a keyed pseudonym, never the number.
CREATE TABLE IF NOT EXISTS plan (
    id bigint PRIMARY KEY,
    sender_gln text NOT NULL,
    plan_id text NOT NULL,
    patient bytea,
    state text NOT NULL CHECK (state IN ('active', 'withdrawn', 'closed')),
    discharged_on text,
    episode_of_care_id text,
    main_diagnosis text,
    version integer NOT NULL,
    UNIQUE (sender_gln, plan_id)
);

CREATE INDEX IF NOT EXISTS plan_of_patient ON plan (patient, state, discharged_on) WHERE patient IS NOT NULL;

CREATE TABLE IF NOT EXISTS plan_version (
    plan bigint NOT NULL REFERENCES plan (id),
    version integer NOT NULL,
    message bigint NOT NULL REFERENCES message (id),
    letter_id text NOT NULL,
    action text NOT NULL,
    received_at text NOT NULL,
    PRIMARY KEY (plan, version)
);

CREATE INDEX IF NOT EXISTS plan_version_of_message ON plan_version (message);

-- Projection of a plan's latest version; the same id for ever, `version` counts every change.
CREATE TABLE IF NOT EXISTS record (
    id bigint PRIMARY KEY,
    record_id text NOT NULL UNIQUE,
    plan bigint NOT NULL UNIQUE REFERENCES plan (id),
    version integer NOT NULL,
    message bigint NOT NULL REFERENCES message (id),
    letter_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'withdrawn')),
    document bytea NOT NULL
);

CREATE TABLE IF NOT EXISTS letter (
    message bigint NOT NULL REFERENCES message (id),
    ordinal integer NOT NULL,
    letter_id text NOT NULL,
    version_code text NOT NULL,
    content_digest text NOT NULL,
    verdict text NOT NULL,
    action text NOT NULL,
    order_id text,
    order_basis text,
    -- Checked at the end: a group of messages is written table by table.
    record bigint REFERENCES record (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (message, ordinal)
);

CREATE INDEX IF NOT EXISTS letter_of_record ON letter (letter_id, message) WHERE record IS NOT NULL;

-- Rule ids outlive the summary that holds the texts (GOP-DATA-04).
CREATE TABLE IF NOT EXISTS finding (
    message bigint NOT NULL REFERENCES message (id),
    ordinal integer NOT NULL,
    letter_id text,
    rule text NOT NULL,
    severity text NOT NULL,
    layer text NOT NULL,
    path text NOT NULL,
    PRIMARY KEY (message, ordinal)
);

-- Who may read a record now.
CREATE TABLE IF NOT EXISTS record_access (
    record bigint NOT NULL REFERENCES record (id),
    organisation text NOT NULL,
    PRIMARY KEY (record, organisation)
);

-- What a recipient may see, in the order of commits.
CREATE TABLE IF NOT EXISTS feed_entry (
    position bigint PRIMARY KEY,
    organisation text NOT NULL,
    record bigint NOT NULL REFERENCES record (id),
    version integer NOT NULL,
    change text NOT NULL CHECK (change IN ('new', 'corrected', 'withdrawn', 'case', 'access_ended'))
);

CREATE INDEX IF NOT EXISTS feed_of_organisation ON feed_entry (organisation, position);

-- What must go out: one per plan version and recipient.
CREATE TABLE IF NOT EXISTS delivery (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    record bigint NOT NULL REFERENCES record (id),
    plan bigint NOT NULL,
    plan_version integer NOT NULL,
    organisation text NOT NULL,
    organisation_name text NOT NULL,
    roles text NOT NULL,
    state text NOT NULL CHECK (
        state IN ('pending', 'sent', 'delivered', 'refused', 'abandoned', 'cancelled', 'served_by_sender')
    ),
    attempts integer NOT NULL,
    position bigint NOT NULL REFERENCES feed_entry (position),
    updated_at text NOT NULL,
    UNIQUE (plan, plan_version, organisation),
    FOREIGN KEY (plan, plan_version) REFERENCES plan_version (plan, version)
);

CREATE INDEX IF NOT EXISTS delivery_unsettled ON delivery (organisation, position) WHERE state IN ('pending', 'sent');

-- Each try of a delivery. `envelope_id` is ours: a receipt quotes it.
CREATE TABLE IF NOT EXISTS attempt (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    delivery bigint NOT NULL REFERENCES delivery (id),
    started_at text NOT NULL,
    finished_at text,
    envelope_id text NOT NULL UNIQUE,
    result text,
    detail text
);

CREATE INDEX IF NOT EXISTS attempt_of_delivery ON attempt (delivery);

-- A receipt that somebody sent us, and the attempt that it answers.
CREATE TABLE IF NOT EXISTS receipt (
    body_digest text PRIMARY KEY,
    envelope_id text NOT NULL,
    letter_ids text NOT NULL,
    sender_gln text,
    receiver_gln text,
    positive boolean NOT NULL,
    refuse_code text,
    received_at text NOT NULL,
    client text NOT NULL,
    attempt bigint REFERENCES attempt (id)
);

-- How far an organisation has fetched for certain, and since when.
CREATE TABLE IF NOT EXISTS pull_cursor (
    organisation text PRIMARY KEY,
    position bigint NOT NULL,
    moved_at text NOT NULL
);

-- What happened to a message, for its sender's feed.
CREATE TABLE IF NOT EXISTS message_event (
    position bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    sender_gln text NOT NULL,
    message bigint NOT NULL REFERENCES message (id),
    kind text NOT NULL,
    detail text
);

CREATE INDEX IF NOT EXISTS message_event_of_sender ON message_event (sender_gln, position);

-- A copy that the sender sent to an organisation itself, until the plan version that it copies is here.
-- `original` is the key of the message that it copies; NULL is the plan's first.
CREATE TABLE IF NOT EXISTS waiting_copy (
    message bigint NOT NULL REFERENCES message (id),
    sender_gln text NOT NULL,
    plan_id text NOT NULL,
    organisation text NOT NULL,
    original text,
    received_at text NOT NULL,
    PRIMARY KEY (message, plan_id, organisation)
);

CREATE INDEX IF NOT EXISTS waiting_copy_of_plan ON waiting_copy (sender_gln, plan_id);
