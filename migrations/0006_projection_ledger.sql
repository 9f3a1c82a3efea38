-- A command has at most one effect, however late it is sent again: this is where its outcome is
-- found once no process remembers it.
CREATE TABLE projection.ledger (
    command_id uuid NOT NULL,
    key uuid NOT NULL,
    stream text NOT NULL,
    seq bigint NOT NULL,
    version bigint NOT NULL,
    events text[] NOT NULL,
    digest bigint NOT NULL,
    PRIMARY KEY (command_id, key)
);
COMMENT ON TABLE projection.ledger IS 'Every command that led to an event, and what became of it.';
COMMENT ON COLUMN projection.ledger.key IS
    'Actor, target and command id as one value: the id of the command''s first event. The command id alone is the client''s and may be another client''s too.';
COMMENT ON COLUMN projection.ledger.stream IS 'The kind of stream that the first event is in.';
COMMENT ON COLUMN projection.ledger.seq IS 'Sequence of its last event.';
COMMENT ON COLUMN projection.ledger.version IS 'Sequence of its last event in the stream of its first one.';
COMMENT ON COLUMN projection.ledger.events IS 'Types of its events, in order.';
COMMENT ON COLUMN projection.ledger.digest IS 'Fingerprint of its content: the same id with other content is a conflict.';
