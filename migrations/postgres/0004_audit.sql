-- Why: questions about the log (whose, of what kind, by whom, for which project, in which chain of
-- causes) are answered in log order from an index, also in a log of millions of events.

-- A word of an event's metadata. Words that PostgreSQL cannot hold as text (U+0000, half a
-- surrogate pair) would make the append fail: metadata that may have such a word has none here.
CREATE FUNCTION specline_word(p_metadata JSON, p_name TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN strpos(p_metadata::text, '\u') = 0
        THEN left(p_metadata ->> p_name, 200) END
$$;

CREATE INDEX events_by_aggregate ON events (aggregate_id, position) WHERE position IS NOT NULL;
CREATE INDEX events_by_type ON events (event_type, position) WHERE position IS NOT NULL;
CREATE INDEX events_by_actor ON events (specline_word(metadata, 'actor'), position)
    WHERE position IS NOT NULL;
CREATE INDEX events_by_project ON events (specline_word(metadata, 'project_id'), position)
    WHERE position IS NOT NULL;
CREATE INDEX events_by_correlation ON events
    (specline_word(metadata, 'correlation_id'), position) WHERE position IS NOT NULL;
CREATE INDEX events_by_cause ON events (specline_word(metadata, 'causation_id'), position)
    WHERE position IS NOT NULL AND specline_word(metadata, 'causation_id') IS NOT NULL;

-- The last position that was recorded before p_at: times rise with positions.
CREATE FUNCTION specline_position_before(p_at BIGINT) RETURNS BIGINT LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_low    BIGINT := 0;
    v_high   BIGINT := (SELECT h.position FROM log_head h);
    v_middle BIGINT;
    v_at     BIGINT;
BEGIN
    WHILE v_low < v_high LOOP
        v_middle := v_low + (v_high - v_low + 1) / 2;
        SELECT e.recorded_at INTO v_at FROM events e WHERE e.position = v_middle;
        IF v_at < p_at THEN
            v_low := v_middle;
        ELSE
            v_high := v_middle - 1;
        END IF;
    END LOOP;
    RETURN v_low;
END $$;

-- Seals: the root of the Merkle tree over the first n events, and what is needed to go on from
-- there. See docs/audit.md.
CREATE TABLE seals (
    n             BIGINT PRIMARY KEY CHECK (n >= 1),
    root          BYTEA  NOT NULL CHECK (octet_length(root) = 32),
    last_position BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    frontier      BYTEA  NOT NULL CHECK (octet_length(frontier) % 32 = 0)
);

-- The leaves of the sealed events, in runs: those of the positions from `first` on. They name the
-- very event that was changed, and proofs are made from them.
CREATE TABLE seal_leaves (
    first  BIGINT PRIMARY KEY CHECK (first >= 1),
    hashes BYTEA  NOT NULL CHECK (octet_length(hashes) % 32 = 0 AND octet_length(hashes) > 0)
);
ALTER TABLE seal_leaves ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE FUNCTION seals_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'seals are append-only: they are never changed or deleted';
END $$;
CREATE TRIGGER seals_refuse_change BEFORE UPDATE OR DELETE ON seals
    FOR EACH ROW EXECUTE FUNCTION seals_refuse_change();
CREATE TRIGGER seals_refuse_truncate BEFORE TRUNCATE ON seals
    FOR EACH STATEMENT EXECUTE FUNCTION seals_refuse_change();
CREATE TRIGGER seal_leaves_refuse_change BEFORE UPDATE OR DELETE ON seal_leaves
    FOR EACH ROW EXECUTE FUNCTION seals_refuse_change();
CREATE TRIGGER seal_leaves_refuse_truncate BEFORE TRUNCATE ON seal_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION seals_refuse_change();
