-- Why: an event that a duty cannot act on must not hold up those behind it. It is put here, with
-- what was wrong with it, and tried again when an engine starts.
CREATE TABLE parked (
    duty     TEXT    NOT NULL,
    position INTEGER NOT NULL,
    cause    TEXT    NOT NULL,
    PRIMARY KEY (duty, position)
) STRICT, WITHOUT ROWID;
