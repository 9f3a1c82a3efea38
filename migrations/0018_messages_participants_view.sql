-- What readers see of a member. unread_count cannot fall below 0: `uncounted` counts messages
-- between read_seq and last_seq only, each once.
CREATE VIEW messages.conversation_participants AS
SELECT
    m.id,
    m.conversation_id,
    m.user_id,
    m.role,
    CASE WHEN m.is_active THEN c.last_seq - m.read_seq - m.uncounted ELSE 0 END AS unread_count,
    m.last_read_message_id,
    m.last_read_at,
    m.is_active,
    m.joined_at,
    m.left_at,
    m.invited_by_user_id,
    m.removed_by_user_id,
    m.created_at,
    m.updated_at
FROM messages.members AS m
JOIN messages.conversations AS c ON c.id = m.conversation_id;
COMMENT ON VIEW messages.conversation_participants IS 'Members, with exact unread numbers.';
COMMENT ON COLUMN messages.conversation_participants.unread_count IS
    'Messages that the member has not read: neither own nor deleted ones, none from before joining. Sending does not mark as read.';

CREATE VIEW views.unread_counts AS
SELECT
    user_id,
    sum(unread_count)::bigint AS unread_count,
    count(*) FILTER (WHERE unread_count > 0) AS unread_conversations
FROM messages.conversation_participants
WHERE is_active
GROUP BY user_id;
COMMENT ON VIEW views.unread_counts IS 'Unread messages per user, and in how many conversations.';
