-- Reactions, one row while someone reacts. The key begins with the message, so it also lists a
-- message's reactions; an index by user is left out until something asks for it.
CREATE TABLE messages.message_reactions (
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    message_id uuid NOT NULL,
    user_id uuid NOT NULL,
    emoji varchar(64) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT uq_message_reactions PRIMARY KEY (message_id, conversation_id, user_id, emoji)
);
COMMENT ON TABLE messages.message_reactions IS 'Who reacts to what, and with what.';
COMMENT ON COLUMN messages.message_reactions.id IS 'Derived from the key.';
