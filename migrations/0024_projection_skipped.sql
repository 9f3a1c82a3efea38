-- Events that an operator has given up for good. This is no fold of the log:
-- it is what a person decided about the fold. Live tables, copies and rebuilds pass these events
-- over alike.
CREATE TABLE projection.skipped (
    projection text NOT NULL,
    event_seq bigint NOT NULL,
    stream_id text NOT NULL,
    event_type text NOT NULL,
    error text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    skipped_by text NOT NULL,
    skipped_at timestamptz NOT NULL,
    PRIMARY KEY (projection, event_seq)
);
COMMENT ON TABLE projection.skipped IS
    'Events that an operator has given up with `echolog parked skip`: never applied, in no rebuild either. Not in the log, so keep it in your backups.';
COMMENT ON COLUMN projection.skipped.error IS 'Why the event could not be applied.';
COMMENT ON COLUMN projection.skipped.reason IS 'Why it was given up, in the operator''s words.';
