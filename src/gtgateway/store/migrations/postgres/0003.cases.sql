-- What happens in cases: events that are only ever added to, and the hospital that was chosen after the plan was sent.

CREATE TABLE IF NOT EXISTS case_event (
    id bigint PRIMARY KEY,
    record bigint NOT NULL REFERENCES record (id),
    event_id text NOT NULL, -- the client's
    kind text NOT NULL,
    organisation text NOT NULL, -- that says so
    at text NOT NULL,
    received_at text COLLATE "C" NOT NULL,
    client text NOT NULL,
    version integer NOT NULL, -- of the record, with it
    document bytea NOT NULL,
    findings bytea NOT NULL,
    UNIQUE (record, event_id)
);

-- A hospital that took the place of the one that the plan's newest version names.
CREATE TABLE IF NOT EXISTS rerouted (
    plan bigint PRIMARY KEY REFERENCES plan (id),
    hospital text NOT NULL,
    instead_of text NOT NULL
);
