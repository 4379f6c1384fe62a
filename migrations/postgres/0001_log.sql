-- Why: the event log as a superset of postgres-es's tables, so that its stock repository reads our
-- streams and may append to them. A database that has those tables already keeps their rows: they
-- are foreign rows (position NULL) until their stream is loaded or appended to.

CREATE TABLE IF NOT EXISTS events (
    aggregate_type TEXT COLLATE "C" NOT NULL,
    aggregate_id   TEXT COLLATE "C" NOT NULL,
    sequence       BIGINT           NOT NULL CHECK (sequence >= 0),
    event_type     TEXT             NOT NULL,
    event_version  TEXT             NOT NULL,
    payload        JSON             NOT NULL,
    metadata       JSON             NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);

-- position: place in the whole log, from 1, without gaps. recorded_at: microseconds since 1970.
-- hash: the stream's chain up to and with this event.
ALTER TABLE events
    ADD COLUMN position    BIGINT CHECK (position >= 1),
    ADD COLUMN recorded_at BIGINT,
    ADD COLUMN hash        BYTEA CHECK (octet_length(hash) = 32),
    ADD CONSTRAINT events_adopted_whole CHECK (
        (position IS NULL) = (recorded_at IS NULL) AND (position IS NULL) = (hash IS NULL)
    );

CREATE UNIQUE INDEX events_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_foreign ON events (aggregate_type, aggregate_id) WHERE position IS NULL;

CREATE FUNCTION events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The one change there is: a row that postgres-es wrote is given its place in the log.
    IF TG_OP = 'UPDATE'
        AND OLD.position IS NULL AND NEW.position IS NOT NULL
        AND (OLD.aggregate_type, OLD.aggregate_id, OLD.sequence, OLD.event_type, OLD.event_version)
          = (NEW.aggregate_type, NEW.aggregate_id, NEW.sequence, NEW.event_type, NEW.event_version)
        AND OLD.payload::text = NEW.payload::text
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the event log is append-only: events are never changed or deleted';
END $$;

CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION events_refuse_change();
CREATE TRIGGER events_refuse_truncate BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();

-- One row: which log this is, and the key that sandboxes' tokens are made with. A log that is being
-- copied into is not open for engines.
CREATE TABLE log_identity (
    only_row    BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    log_id      UUID    NOT NULL,
    incarnation INTEGER NOT NULL,
    secret      BYTEA   NOT NULL CHECK (octet_length(secret) = 32),
    state       TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'copying'))
);

-- The end of the log. Whoever appends locks this row first: that is the global order.
CREATE TABLE log_head (
    only_row    BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    position    BIGINT  NOT NULL,
    recorded_at BIGINT  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO log_head (position, recorded_at) VALUES (0, 0);

-- The last batch of each node's writer, with the positions it filled: a node that lost its
-- connection in mid-append learns here whether that batch was committed.
CREATE TABLE log_writers (
    writer         UUID   PRIMARY KEY,
    batch          BIGINT NOT NULL,
    after_position BIGINT NOT NULL,
    last_position  BIGINT NOT NULL,
    at             BIGINT NOT NULL
) WITH (fillfactor = 10);

-- What the first append under a key did, so that a repeat gets the same answer.
CREATE TABLE idempotency_keys (
    aggregate_id TEXT COLLATE "C" NOT NULL,
    key          TEXT COLLATE "C" NOT NULL,
    request      BYTEA  NOT NULL CHECK (octet_length(request) = 32),
    position     BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    hash         BYTEA  NOT NULL CHECK (octet_length(hash) = 32),
    recorded_at  BIGINT NOT NULL,
    answer       TEXT   NOT NULL,
    PRIMARY KEY (aggregate_id, key)
);

-- A cache: any row may be dropped at any time. A row without hash and format is postgres-es's.
CREATE TABLE IF NOT EXISTS snapshots (
    aggregate_type   TEXT COLLATE "C" NOT NULL,
    aggregate_id     TEXT COLLATE "C" NOT NULL,
    last_sequence    BIGINT           NOT NULL CHECK (last_sequence >= 0),
    current_snapshot BIGINT           NOT NULL CHECK (current_snapshot >= 0),
    payload          JSON             NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
);
ALTER TABLE snapshots
    ADD COLUMN hash   BYTEA CHECK (octet_length(hash) = 32),
    ADD COLUMN format BIGINT;

-- Bytes under their BLAKE3 digest.
CREATE TABLE blobs (
    digest BYTEA PRIMARY KEY CHECK (octet_length(digest) = 32),
    bytes  BYTEA NOT NULL
);
