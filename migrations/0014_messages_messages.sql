-- Messages. An id is chosen by a client and is unique in its conversation only, so the key has
-- both; the id comes first, so that the one index also finds a message by id alone, and grows at
-- its end (ids are UUIDv7).
--
-- Every index costs every message. The history and the inbox go by (conversation_id, seq).
-- Left out until a query of this project needs them: by sender, recipient, type and created_at
-- (reports: they read a replica or the log), on mentions and for full text (search is a projection
-- of its own), and by delivery state (that is a view over cursors).
CREATE TABLE messages.messages (
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    event_seq bigint NOT NULL,
    sender_user_id uuid NOT NULL,
    recipient_user_id uuid,
    message_type varchar(50) NOT NULL CHECK (message_type IN
        ('text', 'image', 'video', 'audio', 'document', 'location', 'contact', 'sticker', 'poll', 'system')),
    content text NOT NULL,
    content_encrypted boolean NOT NULL,
    reply_to_message_id uuid,
    forward_from_message_id uuid,
    forward_from_conversation_id uuid,
    is_edited boolean NOT NULL,
    edited_at timestamptz,
    edit_count integer NOT NULL CHECK (edit_count >= 0),
    is_deleted boolean NOT NULL,
    deleted_at timestamptz,
    deleted_by_user_id uuid,
    mentions jsonb NOT NULL,
    link_preview jsonb,
    metadata jsonb NOT NULL,
    reaction_count integer NOT NULL CHECK (reaction_count >= 0),
    reply_count integer NOT NULL CHECK (reply_count >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (id, conversation_id),
    CONSTRAINT uq_messages_seq UNIQUE (conversation_id, seq)
);
COMMENT ON TABLE messages.messages IS 'What was said.';
COMMENT ON COLUMN messages.messages.seq IS 'Its place in its conversation: 1, 2, 3 and so on, without gaps.';
COMMENT ON COLUMN messages.messages.event_seq IS 'Its place in the log.';
COMMENT ON COLUMN messages.messages.recipient_user_id IS 'The other one, in a direct conversation.';
COMMENT ON COLUMN messages.messages.content IS 'Empty once deleted, and where metadata says it all.';
COMMENT ON COLUMN messages.messages.is_deleted IS 'Taken back: content and metadata are emptied here; the log keeps them.';
COMMENT ON COLUMN messages.messages.updated_at IS 'When it was sent, edited or deleted; counters do not move it.';

CREATE INDEX idx_messages_reply_to_id ON messages.messages (conversation_id, reply_to_message_id)
    WHERE reply_to_message_id IS NOT NULL;
