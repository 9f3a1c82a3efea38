-- What decisions have to remember of a stream, so that no stream is ever read from its beginning.
CREATE TABLE projection.deciders (
    stream text NOT NULL,
    id text NOT NULL,
    seq bigint NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (stream, id)
) WITH (fillfactor = 80);
COMMENT ON TABLE projection.deciders IS
    'States of the deciders, folded by the very functions that the command handler decides with.';
COMMENT ON COLUMN projection.deciders.id IS
    'The id in the stream''s subject; for stream `owner` the partition''s two digits.';
COMMENT ON COLUMN projection.deciders.seq IS 'Sequence of the last event that is part of the state.';
COMMENT ON COLUMN projection.deciders.state IS 'MessagePack. Its shape belongs to the write side, not to readers.';
