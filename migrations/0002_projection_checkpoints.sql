-- A checkpoint and the rows that it stands for are committed together, so the log needs no
-- acknowledgements: what is in the tables is exactly what the checkpoint says.
CREATE TABLE projection.checkpoints (
    projection text NOT NULL,
    partition smallint NOT NULL CHECK (partition BETWEEN 0 AND 15),
    position bigint NOT NULL CHECK (position >= 0),
    generation bigint NOT NULL,
    PRIMARY KEY (projection, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE projection.checkpoints IS
    'How far each projection is in the log. Names with a colon belong to copies: `shadow:messages` is being built, `old:messages` was replaced.';
COMMENT ON COLUMN projection.checkpoints.position IS
    'Every event of the partition up to this sequence is in the projection''s tables, or parked.';
COMMENT ON COLUMN projection.checkpoints.generation IS
    'Rises when the tables were exchanged or parked events were taken up again: a projector that started before that is fenced, and starts again.';

INSERT INTO projection.checkpoints (projection, partition, position, generation)
SELECT projection, partition, 0, 0
FROM unnest(ARRAY['auth', 'users', 'messages', 'audit', 'ledger', 'deciders']) AS projection,
     generate_series(0, 15) AS partition;

CREATE FUNCTION projection.position(name text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
AS 'SELECT min(position) FROM projection.checkpoints WHERE projection = name';
COMMENT ON FUNCTION projection.position(text) IS
    'The sequence up to which a projection is complete. Compare it with the `seq` of an outcome to read your own writes.';
