-- Tables made from one log say nothing about another: a wrong address or a log that was lost must
-- be noticed before anything is read from them or written to them.
CREATE TABLE projection.log (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    tenant text NOT NULL,
    log_id text NOT NULL
);
COMMENT ON TABLE projection.log IS 'The event log that this database is made from.';
COMMENT ON COLUMN projection.log.tenant IS 'The tenant that the log belongs to.';
COMMENT ON COLUMN projection.log.log_id IS
    'Made when the log was created; the stream has it in its metadata, `echolog-log`.';
