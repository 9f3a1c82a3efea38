-- When a member's cursors moved. One row stands for any number of messages; receipts per message
-- and recipient are views over it (a row per recipient of every message would cost more than the
-- message itself).
CREATE TABLE messages.cursor_moves (
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind varchar(20) NOT NULL CHECK (kind IN ('delivered', 'read')),
    up_to_seq bigint NOT NULL,
    moved_at timestamptz NOT NULL,
    event_seq bigint NOT NULL,
    PRIMARY KEY (conversation_id, user_id, kind, up_to_seq)
);
COMMENT ON TABLE messages.cursor_moves IS 'How far a member had received or read, and since when; only moves forward.';
COMMENT ON COLUMN messages.cursor_moves.up_to_seq IS 'Everything up to this messages.seq.';
