-- Why: the event log and what stands beside it, in one file, so that an append can write its
-- events, its idempotency key and its blobs in one transaction. The columns of `events` carry the
-- names that postgres-es uses; `position`, `recorded_at` and `hash` are ours.

-- "SPEC": tells this file from any other SQLite database.
PRAGMA application_id = 0x53504543;

-- One row: which log this is, and the key that sandboxes' tokens are made with.
CREATE TABLE log_identity (
    only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
    log_id      TEXT    NOT NULL,
    incarnation INTEGER NOT NULL,
    secret      BLOB    NOT NULL CHECK (length(secret) = 32)
) STRICT;

-- recorded_at: microseconds since 1970. hash: the stream's chain up to and with this event.
CREATE TABLE events (
    position       INTEGER PRIMARY KEY AUTOINCREMENT,
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence >= 1),
    event_type     TEXT    NOT NULL,
    event_version  TEXT    NOT NULL,
    payload        TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    recorded_at    INTEGER NOT NULL,
    hash           BLOB    NOT NULL CHECK (length(hash) = 32),
    UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;

CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'the event log is append-only: events are never changed');
END;

CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'the event log is append-only: events are never deleted');
END;

-- What the first append under a key did, so that a repeat gets the same answer.
CREATE TABLE idempotency_keys (
    aggregate_id TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    request      BLOB    NOT NULL CHECK (length(request) = 32),
    position     INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    recorded_at  INTEGER NOT NULL,
    answer       TEXT    NOT NULL,
    PRIMARY KEY (aggregate_id, key)
) STRICT, WITHOUT ROWID;

-- A cache: any row may be dropped at any time.
CREATE TABLE snapshots (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    last_sequence  INTEGER NOT NULL,
    hash           BLOB    NOT NULL CHECK (length(hash) = 32),
    format         INTEGER NOT NULL,
    payload        TEXT    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT;

-- Bytes under their BLAKE3 digest.
CREATE TABLE blobs (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    bytes  BLOB NOT NULL
) STRICT;
