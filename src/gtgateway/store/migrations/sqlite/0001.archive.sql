-- The archive: messages, plans, records, deliveries and feeds.
-- Instants are ISO 8601 with their offset. IF NOT EXISTS: a process may be killed between a migration and its mark.

CREATE TABLE IF NOT EXISTS meta (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Received bytes and their one verdict. Never changed; `body` is NULL when refused (GOP-DATA-04).
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    message_key TEXT,
    sender_gln TEXT NOT NULL,
    receiver_gln TEXT NOT NULL,
    envelope_id TEXT NOT NULL,
    format TEXT NOT NULL,
    verdict TEXT NOT NULL,
    repeat TEXT NOT NULL,
    received_at TEXT NOT NULL,
    client TEXT NOT NULL,
    content_digest TEXT NOT NULL,
    body_digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    acknowledgement BLOB,
    answer_status INTEGER NOT NULL,
    answer_type TEXT NOT NULL,
    answer_body BLOB,
    receipt_status INTEGER,
    receipt_type TEXT,
    receipt_body BLOB,
    summary BLOB NOT NULL,
    body BLOB
) STRICT;

-- Which message decides for a key (sender, receiver, letters). Only a refused one is ever superseded.
CREATE TABLE IF NOT EXISTS message_key (
    message_key TEXT PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES message (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS vans_envelope (
    sender_id TEXT NOT NULL,
    envelope_id TEXT NOT NULL,
    message INTEGER NOT NULL REFERENCES message (id),
    PRIMARY KEY (sender_id, envelope_id)
) STRICT, WITHOUT ROWID;

-- The hospital's plan over time. `patient` is a keyed pseudonym, never the number.
CREATE TABLE IF NOT EXISTS plan (
    id INTEGER PRIMARY KEY,
    sender_gln TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    patient BLOB,
    state TEXT NOT NULL CHECK (state IN ('active', 'withdrawn', 'closed')),
    discharged_on TEXT,
    episode_of_care_id TEXT,
    main_diagnosis TEXT,
    version INTEGER NOT NULL,
    UNIQUE (sender_gln, plan_id)
) STRICT;

CREATE INDEX IF NOT EXISTS plan_of_patient ON plan (patient, state, discharged_on) WHERE patient IS NOT NULL;

CREATE TABLE IF NOT EXISTS plan_version (
    plan INTEGER NOT NULL REFERENCES plan (id),
    version INTEGER NOT NULL,
    message INTEGER NOT NULL REFERENCES message (id),
    letter_id TEXT NOT NULL,
    action TEXT NOT NULL,
    received_at TEXT NOT NULL,
    PRIMARY KEY (plan, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS plan_version_of_message ON plan_version (message);

-- Projection of a plan's latest version; the same id for ever, `version` counts every change.
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY,
    record_id TEXT NOT NULL UNIQUE,
    plan INTEGER NOT NULL UNIQUE REFERENCES plan (id),
    version INTEGER NOT NULL,
    message INTEGER NOT NULL REFERENCES message (id),
    letter_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'withdrawn')),
    document BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS letter (
    message INTEGER NOT NULL REFERENCES message (id),
    ordinal INTEGER NOT NULL,
    letter_id TEXT NOT NULL,
    version_code TEXT NOT NULL,
    content_digest TEXT NOT NULL,
    verdict TEXT NOT NULL,
    action TEXT NOT NULL,
    order_id TEXT,
    order_basis TEXT,
    record INTEGER REFERENCES record (id),
    PRIMARY KEY (message, ordinal)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS letter_of_record ON letter (letter_id, message) WHERE record IS NOT NULL;

-- Rule ids outlive the summary that holds the texts (GOP-DATA-04).
CREATE TABLE IF NOT EXISTS finding (
    message INTEGER NOT NULL REFERENCES message (id),
    ordinal INTEGER NOT NULL,
    letter_id TEXT,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    layer TEXT NOT NULL,
    path TEXT NOT NULL,
    PRIMARY KEY (message, ordinal)
) STRICT, WITHOUT ROWID;

-- Who may read a record now.
CREATE TABLE IF NOT EXISTS record_access (
    record INTEGER NOT NULL REFERENCES record (id),
    organisation TEXT NOT NULL,
    PRIMARY KEY (record, organisation)
) STRICT, WITHOUT ROWID;

-- What a recipient may see, in the order of commits: AUTOINCREMENT never gives a position twice.
CREATE TABLE IF NOT EXISTS feed_entry (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation TEXT NOT NULL,
    record INTEGER NOT NULL REFERENCES record (id),
    version INTEGER NOT NULL,
    change TEXT NOT NULL CHECK (change IN ('new', 'corrected', 'withdrawn', 'case', 'access_ended'))
) STRICT;

CREATE INDEX IF NOT EXISTS feed_of_organisation ON feed_entry (organisation, position);

-- What must go out: one per plan version and recipient.
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY,
    record INTEGER NOT NULL REFERENCES record (id),
    plan INTEGER NOT NULL,
    plan_version INTEGER NOT NULL,
    organisation TEXT NOT NULL,
    organisation_name TEXT NOT NULL,
    roles TEXT NOT NULL,
    state TEXT NOT NULL CHECK (
        state IN ('pending', 'sent', 'delivered', 'refused', 'abandoned', 'cancelled', 'served_by_sender')
    ),
    attempts INTEGER NOT NULL,
    position INTEGER NOT NULL REFERENCES feed_entry (position),
    updated_at TEXT NOT NULL,
    UNIQUE (plan, plan_version, organisation),
    FOREIGN KEY (plan, plan_version) REFERENCES plan_version (plan, version)
) STRICT;

CREATE INDEX IF NOT EXISTS delivery_unsettled ON delivery (organisation, position) WHERE state IN ('pending', 'sent');

-- Each try of a delivery. `envelope_id` is ours: a receipt quotes it.
CREATE TABLE IF NOT EXISTS attempt (
    id INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES delivery (id),
    started_at TEXT NOT NULL,
    finished_at TEXT,
    envelope_id TEXT NOT NULL UNIQUE,
    result TEXT,
    detail TEXT
) STRICT;

CREATE INDEX IF NOT EXISTS attempt_of_delivery ON attempt (delivery);

-- A receipt that somebody sent us, and the attempt that it answers.
CREATE TABLE IF NOT EXISTS receipt (
    body_digest TEXT PRIMARY KEY,
    envelope_id TEXT NOT NULL,
    letter_ids TEXT NOT NULL,
    sender_gln TEXT,
    receiver_gln TEXT,
    positive INTEGER NOT NULL,
    refuse_code TEXT,
    received_at TEXT NOT NULL,
    client TEXT NOT NULL,
    attempt INTEGER REFERENCES attempt (id)
) STRICT, WITHOUT ROWID;

-- How far an organisation has fetched for certain, and since when.
CREATE TABLE IF NOT EXISTS pull_cursor (
    organisation TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    moved_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What happened to a message, for its sender's feed.
CREATE TABLE IF NOT EXISTS message_event (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    sender_gln TEXT NOT NULL,
    message INTEGER NOT NULL REFERENCES message (id),
    kind TEXT NOT NULL,
    detail TEXT
) STRICT;

CREATE INDEX IF NOT EXISTS message_event_of_sender ON message_event (sender_gln, position);

-- A copy that the sender sent to an organisation itself, until the plan version that it copies is here.
-- `original` is the key of the message that it copies; NULL is the plan's first.
CREATE TABLE IF NOT EXISTS waiting_copy (
    message INTEGER NOT NULL REFERENCES message (id),
    sender_gln TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    organisation TEXT NOT NULL,
    original TEXT,
    received_at TEXT NOT NULL,
    PRIMARY KEY (message, plan_id, organisation)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS waiting_copy_of_plan ON waiting_copy (sender_gln, plan_id);
