-- What only ever grows: edits, replies, and who came and went.
CREATE TABLE messages.message_edits (
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    message_id uuid NOT NULL,
    editor_user_id uuid NOT NULL,
    edit_number integer NOT NULL,
    old_content text NOT NULL,
    new_content text NOT NULL,
    edited_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT uq_message_edits PRIMARY KEY (message_id, conversation_id, edit_number)
);
COMMENT ON TABLE messages.message_edits IS 'Every edit with the text before and after; edit_number counts from 1.';

CREATE TABLE messages.threads (
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    parent_message_id uuid NOT NULL,
    reply_message_id uuid NOT NULL,
    root_message_id uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT uq_threads PRIMARY KEY (reply_message_id, conversation_id)
);
COMMENT ON TABLE messages.threads IS 'Which message answers which; a message answers at most one.';
COMMENT ON COLUMN messages.threads.root_message_id IS 'The message that the whole thread began with.';

CREATE INDEX idx_threads_parent_message_id ON messages.threads (parent_message_id);
CREATE INDEX idx_threads_root_message_id ON messages.threads (root_message_id, conversation_id);

CREATE TABLE messages.participant_history (
    id uuid PRIMARY KEY,
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    action varchar(20) NOT NULL CHECK (action IN ('joined', 'added', 'left', 'removed', 'role_changed')),
    old_role varchar(20) CHECK (old_role IN ('owner', 'admin', 'moderator', 'member')),
    new_role varchar(20) CHECK (new_role IN ('owner', 'admin', 'moderator', 'member')),
    actor_user_id uuid,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE messages.participant_history IS 'Who came, went, and became what.';
COMMENT ON COLUMN messages.participant_history.actor_user_id IS 'Who did it: the member, or whoever added, removed or changed them.';

CREATE INDEX idx_participant_history ON messages.participant_history (conversation_id, user_id, occurred_at);
