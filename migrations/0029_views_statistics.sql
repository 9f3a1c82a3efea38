-- Statistics for `echolog_analyst`, who sees nothing else. They run with the owner's rights on purpose:
-- they count rows that the analyst may not see. So they name nobody, and leave out days on which fewer
-- than five people wrote, and kinds of conversations of which there are fewer than five.
-- `security_barrier` keeps a condition of the reader's from being tried on the rows that are counted.
--
-- Each reads whole tables: for reports, not for pages.
CREATE VIEW views.user_growth WITH (security_barrier = true) AS
SELECT registration_date, new_users,
    sum(new_users) OVER (ORDER BY registration_date)::bigint AS cumulative_users
FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS registration_date, count(*) AS new_users
    FROM auth.users GROUP BY 1
) AS d;
COMMENT ON VIEW views.user_growth IS 'Registrations per day, and how many there were until then.';

CREATE VIEW views.registrations WITH (security_barrier = true) AS
SELECT p.period_type, date_trunc(p.period_type, u.created_at AT TIME ZONE 'UTC')::date AS period,
    count(*) AS new_users
FROM auth.users AS u CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS p (period_type)
GROUP BY 1, 2;
COMMENT ON VIEW views.registrations IS 'Registrations per day, week and month.';

CREATE VIEW views.messaging_stats WITH (security_barrier = true) AS
SELECT m.stat_date, m.messages_sent, m.active_senders, m.media_messages,
    coalesce(c.conversations_created, 0) AS conversations_created
FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS stat_date, count(*) AS messages_sent,
        count(DISTINCT sender_user_id) AS active_senders,
        count(*) FILTER (WHERE message_type IN ('image', 'video', 'audio', 'document')) AS media_messages
    FROM messages.messages GROUP BY 1
) AS m
LEFT JOIN (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS stat_date, count(*) AS conversations_created
    FROM messages.conversations GROUP BY 1
) AS c USING (stat_date)
WHERE m.active_senders >= 5;
COMMENT ON VIEW views.messaging_stats IS 'What was sent and begun per day, where at least five people wrote.';

CREATE VIEW views.message_types WITH (security_barrier = true) AS
SELECT (created_at AT TIME ZONE 'UTC')::date AS stat_date, message_type, count(*) AS messages_sent,
    count(DISTINCT sender_user_id) AS active_senders
FROM messages.messages
GROUP BY 1, 2
HAVING count(DISTINCT sender_user_id) >= 5;
COMMENT ON VIEW views.message_types IS 'Messages per day and type, where at least five people sent some of it.';

CREATE VIEW views.conversation_sizes WITH (security_barrier = true) AS
SELECT conversation_type, member_count, count(*) AS conversations, sum(message_count)::bigint AS messages
FROM messages.conversations
WHERE deleted_at IS NULL
GROUP BY 1, 2
HAVING count(*) >= 5;
COMMENT ON VIEW views.conversation_sizes IS 'Conversations by type and number of members, where there are at least five alike.';
