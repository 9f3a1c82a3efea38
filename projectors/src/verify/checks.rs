//! The checks: what is wrong, and the query that finds the rows.
//!
//! A check across two projections looks at them only while the one that is referred to is at least
//! as far as the other: what is not there yet is not missing.

/// What a finding is called, and the query that finds it.
pub(super) const CHECKS: &[(&str, &str)] = &[
    (
        "things that stand still since an event that cannot be applied (`echolog parked list`)",
        "SELECT projection, stream_id, event_seq, error FROM projection.parked
         WHERE error IS NOT NULL AND strpos(projection, ':') = 0",
    ),
    (
        "conversations with a wrong number of messages",
        "SELECT c.id, c.message_count, c.last_seq, count(m.id), coalesce(max(m.seq), 0) AS max
         FROM messages.conversations AS c
         LEFT JOIN messages.messages AS m ON m.conversation_id = c.id
         GROUP BY c.id
         HAVING c.message_count <> count(m.id) OR c.last_seq <> count(m.id)
            OR c.last_seq <> coalesce(max(m.seq), 0)",
    ),
    (
        "conversations with a wrong number of members",
        "SELECT c.id, c.member_count, count(m.user_id)
         FROM messages.conversations AS c
         LEFT JOIN messages.members AS m ON m.conversation_id = c.id AND m.is_active
         GROUP BY c.id HAVING c.member_count <> count(m.user_id)",
    ),
    (
        "conversations with another last message than their last that is not deleted",
        "SELECT c.id, c.last_message_id, m.id AS message_id
         FROM messages.conversations AS c
         LEFT JOIN LATERAL (
            SELECT * FROM messages.messages AS x
            WHERE x.conversation_id = c.id AND NOT x.is_deleted ORDER BY x.seq DESC LIMIT 1
         ) AS m ON true
         WHERE (c.last_message_id, c.last_message_at, c.last_message_sender_id,
                c.last_message_preview)
            IS DISTINCT FROM (m.id, m.created_at, m.sender_user_id,
                CASE WHEN NOT m.content_encrypted THEN left(m.content, 200) END)",
    ),
    (
        "wrong unread numbers",
        "SELECT p.conversation_id, p.user_id, p.unread_count, r.count
         FROM messages.conversation_participants AS p
         JOIN messages.members AS m USING (conversation_id, user_id)
         CROSS JOIN LATERAL (
            SELECT count(*) FROM messages.messages AS x
            WHERE m.is_active AND x.conversation_id = m.conversation_id AND x.seq > m.read_seq
                AND x.sender_user_id <> m.user_id AND NOT x.is_deleted
         ) AS r
         WHERE p.unread_count <> r.count",
    ),
    (
        "cursors of members that are not where they moved to",
        "SELECT m.conversation_id, m.user_id, m.read_seq, m.delivered_seq, p.from_seq, v.*
         FROM messages.members AS m
         JOIN messages.membership_periods AS p USING (conversation_id, user_id)
         CROSS JOIN LATERAL (
            SELECT coalesce(max(up_to_seq) FILTER (WHERE kind = 'read'), 0) AS read,
                coalesce(max(up_to_seq), 0) AS delivered
            FROM messages.cursor_moves AS x
            WHERE x.conversation_id = m.conversation_id AND x.user_id = m.user_id
         ) AS v
         WHERE m.is_active AND p.to_seq IS NULL
            AND (m.read_seq <> greatest(p.from_seq, v.read)
                OR m.delivered_seq <> greatest(p.from_seq, v.delivered))",
    ),
    (
        "cursors beyond the last message",
        "SELECT m.conversation_id, m.user_id, m.read_seq, m.delivered_seq, c.last_seq
         FROM messages.members AS m
         JOIN messages.conversations AS c ON c.id = m.conversation_id
         WHERE m.read_seq > c.last_seq OR m.delivered_seq > c.last_seq",
    ),
    (
        "members whose periods do not say whether they are active",
        "SELECT m.conversation_id, m.user_id, m.is_active, count(p.from_seq)
         FROM messages.members AS m
         LEFT JOIN messages.membership_periods AS p
            ON p.conversation_id = m.conversation_id AND p.user_id = m.user_id
            AND p.to_seq IS NULL
         GROUP BY m.conversation_id, m.user_id
         HAVING count(p.from_seq) <> m.is_active::integer",
    ),
    (
        "periods of membership that overlap",
        "SELECT a.conversation_id, a.user_id, a.from_seq, a.to_seq, b.from_seq AS other
         FROM messages.membership_periods AS a
         JOIN messages.membership_periods AS b USING (conversation_id, user_id)
         WHERE b.from_seq > a.from_seq AND (a.to_seq IS NULL OR b.from_seq < a.to_seq)",
    ),
    (
        "messages with a wrong number of reactions",
        "SELECT m.conversation_id, m.id, m.reaction_count, coalesce(r.count, 0) AS count
         FROM messages.messages AS m
         LEFT JOIN (
            SELECT conversation_id, message_id, count(*) FROM messages.message_reactions GROUP BY 1, 2
         ) AS r ON r.conversation_id = m.conversation_id AND r.message_id = m.id
         WHERE m.reaction_count <> coalesce(r.count, 0)",
    ),
    (
        "messages with a wrong number of replies",
        "SELECT m.conversation_id, m.id, m.reply_count, coalesce(r.count, 0) AS count
         FROM messages.messages AS m
         LEFT JOIN (
            SELECT conversation_id, reply_to_message_id, count(*) FROM messages.messages
            WHERE reply_to_message_id IS NOT NULL GROUP BY 1, 2
         ) AS r ON r.conversation_id = m.conversation_id AND r.reply_to_message_id = m.id
         WHERE m.reply_count <> coalesce(r.count, 0)",
    ),
    (
        "messages with a wrong number of edits",
        "SELECT m.conversation_id, m.id, m.edit_count, m.is_edited, coalesce(e.count, 0) AS count
         FROM messages.messages AS m
         LEFT JOIN (
            SELECT conversation_id, message_id, count(*), max(edit_number)
            FROM messages.message_edits GROUP BY 1, 2
         ) AS e ON e.conversation_id = m.conversation_id AND e.message_id = m.id
         WHERE m.edit_count <> coalesce(e.count, 0) OR m.edit_count <> coalesce(e.max, 0)
            OR m.is_edited <> (m.edit_count > 0)",
    ),
    (
        "deleted messages that still say something",
        "SELECT conversation_id, id FROM messages.messages
         WHERE is_deleted AND (content <> '' OR metadata <> '{}' OR deleted_at IS NULL)",
    ),
    (
        "replies that are in no thread, or in another one",
        "SELECT m.conversation_id, m.id, m.reply_to_message_id, t.parent_message_id
         FROM messages.messages AS m
         FULL JOIN messages.threads AS t
            ON t.conversation_id = m.conversation_id AND t.reply_message_id = m.id
         WHERE m.reply_to_message_id IS DISTINCT FROM t.parent_message_id",
    ),
    (
        "messages in no conversation, or by somebody who was never a member",
        "SELECT m.conversation_id, m.id, m.sender_user_id
         FROM messages.messages AS m
         LEFT JOIN messages.conversations AS c ON c.id = m.conversation_id
         LEFT JOIN messages.members AS s
            ON s.conversation_id = m.conversation_id AND s.user_id = m.sender_user_id
         WHERE c.id IS NULL OR s.user_id IS NULL",
    ),
    (
        "members of no conversation",
        "SELECT m.conversation_id, m.user_id FROM messages.members AS m
         WHERE NOT EXISTS (SELECT FROM messages.conversations AS c WHERE c.id = m.conversation_id)",
    ),
    (
        "reactions to no message",
        "SELECT r.conversation_id, r.message_id, r.user_id FROM messages.message_reactions AS r
         WHERE NOT EXISTS (SELECT FROM messages.messages AS m
            WHERE m.conversation_id = r.conversation_id AND m.id = r.message_id)",
    ),
    (
        "pins of no message, or of a deleted one",
        "SELECT p.conversation_id, p.message_id FROM messages.pinned_messages AS p
         LEFT JOIN messages.messages AS m
            ON m.conversation_id = p.conversation_id AND m.id = p.message_id
         WHERE m.is_deleted IS NOT FALSE",
    ),
    (
        "edits of no message",
        "SELECT e.conversation_id, e.message_id, e.edit_number FROM messages.message_edits AS e
         WHERE NOT EXISTS (SELECT FROM messages.messages AS m
            WHERE m.conversation_id = e.conversation_id AND m.id = e.message_id)",
    ),
    (
        "replies to no message",
        "SELECT t.conversation_id, t.reply_message_id, t.parent_message_id
         FROM messages.threads AS t
         WHERE NOT EXISTS (SELECT FROM messages.messages AS m
            WHERE m.conversation_id = t.conversation_id AND m.id = t.parent_message_id)",
    ),
    (
        "cursors and periods of nobody",
        "SELECT conversation_id, user_id FROM (
            SELECT conversation_id, user_id FROM messages.cursor_moves
            UNION SELECT conversation_id, user_id FROM messages.membership_periods
            UNION SELECT conversation_id, user_id FROM messages.participant_history
         ) AS x
         EXCEPT SELECT conversation_id, user_id FROM messages.members",
    ),
    (
        "direct conversations of the same two",
        "SELECT direct_key, count(*) FROM messages.conversations
         WHERE direct_key IS NOT NULL GROUP BY 1 HAVING count(*) > 1",
    ),
    (
        "members without an account",
        "SELECT m.conversation_id, m.user_id FROM messages.members AS m
         WHERE projection.position('auth') >= projection.position('messages')
            AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id = m.user_id)",
    ),
    (
        "values that two accounts have",
        "SELECT kind, value, count(*) FROM auth.users,
            LATERAL (VALUES ('username', lower(username)), ('email', email),
                ('phone_number', phone_number)) AS v (kind, value)
         WHERE value IS NOT NULL AND deleted_at IS NULL
         GROUP BY kind, value HAVING count(*) > 1",
    ),
    (
        "live sessions of one device of a user",
        "SELECT user_id, device_id, count(*) FROM auth.sessions
         WHERE revoked_at IS NULL GROUP BY 1, 2 HAVING count(*) > 1",
    ),
    (
        "live sessions without a refresh token, or with several, or with another one",
        "SELECT s.user_id, s.id, count(r.id) FROM auth.sessions AS s
         LEFT JOIN auth.refresh_tokens AS r
            ON r.user_id = s.user_id AND r.session_id = s.id AND NOT r.revoked
         WHERE s.revoked_at IS NULL
         GROUP BY s.user_id, s.id
         HAVING count(r.id) <> 1 OR min(r.token) IS DISTINCT FROM s.refresh_token",
    ),
    (
        "live refresh tokens of no session, or of one that has ended",
        "SELECT r.user_id, r.session_id, r.id FROM auth.refresh_tokens AS r
         WHERE NOT r.revoked AND NOT EXISTS (SELECT FROM auth.sessions AS s
            WHERE s.id = r.session_id AND s.user_id = r.user_id AND s.revoked_at IS NULL)",
    ),
    (
        "refresh tokens that were exchanged for nothing",
        "SELECT r.user_id, r.session_id, r.id, r.replaced_by_id FROM auth.refresh_tokens AS r
         WHERE r.replaced_by_id IS NOT NULL AND NOT EXISTS (SELECT FROM auth.refresh_tokens AS x
            WHERE x.id = r.replaced_by_id AND x.user_id = r.user_id
                AND x.session_id = r.session_id)",
    ),
    (
        "locks without an end, or ends of no lock",
        "SELECT id, locked, locked_until FROM auth.users WHERE locked <> (locked_until IS NOT NULL)",
    ),
    (
        "second factors in use that are none, several, or of another kind",
        "SELECT u.id, u.two_factor_method, count(f.id) FROM auth.users AS u
         LEFT JOIN auth.two_factor_factors AS f ON f.user_id = u.id AND f.status = 'active'
         GROUP BY u.id HAVING count(f.id) <> u.two_factor_enabled::int
            OR max(f.kind) IS DISTINCT FROM u.two_factor_method",
    ),
    (
        "recovery codes that are good where no second factor is in use",
        "SELECT c.user_id, c.id FROM auth.recovery_codes AS c
         WHERE c.used_at IS NULL AND c.revoked_at IS NULL AND NOT EXISTS (
            SELECT FROM auth.users AS u WHERE u.id = c.user_id AND u.two_factor_enabled)",
    ),
    (
        "live sessions of nobody",
        "SELECT s.user_id, s.id FROM auth.sessions AS s
         WHERE s.revoked_at IS NULL
            AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id = s.user_id)",
    ),
    (
        "live sessions of accounts that are banned or deleted",
        "SELECT s.user_id, s.id, u.account_status FROM auth.sessions AS s
         JOIN auth.users AS u ON u.id = s.user_id
         WHERE s.revoked_at IS NULL AND u.account_status IN ('banned', 'deleted')",
    ),
    (
        "API keys of nobody",
        "SELECT k.user_id, k.id FROM auth.api_keys AS k
         WHERE NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id = k.user_id)",
    ),
    (
        "identities of nobody",
        "SELECT o.user_id, o.id FROM auth.oauth_providers AS o
         WHERE NOT EXISTS (SELECT FROM auth.users AS u
            WHERE u.id = o.user_id AND u.account_status <> 'deleted')",
    ),
    (
        "identities that speak for two",
        "SELECT provider, provider_user_id, count(*) FROM auth.oauth_providers
         GROUP BY provider, provider_user_id HAVING count(*) > 1",
    ),
    (
        "tokens of providers that are not sealed",
        "SELECT user_id, id FROM auth.oauth_providers
         WHERE access_token NOT LIKE 'x1.%' OR refresh_token NOT LIKE 'x1.%'
            OR access_token IS NULL AND num_nonnulls(refresh_token, token_expires_at) > 0",
    ),
    (
        "accounts without a profile or settings",
        "SELECT u.id FROM auth.users AS u
         LEFT JOIN users.profiles AS p ON p.user_id = u.id
         LEFT JOIN users.settings AS s ON s.user_id = u.id
         WHERE projection.position('users') >= projection.position('auth')
            AND (p.user_id IS NULL OR s.user_id IS NULL)",
    ),
    (
        "profiles without an account, or with another username",
        "SELECT p.user_id, p.username, u.username AS account FROM users.profiles AS p
         LEFT JOIN auth.users AS u ON u.id = p.user_id
         WHERE projection.position('auth') >= projection.position('users')
            AND (u.id IS NULL OR u.username IS DISTINCT FROM p.username)",
    ),
    (
        "blocks of nobody",
        "SELECT b.user_id, b.blocked_user_id FROM users.blocked_users AS b
         WHERE projection.position('auth') >= projection.position('users')
            AND (NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id = b.user_id)
                OR NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id = b.blocked_user_id))",
    ),
    (
        "accounts and conversations that decisions do not know",
        "SELECT 'user' AS stream, u.id FROM auth.users AS u
         WHERE projection.position('deciders') >= projection.position('auth')
            AND NOT EXISTS (SELECT FROM projection.deciders AS d
                WHERE d.stream = 'user' AND d.id = u.id::text)
         UNION ALL
         SELECT 'conversation', c.id FROM messages.conversations AS c
         WHERE projection.position('deciders') >= projection.position('messages')
            AND NOT EXISTS (SELECT FROM projection.deciders AS d
                WHERE d.stream = 'conversation' AND d.id = c.id::text)",
    ),
    (
        "accounts and conversations that only decisions know",
        "SELECT d.stream, d.id FROM projection.deciders AS d
         WHERE (d.stream = 'user' AND projection.position('auth') >= projection.position('deciders')
                AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id::text = d.id))
            OR (d.stream = 'conversation'
                AND projection.position('messages') >= projection.position('deciders')
                AND NOT EXISTS (SELECT FROM messages.conversations AS c WHERE c.id::text = d.id))",
    ),
    (
        "commands without events, or with a version of nothing",
        "SELECT command_id, key, seq, version, events FROM projection.ledger
         WHERE cardinality(events) = 0 OR version > seq
            OR seq > projection.position('ledger')",
    ),
];
