-- Why: a log that is being copied into this file must not be taken for a whole one, neither by an
-- engine nor by a second copy. It is 'copying' until the copy has been verified.
ALTER TABLE log_identity ADD COLUMN state TEXT NOT NULL DEFAULT 'whole'
    CHECK (state IN ('whole', 'copying'));
