-- Messages at the top of a conversation. One that is deleted is taken off.
CREATE TABLE messages.pinned_messages (
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    message_id uuid NOT NULL,
    pinned_by_user_id uuid NOT NULL,
    pinned_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT uq_pinned_messages PRIMARY KEY (conversation_id, message_id)
);
COMMENT ON TABLE messages.pinned_messages IS 'Messages at the top of a conversation.';
COMMENT ON COLUMN messages.pinned_messages.id IS 'Derived from the key.';
