-- Why: a proof takes roots of large parts of the Merkle tree, and must not read all leaves below
-- them. A cache: any row may be dropped at any time, and a proof then costs more. What is wrong
-- here is noticed, as every proof is checked against its seal.

-- The root of a full subtree of 2^height leaves, from height 12 on; `number` counts those of one
-- height from 0.
CREATE TABLE seal_subtrees (
    height INTEGER NOT NULL,
    number BIGINT  NOT NULL,
    root   BYTEA   NOT NULL CHECK (octet_length(root) = 32),
    PRIMARY KEY (height, number)
);
