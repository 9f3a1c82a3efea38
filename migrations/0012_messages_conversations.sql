-- Conversations. Each message updates its conversation's row, so no index lies on a column that a
-- message moves (last_message_at, last_activity_at, updated_at): PostgreSQL then updates the row
-- in place, and pages keep room for that. A user's inbox finds its rows through
-- messages.members and sorts those few.
CREATE TABLE messages.conversations (
    id uuid PRIMARY KEY,
    conversation_type varchar(20) NOT NULL
        CHECK (conversation_type IN ('direct', 'group', 'channel', 'broadcast')),
    direct_key varchar(80),
    title varchar(255),
    description text,
    avatar_url text,
    creator_user_id uuid NOT NULL,
    owner_user_id uuid NOT NULL,
    is_encrypted boolean NOT NULL,
    is_public boolean NOT NULL,
    member_count integer NOT NULL CHECK (member_count >= 0),
    message_count bigint NOT NULL CHECK (message_count >= 0),
    last_seq bigint NOT NULL CHECK (last_seq >= 0),
    last_message_id uuid,
    last_message_at timestamptz,
    last_message_sender_id uuid,
    last_message_preview varchar(200),
    last_activity_at timestamptz NOT NULL,
    invite_link varchar(255),
    invite_link_expires_at timestamptz,
    who_can_send_messages varchar(20) NOT NULL
        CHECK (who_can_send_messages IN ('everyone', 'admins', 'owner')),
    who_can_add_members varchar(20) NOT NULL
        CHECK (who_can_add_members IN ('everyone', 'admins', 'owner')),
    settings jsonb NOT NULL,
    metadata jsonb NOT NULL,
    is_archived boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
) WITH (fillfactor = 80);
COMMENT ON TABLE messages.conversations IS 'Direct conversations, groups, channels and broadcasts.';
COMMENT ON COLUMN messages.conversations.direct_key IS 'The two members of a direct conversation, `smaller:larger`; claimed in the log, so unique.';
COMMENT ON COLUMN messages.conversations.last_seq IS 'messages.messages.seq of the last message sent.';
COMMENT ON COLUMN messages.conversations.message_count IS 'Messages ever sent, deleted ones included.';
COMMENT ON COLUMN messages.conversations.last_message_id IS 'The last message that is not deleted; so are the other last_message columns.';
COMMENT ON COLUMN messages.conversations.last_message_preview IS 'Its first 200 characters; NULL where the content is encrypted.';
COMMENT ON COLUMN messages.conversations.last_activity_at IS 'When it was made or changed, someone joined, or something was said, edited or reacted to.';

CREATE INDEX idx_conversations_direct_key ON messages.conversations (direct_key) WHERE direct_key IS NOT NULL;
CREATE INDEX idx_conversations_type ON messages.conversations (conversation_type);
CREATE INDEX idx_conversations_owner ON messages.conversations (owner_user_id);
CREATE INDEX idx_conversations_created ON messages.conversations (created_at);
