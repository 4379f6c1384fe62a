-- Why: what a load obeys must be what a verification sees, also where somebody else writes this
-- file. Positions begin at 1; and a snapshot of a state is believed only under a code that is made
-- with a key which is not in this table.

CREATE TRIGGER events_refuse_below AFTER INSERT ON events WHEN NEW.position < 1
BEGIN
    SELECT RAISE(ABORT, 'the positions of events begin at 1');
END;

-- NULL: written by an earlier version; it is not believed, and replaced in time.
ALTER TABLE snapshots ADD COLUMN mac BLOB CHECK (mac IS NULL OR length(mac) = 32);
