-- Why: what was written can be proved later. Questions about the log are answered by an index in a
-- file of its own, beside this one (src/store/sqlite/index).

-- Seals: the root of the Merkle tree over the first n events, and what is needed to go on from
-- there. See docs/audit.md.
CREATE TABLE seals (
    n             INTEGER PRIMARY KEY CHECK (n >= 1),
    root          BLOB    NOT NULL CHECK (length(root) = 32),
    last_position INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    frontier      BLOB    NOT NULL CHECK (length(frontier) % 32 = 0)
) STRICT;

-- The leaves of the sealed events, in runs: those of the positions from `first` on. They name the
-- very event that was changed, and proofs are made from them.
CREATE TABLE seal_leaves (
    first  INTEGER PRIMARY KEY CHECK (first >= 1),
    hashes BLOB    NOT NULL CHECK (length(hashes) % 32 = 0 AND length(hashes) > 0)
) STRICT;

CREATE TRIGGER seals_refuse_update BEFORE UPDATE ON seals
BEGIN
    SELECT RAISE(ABORT, 'seals are append-only: they are never changed');
END;
CREATE TRIGGER seals_refuse_delete BEFORE DELETE ON seals
BEGIN
    SELECT RAISE(ABORT, 'seals are append-only: they are never deleted');
END;
CREATE TRIGGER seal_leaves_refuse_update BEFORE UPDATE ON seal_leaves
BEGIN
    SELECT RAISE(ABORT, 'seals are append-only: they are never changed');
END;
CREATE TRIGGER seal_leaves_refuse_delete BEFORE DELETE ON seal_leaves
BEGIN
    SELECT RAISE(ABORT, 'seals are append-only: they are never deleted');
END;
