-- Why: what a load obeys must be what a verification sees, also where somebody else writes this
-- database; and one event that was written while a clock was ahead must not hold up every timer
-- until that time has come.

-- A snapshot of a state is believed only under a code that is made with a key which is not in this
-- table. NULL: written by an earlier version, or by postgres-es; it is not believed.
ALTER TABLE snapshots ADD COLUMN mac BYTEA CHECK (octet_length(mac) = 32);

-- What the clock showed when the head was written, or when it was last set back. NULL: not known.
ALTER TABLE log_head ADD COLUMN clock_at BIGINT;

-- The log's time: that of its head and what has passed since by the clock, and at least the clock.
--
-- What has passed is a difference of two readings of one clock, so that a clock that was ahead and
-- was set right only has to be noticed: it shows less than clock_at, and specline_set_back then
-- begins to measure anew. Nothing but the head row is needed for it, so that all nodes agree; no
-- node's own monotonic clock is used, for each would have seen the head at another moment.
CREATE FUNCTION specline_time(p_head BIGINT, p_clock_at BIGINT, p_clock BIGINT) RETURNS BIGINT
LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(p_clock, p_head + greatest(0, p_clock - coalesce(p_clock_at, p_clock)))
$$;

CREATE OR REPLACE FUNCTION specline_now(p_now BIGINT) RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
    SELECT specline_time(h.recorded_at, h.clock_at, coalesce(p_now, specline_clock()))
    FROM log_head h
$$;

-- Notices that the clock was set back, or that it is not known what it showed. Each node asks once
-- a second, and before the first answer.
CREATE FUNCTION specline_set_back() RETURNS VOID LANGUAGE sql VOLATILE AS $$
    UPDATE log_head SET clock_at = specline_clock()
    WHERE clock_at IS NULL OR clock_at > specline_clock()
$$;

-- Appends a batch: a_… one entry an append, e_… one an event, b_… one a blob. Outcomes:
-- 0 written, 1 the key is known, 2 conflict, 3 the stream ends in rows of another writer. For an
-- append that was written o_positions has its last position, else o_versions the stream's version.
-- Status 'repeated': this very batch was committed before, with the positions of log_writers.
CREATE OR REPLACE FUNCTION specline_append(
    p_channel TEXT, p_now BIGINT, p_writer UUID, p_batch BIGINT,
    a_type TEXT[], a_id TEXT[], a_version BIGINT[], a_hash BYTEA[], a_events BIGINT[],
    a_new_hash BYTEA[], a_key TEXT[], a_request BYTEA[], a_answer TEXT[],
    e_append INTEGER[], e_sequence BIGINT[], e_type TEXT[], e_version TEXT[], e_payload TEXT[],
    e_metadata TEXT[], e_hash BYTEA[],
    b_append INTEGER[], b_digest BYTEA[], b_bytes BYTEA[],
    OUT o_status TEXT, OUT o_outcomes INTEGER[], OUT o_positions BIGINT[],
    OUT o_versions BIGINT[], OUT o_at BIGINT, OUT o_head BIGINT
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_clock    BIGINT;
    v_clock_at BIGINT;
    v_after    BIGINT;
    v_rounds   INTEGER[];
    v_round    INTEGER;
    v_last     INTEGER;
BEGIN
    SELECT h.position, h.recorded_at, h.clock_at INTO STRICT o_head, o_at, v_clock_at
    FROM log_head h FOR UPDATE;
    PERFORM 1 FROM log_writers w WHERE w.writer = p_writer AND w.batch >= p_batch;
    IF FOUND THEN
        o_status := 'repeated';
        RETURN;
    END IF;
    -- From here on all nodes wait for this batch. A row that another program has inserted and not
    -- committed, at the end of one of these streams, must not hold them up.
    PERFORM set_config('lock_timeout', '100ms', true);
    o_status := 'done';
    -- The clock is read under the lock: else the wait for it would count as time that has passed.
    v_clock := coalesce(p_now, specline_clock());
    o_at := specline_time(o_at, v_clock_at, v_clock);
    v_after := o_head;

    -- The second append to a stream is judged after the first one is written.
    v_rounds := ARRAY[1];
    v_last := 1;
    IF cardinality(a_id) > 1 THEN
        SELECT array_agg(x.round ORDER BY x.n), max(x.round) INTO v_rounds, v_last
        FROM (SELECT a.n, (row_number() OVER (PARTITION BY a.id ORDER BY a.n))::integer AS round
              FROM unnest(a_id) WITH ORDINALITY AS a (id, n)) x;
    END IF;
    o_outcomes := array_fill(2, ARRAY[cardinality(a_id)]);
    o_versions := array_fill(0::bigint, ARRAY[cardinality(a_id)]);
    o_positions := o_versions;

    FOR v_round IN 1 .. v_last LOOP
        SELECT array_agg(CASE
                   WHEN a.round <> v_round THEN o_outcomes[a.n]
                   WHEN k.known THEN 1
                   WHEN h.sequence IS NULL AND a.version = 0 THEN 0
                   WHEN h.sequence IS NOT NULL AND h.position IS NULL THEN 3
                   WHEN h.sequence = a.version AND h.hash = a.hash THEN 0
                   ELSE 2
               END ORDER BY a.n),
               array_agg(CASE WHEN a.round <> v_round THEN o_versions[a.n]
                              ELSE coalesce(h.sequence, 0) END ORDER BY a.n)
        INTO o_outcomes, o_versions
        FROM unnest(a_type, a_id, a_version, a_hash, a_key, v_rounds)
             WITH ORDINALITY AS a (type, id, version, hash, key, round, n)
        LEFT JOIN LATERAL (
            SELECT true AS known FROM idempotency_keys i
            WHERE a.round = v_round AND i.aggregate_id = a.id AND i.key = a.key LIMIT 1
        ) k ON true
        LEFT JOIN LATERAL (
            SELECT e.sequence, e.hash, e.position FROM events e
            WHERE a.round = v_round AND e.aggregate_type = a.type AND e.aggregate_id = a.id
            ORDER BY e.sequence DESC LIMIT 1
        ) h ON true;

        INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version,
                            payload, metadata, position, recorded_at, hash)
        SELECT a.type, a.id, e.sequence, e.type, e.version, e.payload::json, e.metadata::json,
               o_head + row_number() OVER (ORDER BY e.n), o_at, e.hash
        FROM unnest(e_append, e_sequence, e_type, e_version, e_payload, e_metadata, e_hash)
             WITH ORDINALITY AS e (append, sequence, type, version, payload, metadata, hash, n)
        JOIN LATERAL (SELECT a_type[e.append] AS type, a_id[e.append] AS id) a ON true
        WHERE o_outcomes[e.append] = 0 AND v_rounds[e.append] = v_round;

        IF cardinality(a_id) = 1 THEN
            o_head := o_head + CASE WHEN o_outcomes[1] = 0 THEN a_events[1] ELSE 0 END;
            o_positions := ARRAY[o_head];
        ELSE
            SELECT array_agg(CASE WHEN a.round = v_round AND o_outcomes[a.n] = 0
                                  THEN o_head + a.before ELSE o_positions[a.n] END ORDER BY a.n),
                   o_head + max(a.before)
            INTO o_positions, o_head
            FROM (SELECT u.n, u.round,
                         sum(CASE WHEN u.round = v_round AND o_outcomes[u.n] = 0 THEN u.events
                                  ELSE 0 END) OVER (ORDER BY u.n)::bigint AS before
                  FROM unnest(a_events, v_rounds) WITH ORDINALITY AS u (events, round, n)) a;
        END IF;

        IF num_nonnulls(VARIADIC a_key) > 0 THEN
            INSERT INTO idempotency_keys
                (aggregate_id, key, request, position, version, hash, recorded_at, answer)
            SELECT a.id, a.key, a.request, o_positions[a.n], a.version + a.events, a.new_hash,
                   o_at, a.answer
            FROM unnest(a_id, a_version, a_events, a_new_hash, a_key, a_request, a_answer)
                 WITH ORDINALITY AS a (id, version, events, new_hash, key, request, answer, n)
            WHERE a.key IS NOT NULL AND o_outcomes[a.n] = 0 AND v_rounds[a.n] = v_round;
        END IF;
    END LOOP;

    IF cardinality(b_append) > 0 THEN
        INSERT INTO blobs (digest, bytes)
        SELECT b.digest, b.bytes
        FROM unnest(b_append, b_digest, b_bytes) AS b (append, digest, bytes)
        WHERE o_outcomes[b.append] = 0
        ON CONFLICT (digest) DO NOTHING;
    END IF;
    INSERT INTO log_writers AS w (writer, batch, after_position, last_position, at)
    VALUES (p_writer, p_batch, v_after, o_head, o_at)
    ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch,
        after_position = excluded.after_position, last_position = excluded.last_position,
        at = excluded.at;
    IF o_head > v_after THEN
        UPDATE log_head SET position = o_head, recorded_at = o_at, clock_at = v_clock;
        PERFORM pg_notify(p_channel, o_head::text);
    END IF;
END $$;

-- Gives the rows that another writer left at the end of a stream their place in the log.
-- p_sequences are those rows, p_hashes their chain behind (p_version, p_hash). Says how many were
-- adopted: none when the stream is not as the caller saw it.
CREATE OR REPLACE FUNCTION specline_adopt(
    p_channel TEXT, p_now BIGINT, p_type TEXT, p_id TEXT, p_version BIGINT, p_hash BYTEA,
    p_sequences BIGINT[], p_metadata TEXT[], p_hashes BYTEA[]
) RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_clock    BIGINT;
    v_clock_at BIGINT;
    v_head     BIGINT;
    v_at       BIGINT;
    v_found    BIGINT[];
BEGIN
    SELECT h.position, h.recorded_at, h.clock_at INTO STRICT v_head, v_at, v_clock_at
    FROM log_head h FOR UPDATE;
    v_clock := coalesce(p_now, specline_clock());
    v_at := specline_time(v_at, v_clock_at, v_clock);
    SELECT array_agg(e.sequence ORDER BY e.sequence) INTO v_found FROM events e
    WHERE e.aggregate_type = p_type AND e.aggregate_id = p_id AND e.position IS NULL;
    IF v_found IS DISTINCT FROM p_sequences THEN
        RETURN 0;
    END IF;
    PERFORM 1 FROM events e
    WHERE e.aggregate_type = p_type AND e.aggregate_id = p_id AND e.position IS NOT NULL
      AND (e.sequence > p_version OR (e.sequence = p_version AND e.hash <> p_hash));
    IF FOUND THEN
        RETURN 0;
    END IF;
    UPDATE events e
    SET position = v_head + i.n, recorded_at = v_at, hash = i.hash, metadata = i.metadata::json
    FROM unnest(p_sequences, p_metadata, p_hashes)
         WITH ORDINALITY AS i (sequence, metadata, hash, n)
    WHERE e.aggregate_type = p_type AND e.aggregate_id = p_id AND e.sequence = i.sequence;
    UPDATE log_head
    SET position = v_head + cardinality(p_sequences), recorded_at = v_at, clock_at = v_clock;
    PERFORM pg_notify(p_channel, (v_head + cardinality(p_sequences))::text);
    RETURN cardinality(p_sequences);
END $$;
