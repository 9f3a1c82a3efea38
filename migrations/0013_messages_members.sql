-- Members, with what makes unread numbers exact without writing to every member at every message:
-- a message only moves the conversation's last_seq, and a member's unread number is the distance
-- from read_seq to there, less what does not count.
CREATE TABLE messages.members (
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role varchar(20) NOT NULL CHECK (role IN ('owner', 'admin', 'moderator', 'member')),
    invited_by_user_id uuid,
    removed_by_user_id uuid,
    is_active boolean NOT NULL,
    joined_at timestamptz NOT NULL,
    left_at timestamptz,
    read_seq bigint NOT NULL CHECK (read_seq >= 0),
    delivered_seq bigint NOT NULL CHECK (delivered_seq >= read_seq),
    uncounted bigint NOT NULL CHECK (uncounted >= 0),
    last_read_message_id uuid,
    last_read_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT uq_members PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE messages.members IS 'Everyone who is or was a member; readers use messages.conversation_participants.';
COMMENT ON COLUMN messages.members.id IS 'Derived from conversation and user: who comes back keeps the row.';
COMMENT ON COLUMN messages.members.joined_at IS 'When the member came last.';
COMMENT ON COLUMN messages.members.read_seq IS 'Everything up to this messages.seq is read; at least where the member joined.';
COMMENT ON COLUMN messages.members.delivered_seq IS 'Everything up to this messages.seq has arrived.';
COMMENT ON COLUMN messages.members.uncounted IS 'Messages after read_seq that are the member''s own or deleted, each once; 0 for who has left.';
COMMENT ON COLUMN messages.members.updated_at IS 'When membership or a cursor changed; counters do not move it.';

CREATE INDEX idx_members_user_active ON messages.members (user_id) WHERE is_active;

CREATE TABLE messages.membership_periods (
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    from_seq bigint NOT NULL,
    to_seq bigint,
    PRIMARY KEY (conversation_id, user_id, from_seq),
    CHECK (to_seq > from_seq)
);
COMMENT ON TABLE messages.membership_periods IS 'Which messages were for whom: those with from_seq < seq <= to_seq. Periods without a message are not kept.';
COMMENT ON COLUMN messages.membership_periods.to_seq IS 'NULL while the member is active.';
