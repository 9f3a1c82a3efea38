-- A projector must not go on with tables that another version of its fold has made: half of the
-- rows would follow the old rules. The version says who made them; a rebuild changes it.
CREATE TABLE projection.folds (
    projection text PRIMARY KEY,
    version integer NOT NULL CHECK (version >= 0)
);
COMMENT ON TABLE projection.folds IS
    'The version of the code that made the rows of a projection (or of a copy, see projection.checkpoints).';
COMMENT ON COLUMN projection.folds.version IS '0 until the first projector has started.';

INSERT INTO projection.folds (projection, version)
SELECT unnest(ARRAY['auth', 'users', 'messages', 'audit', 'ledger', 'deciders']), 0;
