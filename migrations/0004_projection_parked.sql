-- An event that cannot be applied must not stop the others. Its id is set aside: the event and
-- everything later under the same id wait here, in order, until an operator decides.
CREATE TABLE projection.parked (
    projection text NOT NULL,
    partition smallint NOT NULL,
    stream_id text NOT NULL,
    event_seq bigint NOT NULL,
    event_type text NOT NULL,
    error text,
    parked_at timestamptz NOT NULL,
    payload bytea,
    PRIMARY KEY (projection, event_seq)
);
CREATE INDEX parked_stream_idx ON projection.parked (projection, stream_id, event_seq);
COMMENT ON TABLE projection.parked IS 'Events that a projection has set aside, by the id that they concern.';
COMMENT ON COLUMN projection.parked.error IS 'Why; NULL for events that only wait behind another one.';
COMMENT ON COLUMN projection.parked.parked_at IS 'The event''s own time: a rebuild parks the same rows.';
COMMENT ON COLUMN projection.parked.payload IS 'The content as MessagePack; NULL where it cannot be read.';
