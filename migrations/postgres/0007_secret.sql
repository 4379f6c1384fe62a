-- Why: whoever may look at the log's tables, a dashboard for example, must not be able to make the
-- operator's token. So the secret has a table of its own, which only its owner reads: the role that
-- the engine connects as. Default privileges of the schema may have given it to others at once.
CREATE TABLE log_secret (
    only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
    secret   BYTEA   NOT NULL CHECK (octet_length(secret) = 32)
);

DO $$
DECLARE
    v_grantee REGROLE;
BEGIN
    REVOKE ALL ON log_secret FROM PUBLIC;
    FOR v_grantee IN
        SELECT DISTINCT a.grantee::regrole
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = 'log_secret'::regclass AND a.grantee <> 0 AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON log_secret FROM %s', v_grantee);
    END LOOP;
END $$;

INSERT INTO log_secret (secret) SELECT secret FROM log_identity;
ALTER TABLE log_identity DROP COLUMN secret;
