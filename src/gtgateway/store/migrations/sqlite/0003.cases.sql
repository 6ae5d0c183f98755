-- What happens in cases: events that are only ever added to, and the hospital that was chosen after the plan was sent.

CREATE TABLE IF NOT EXISTS case_event (
    id INTEGER PRIMARY KEY,
    record INTEGER NOT NULL REFERENCES record (id),
    event_id TEXT NOT NULL, -- the client's
    kind TEXT NOT NULL,
    organisation TEXT NOT NULL, -- that says so
    at TEXT NOT NULL,
    received_at TEXT NOT NULL,
    client TEXT NOT NULL,
    version INTEGER NOT NULL, -- of the record, with it
    document BLOB NOT NULL,
    findings BLOB NOT NULL,
    UNIQUE (record, event_id)
) STRICT;

-- A hospital that took the place of the one that the plan's newest version names.
CREATE TABLE IF NOT EXISTS rerouted (
    plan INTEGER PRIMARY KEY REFERENCES plan (id),
    hospital TEXT NOT NULL,
    instead_of TEXT NOT NULL
) STRICT;
