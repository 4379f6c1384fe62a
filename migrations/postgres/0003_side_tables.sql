-- Why: leases, telemetry, the duties' cursors, and who works on what change often and have no
-- history, so they are rows beside the log and not events.

-- The engine processes. One that has not beaten before expires_at is taken for dead; its row stays
-- for as long as a lease names it, since it says on which machine that sandbox is.
CREATE TABLE nodes (
    id         UUID   PRIMARY KEY,
    place      TEXT   NOT NULL,
    api_url    TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
) WITH (fillfactor = 50);

-- Who does which piece of work now. A claim ends with its owner's release, or when its owner has
-- not renewed it: then another may take it.
CREATE TABLE work_claims (
    key        TEXT COLLATE "C" PRIMARY KEY,
    owner      UUID   NOT NULL,
    expires_at BIGINT NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX work_claims_owner ON work_claims (owner);

-- Times are microseconds since 1970; usage is cumulative, as last reported.
CREATE TABLE leases (
    sandbox        UUID    PRIMARY KEY,
    owner          UUID    NOT NULL,
    epoch          BIGINT  NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('spawning', 'running', 'ending', 'ended')),
    instance       UUID,
    engine         UUID    NOT NULL,
    handle         TEXT    NOT NULL,
    lease_ms       BIGINT  NOT NULL,
    expires_at     BIGINT  NOT NULL,
    last_heard     BIGINT  NOT NULL,
    last_progress  BIGINT  NOT NULL,
    input_tokens   BIGINT  NOT NULL,
    output_tokens  BIGINT  NOT NULL,
    cost_micro_usd BIGINT  NOT NULL,
    duration_ms    BIGINT  NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX leases_live ON leases (sandbox) WHERE state <> 'ended';

CREATE TABLE telemetry (
    sandbox UUID   NOT NULL,
    number  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    body    TEXT   NOT NULL,
    PRIMARY KEY (sandbox, number)
);

-- The last number given out, which dropping old entries must not forget.
CREATE TABLE telemetry_counters (
    sandbox     UUID   PRIMARY KEY,
    last_number BIGINT NOT NULL
);

CREATE TABLE cursors (
    duty     TEXT   PRIMARY KEY,
    position BIGINT NOT NULL
);

-- A node lives: renews its row and its claims, tries for the duties that one node does at a time,
-- and learns of the others, all in one call.
CREATE FUNCTION specline_beat(
    p_now BIGINT, p_id UUID, p_place TEXT, p_api_url TEXT, p_version TEXT, p_ttl_ms BIGINT,
    p_duties TEXT[]
) RETURNS TABLE (
    id UUID, place TEXT, api_url TEXT, version TEXT, alive BOOLEAN, held TEXT[], leased BOOLEAN
) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    v_now  BIGINT := specline_now(p_now);
    v_end  BIGINT := v_now + p_ttl_ms * 1000;
    v_held TEXT[];
BEGIN
    INSERT INTO nodes AS n (id, place, api_url, version, started_at, expires_at)
    VALUES (p_id, p_place, p_api_url, p_version, v_now, v_end)
    ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at;
    UPDATE work_claims c SET expires_at = v_end WHERE c.owner = p_id AND c.expires_at > v_now;
    INSERT INTO work_claims AS c (key, owner, expires_at)
    SELECT d, p_id, v_end FROM unnest(p_duties) d ORDER BY d
    ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
    WHERE c.expires_at <= v_now;
    SELECT coalesce(array_agg(c.key), '{}') INTO v_held FROM work_claims c
    WHERE c.owner = p_id AND c.key = ANY (p_duties);
    DELETE FROM work_claims c WHERE c.expires_at < v_now - 3600000000;
    DELETE FROM nodes n WHERE n.expires_at < v_now - 3600000000
        AND NOT EXISTS (SELECT FROM leases l WHERE l.engine = n.id AND l.state <> 'ended');
    RETURN QUERY
    SELECT n.id, n.place, n.api_url, n.version, n.expires_at > v_now, v_held,
           EXISTS (SELECT FROM leases l WHERE l.state <> 'ended')
    FROM nodes n ORDER BY n.started_at, n.id;
END $$;
