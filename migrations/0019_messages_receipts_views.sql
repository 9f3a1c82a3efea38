-- Receipts: per message and recipient, computed from who was a member at the time and from the
-- first move of a cursor that reached the message. A move belongs to the period that it points
-- into: who comes back has not read what was said before.
CREATE VIEW messages.message_receipts AS
SELECT
    md5(m.conversation_id::text || m.id::text || p.user_id::text)::uuid AS id,
    m.id AS message_id,
    m.conversation_id,
    p.user_id,
    CASE
        WHEN r.moved_at IS NOT NULL THEN 'read'
        WHEN d.moved_at IS NOT NULL THEN 'delivered'
        ELSE 'sent'
    END AS status,
    least(d.moved_at, r.moved_at) AS delivered_at,
    r.moved_at AS read_at,
    m.created_at,
    greatest(m.created_at, d.moved_at, r.moved_at) AS updated_at
FROM messages.messages AS m
JOIN messages.membership_periods AS p
    ON p.conversation_id = m.conversation_id
    AND p.from_seq < m.seq
    AND (p.to_seq IS NULL OR p.to_seq >= m.seq)
    AND p.user_id <> m.sender_user_id
LEFT JOIN LATERAL (
    SELECT moved_at FROM messages.cursor_moves
    WHERE conversation_id = m.conversation_id AND user_id = p.user_id AND kind = 'delivered'
        AND up_to_seq >= m.seq AND (p.to_seq IS NULL OR up_to_seq <= p.to_seq)
    ORDER BY up_to_seq LIMIT 1
) AS d ON true
LEFT JOIN LATERAL (
    SELECT moved_at FROM messages.cursor_moves
    WHERE conversation_id = m.conversation_id AND user_id = p.user_id AND kind = 'read'
        AND up_to_seq >= m.seq AND (p.to_seq IS NULL OR up_to_seq <= p.to_seq)
    ORDER BY up_to_seq LIMIT 1
) AS r ON true;
COMMENT ON VIEW messages.message_receipts IS 'One row per message and recipient: sent, delivered or read, and since when. Ask for one message or one conversation at a time.';

CREATE VIEW messages.message_status AS
SELECT
    m.id AS message_id,
    m.conversation_id,
    CASE
        WHEN r.recipients > 0 AND r.read_count = r.recipients THEN 'read'
        WHEN r.recipients > 0 AND r.delivered_count = r.recipients THEN 'synced'
        ELSE 'pending_sync'
    END AS status,
    r.synced_at,
    r.read_at,
    r.delivered_count,
    r.read_count
FROM messages.messages AS m
CROSS JOIN LATERAL (
    SELECT
        count(*) AS recipients,
        count(delivered_at) AS delivered_count,
        count(read_at) AS read_count,
        min(delivered_at) AS synced_at,
        min(read_at) AS read_at
    FROM messages.message_receipts
    WHERE conversation_id = m.conversation_id AND message_id = m.id
) AS r;
COMMENT ON VIEW messages.message_status IS 'How far a message has come: the least over its recipients.';
COMMENT ON COLUMN messages.message_status.synced_at IS 'When it first reached a recipient.';
COMMENT ON COLUMN messages.message_status.read_at IS 'When a recipient first read it.';

CREATE VIEW messages.delivery_tracking AS
SELECT id, message_id, user_id, status, delivered_at, read_at, created_at
FROM messages.message_receipts;
COMMENT ON VIEW messages.delivery_tracking IS 'messages.message_receipts under the name that some readers know.';

CREATE VIEW messages.reactions AS
SELECT id, message_id, user_id, emoji, created_at
FROM messages.message_reactions;
COMMENT ON VIEW messages.reactions IS 'messages.message_reactions under the name that some readers know.';
