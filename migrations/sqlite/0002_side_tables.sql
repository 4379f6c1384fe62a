-- Why: leases, telemetry and the duties' cursors change often and have no history, so they are
-- rows beside the log and not events. They share its file so that one writer thread writes them in
-- the same transactions, and one fsync serves many.

-- Times are microseconds since 1970; usage is cumulative, as last reported.
CREATE TABLE leases (
    sandbox        TEXT    NOT NULL PRIMARY KEY,
    owner          TEXT    NOT NULL,
    epoch          INTEGER NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('spawning', 'running', 'ending', 'ended')),
    instance       TEXT,
    engine         TEXT    NOT NULL,
    handle         TEXT    NOT NULL,
    lease_ms       INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    last_heard     INTEGER NOT NULL,
    last_progress  INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL,
    cost_micro_usd INTEGER NOT NULL,
    duration_ms    INTEGER NOT NULL
) STRICT;

CREATE INDEX leases_live ON leases (state) WHERE state <> 'ended';

CREATE TABLE telemetry (
    sandbox TEXT    NOT NULL,
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    kind    TEXT    NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (sandbox, number)
) STRICT, WITHOUT ROWID;

-- The last number given out, which dropping old entries must not forget.
CREATE TABLE telemetry_counters (
    sandbox     TEXT    NOT NULL PRIMARY KEY,
    last_number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (
    duty     TEXT    NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
