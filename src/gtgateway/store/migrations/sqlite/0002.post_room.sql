-- The post room: deliveries that are sent, their tries, receipts, circuits; and the sender's feed with all that it says.
-- Tables are rebuilt from columns that both versions have, so that applying it again changes nothing.
-- What goes by an end-point has one in `endpoint`; NULL is a recipient that pulls. `next_at` is when something is due.

CREATE TABLE delivery_rebuilt (
    id INTEGER PRIMARY KEY,
    record INTEGER NOT NULL REFERENCES record (id),
    plan INTEGER NOT NULL,
    plan_version INTEGER NOT NULL,
    organisation TEXT NOT NULL,
    organisation_name TEXT NOT NULL,
    roles TEXT NOT NULL,
    state TEXT NOT NULL CHECK (
        state IN (
            'pending', 'claimed', 'inflight', 'sent', 'delivered', 'refused', 'abandoned', 'cancelled', 'served_by_sender'
        )
    ),
    attempts INTEGER NOT NULL,
    position INTEGER NOT NULL REFERENCES feed_entry (position),
    updated_at TEXT NOT NULL,
    endpoint TEXT,
    message_uuid TEXT NOT NULL, -- of our own message, the same in every try
    source INTEGER NOT NULL REFERENCES message (id), -- the received message that it is rendered from
    source_letter TEXT NOT NULL,
    since TEXT NOT NULL, -- the recipient has waited since
    next_at TEXT,
    give_up_at TEXT NOT NULL,
    resends INTEGER NOT NULL DEFAULT 0,
    claimed_by TEXT,
    claimed_from TEXT, -- the state before it was claimed
    reason TEXT,
    UNIQUE (plan, plan_version, organisation),
    FOREIGN KEY (plan, plan_version) REFERENCES plan_version (plan, version)
) STRICT;

INSERT INTO delivery_rebuilt (
    id, record, plan, plan_version, organisation, organisation_name, roles, state, attempts, position, updated_at,
    message_uuid, source, source_letter, since, give_up_at
)
SELECT delivery.id, delivery.record, delivery.plan, delivery.plan_version, delivery.organisation,
    delivery.organisation_name, delivery.roles, delivery.state, delivery.attempts, delivery.position, delivery.updated_at,
    lower(
        hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
        || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))
    ),
    CASE plan_version.version WHEN plan.version THEN record.message ELSE plan_version.message END,
    CASE plan_version.version WHEN plan.version THEN record.letter_id ELSE plan_version.letter_id END,
    plan_version.received_at,
    strftime('%Y-%m-%dT%H:%M:%S+00:00', plan_version.received_at, '+30 days')
FROM delivery
JOIN plan_version ON plan_version.plan = delivery.plan AND plan_version.version = delivery.plan_version
JOIN plan ON plan.id = delivery.plan
JOIN record ON record.id = delivery.record;

DROP TABLE delivery;

ALTER TABLE delivery_rebuilt RENAME TO delivery;

-- The three that are looked through: by recipient that pulls, by what is due for an end-point, by state and age.
CREATE INDEX delivery_unsettled ON delivery (organisation, position)
WHERE state IN ('pending', 'claimed', 'inflight', 'sent');

CREATE INDEX delivery_due ON delivery (endpoint, next_at)
WHERE endpoint IS NOT NULL AND state IN ('pending', 'claimed', 'inflight', 'sent');

CREATE INDEX delivery_by_state ON delivery (state, since);

CREATE INDEX delivery_of_organisation ON delivery (organisation, state);

-- `envelope_id`, `vans_id` and `message_uuid` are ours: a receipt quotes one of them.
CREATE TABLE attempt_rebuilt (
    id INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES delivery (id),
    started_at TEXT NOT NULL,
    finished_at TEXT,
    envelope_id TEXT NOT NULL UNIQUE,
    vans_id TEXT,
    message_uuid TEXT NOT NULL,
    result TEXT,
    reason TEXT,
    detail TEXT,
    receipt_digest TEXT -- of the receipt that came in the answer
) STRICT;

INSERT INTO attempt_rebuilt (id, delivery, started_at, finished_at, envelope_id, message_uuid, result, detail)
SELECT attempt.id, attempt.delivery, attempt.started_at, attempt.finished_at, attempt.envelope_id, delivery.message_uuid,
    attempt.result, attempt.detail
FROM attempt JOIN delivery ON delivery.id = attempt.delivery;

DROP TABLE attempt;

ALTER TABLE attempt_rebuilt RENAME TO attempt;

CREATE INDEX attempt_of_delivery ON attempt (delivery);

CREATE INDEX attempt_of_vans_id ON attempt (vans_id) WHERE vans_id IS NOT NULL;

CREATE INDEX attempt_of_message ON attempt (message_uuid);

CREATE INDEX IF NOT EXISTS receipt_of_attempt ON receipt (attempt) WHERE attempt IS NOT NULL;

-- AUTOINCREMENT never gives a position twice, also after the rebuild: it goes on after the highest that was copied.
CREATE TABLE message_event_rebuilt (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    sender_gln TEXT NOT NULL,
    message INTEGER NOT NULL REFERENCES message (id),
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    organisation TEXT,
    organisation_name TEXT,
    reason TEXT,
    detail TEXT
) STRICT;

INSERT INTO message_event_rebuilt (position, sender_gln, message, kind, at, detail)
SELECT message_event.position, message_event.sender_gln, message_event.message, message_event.kind, message.received_at,
    message_event.detail
FROM message_event JOIN message ON message.id = message_event.message;

DROP TABLE message_event;

ALTER TABLE message_event_rebuilt RENAME TO message_event;

CREATE INDEX message_event_of_sender ON message_event (sender_gln, position);

-- End-points at fault, for every process that sends.
CREATE TABLE IF NOT EXISTS circuit (
    endpoint TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    failures INTEGER NOT NULL,
    opened_at TEXT NOT NULL,
    probe_at TEXT NOT NULL,
    alarmed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a person did with a delivery, and why.
CREATE TABLE IF NOT EXISTS intervention (
    id INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES delivery (id),
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    what TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS intervention_of_delivery ON intervention (delivery);

-- For searching.
CREATE INDEX IF NOT EXISTS message_of_sender ON message (sender_gln);

CREATE INDEX IF NOT EXISTS message_of_verdict ON message (verdict);

CREATE INDEX IF NOT EXISTS message_by_time ON message (received_at);

CREATE INDEX IF NOT EXISTS message_of_envelope ON message (envelope_id);

-- Of refused letters too, in place of the one without them.
CREATE INDEX IF NOT EXISTS letter_by_id ON letter (letter_id, message);

DROP INDEX IF EXISTS letter_of_record;

CREATE INDEX IF NOT EXISTS finding_of_rule ON finding (rule, message);
