-- Which rows a reader sees. A reader says for whom it asks, inside a transaction:
--
--     BEGIN;
--     SELECT set_config('app.current_user_id', '0192f3c4-…', true);
--     SELECT … ;
--     COMMIT;
--
-- The role `echolog_reader` is held to the policies below; the owner of the tables is not. Without
-- a user there are no rows. A policy names the columns of its own table and functions, nothing
-- else: a projection's tables can then be exchanged without the others noticing. What a user may
-- see is asked once per statement, `= ANY (ARRAY(SELECT …))`, not once per row.
--
-- Functions that look into tables run with the owner's rights, or the policies would ask each
-- other in circles. Their bodies are texts: what they name is looked up when they are called.

CREATE FUNCTION auth.current_user_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
AS $$SELECT nullif(current_setting('app.current_user_id', true), '')::uuid$$;
COMMENT ON FUNCTION auth.current_user_id() IS 'For whom this transaction reads; NULL for nobody.';

CREATE FUNCTION public.current_user_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
AS $$SELECT auth.current_user_id()$$;
COMMENT ON FUNCTION public.current_user_id() IS 'auth.current_user_id() under the name that some readers know.';

CREATE FUNCTION auth.is_admin() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT EXISTS (
        SELECT FROM auth.users
        WHERE id = auth.current_user_id() AND role = 'admin' AND account_status = 'active'
    )
$$;
COMMENT ON FUNCTION auth.is_admin() IS 'Whether the current user is an administrator who may act.';

CREATE FUNCTION messages.my_conversation_ids() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT conversation_id FROM messages.members
    WHERE user_id = auth.current_user_id() AND is_active
$$;
COMMENT ON FUNCTION messages.my_conversation_ids() IS 'The conversations that the current user is a member of.';

CREATE FUNCTION messages.is_conversation_participant(conv_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT EXISTS (
        SELECT FROM messages.members
        WHERE conversation_id = conv_id AND user_id = auth.current_user_id() AND is_active
    )
$$;
COMMENT ON FUNCTION messages.is_conversation_participant(uuid) IS 'Whether the current user is a member.';

CREATE FUNCTION messages.is_conversation_admin(conv_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT EXISTS (
        SELECT FROM messages.members
        WHERE conversation_id = conv_id AND user_id = auth.current_user_id() AND is_active
            AND role IN ('owner', 'admin')
    )
$$;
COMMENT ON FUNCTION messages.is_conversation_admin(uuid) IS 'Whether the current user owns or administers it.';

CREATE FUNCTION users.is_blocked_by(target_user_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT EXISTS (
        SELECT FROM users.blocked_users
        WHERE user_id = target_user_id AND blocked_user_id = auth.current_user_id()
    )
$$;
COMMENT ON FUNCTION users.is_blocked_by(uuid) IS 'Whether that user blocks the current one.';

CREATE FUNCTION messages.can_send_messages(conv_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT EXISTS (
        SELECT FROM messages.members AS m
        JOIN messages.conversations AS c ON c.id = m.conversation_id
        JOIN auth.users AS u ON u.id = m.user_id
        WHERE c.id = conv_id AND m.user_id = auth.current_user_id() AND m.is_active
            AND u.account_status = 'active'
            AND CASE c.conversation_type
                WHEN 'group' THEN true
                WHEN 'direct' THEN NOT EXISTS (
                    SELECT FROM messages.members AS other
                    JOIN users.blocked_users AS b
                        ON b.user_id = m.user_id AND b.blocked_user_id = other.user_id
                        OR b.user_id = other.user_id AND b.blocked_user_id = m.user_id
                    WHERE other.conversation_id = c.id AND other.user_id <> m.user_id
                )
                ELSE m.role IN ('owner', 'admin', 'moderator')
            END
    )
$$;
COMMENT ON FUNCTION messages.can_send_messages(uuid) IS 'Whether `messages.send_message` would let the current user say something there.';

CREATE FUNCTION messages.can_delete_message(conv_id uuid, msg_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT EXISTS (
        SELECT FROM messages.messages AS x
        JOIN messages.members AS m ON m.conversation_id = x.conversation_id
        JOIN auth.users AS u ON u.id = m.user_id
        WHERE x.conversation_id = conv_id AND x.id = msg_id AND NOT x.is_deleted
            AND m.user_id = auth.current_user_id() AND m.is_active
            AND u.account_status = 'active'
            AND (x.sender_user_id = m.user_id OR m.role IN ('owner', 'admin', 'moderator'))
    )
$$;
COMMENT ON FUNCTION messages.can_delete_message(uuid, uuid) IS 'Whether `messages.delete_message` would let the current user delete it.';

CREATE FUNCTION messages.can_delete_message(msg_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT coalesce(bool_and(messages.can_delete_message(conversation_id, id)), false)
    FROM messages.messages
    WHERE id = msg_id AND conversation_id = ANY (ARRAY(SELECT messages.my_conversation_ids()))
$$;
COMMENT ON FUNCTION messages.can_delete_message(uuid) IS 'The same for a message of which only the id is known. Ids are unique in their conversation; where the current user can see several of that id, it holds only if it does for each.';

REVOKE EXECUTE ON FUNCTION auth.is_admin(), messages.my_conversation_ids(),
    messages.is_conversation_participant(uuid), messages.is_conversation_admin(uuid),
    users.is_blocked_by(uuid), messages.can_send_messages(uuid),
    messages.can_delete_message(uuid, uuid), messages.can_delete_message(uuid)
FROM PUBLIC;

-- Someone's own.
CREATE POLICY users_own_account ON auth.users FOR SELECT TO echolog_reader
    USING (id = (SELECT auth.current_user_id()));
CREATE POLICY users_own_profile ON users.profiles FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY contacts_visibility ON users.profiles FOR SELECT TO echolog_reader
    USING (profile_visibility = 'public' AND (SELECT auth.current_user_id()) IS NOT NULL);
CREATE POLICY own_settings ON users.settings FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY own_blocks ON users.blocked_users FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY own_activity ON users.activity_log FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));
CREATE POLICY own_auth_events ON audit.auth_events FOR SELECT TO echolog_reader
    USING (user_id = (SELECT auth.current_user_id()));

-- What is said and done in conversations, for those who are members now.
CREATE POLICY participants_read ON messages.conversations FOR SELECT TO echolog_reader
    USING (id = ANY (ARRAY(SELECT messages.my_conversation_ids())));
CREATE POLICY participants_read_messages ON messages.messages FOR SELECT TO echolog_reader
    USING (conversation_id = ANY (ARRAY(SELECT messages.my_conversation_ids())));
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'members', 'membership_periods', 'cursor_moves', 'participant_history', 'message_edits',
        'message_reactions', 'threads', 'pinned_messages'
    ] LOOP
        EXECUTE format(
            'CREATE POLICY participants_read ON messages.%I FOR SELECT TO echolog_reader
             USING (conversation_id = ANY (ARRAY(SELECT messages.my_conversation_ids())))', name);
    END LOOP;
    -- Of conversations that were left one's own part remains.
    FOREACH name IN ARRAY ARRAY['members', 'membership_periods', 'cursor_moves', 'participant_history'] LOOP
        EXECUTE format(
            'CREATE POLICY own_membership ON messages.%I FOR SELECT TO echolog_reader
             USING (user_id = (SELECT auth.current_user_id()))', name);
    END LOOP;
    -- Administrators see everything that is granted at all.
    FOR name IN
        SELECT c.oid::regclass FROM pg_class AS c
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND c.relnamespace IN ('auth'::regnamespace, 'users'::regnamespace,
                'messages'::regnamespace, 'audit'::regnamespace, 'projection'::regnamespace)
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name);
        IF name NOT LIKE 'projection.%' THEN
            EXECUTE format('CREATE POLICY admin_full_access ON %s FOR ALL TO echolog_reader
                USING ((SELECT auth.is_admin()))', name);
        END IF;
    END LOOP;
END
$$;

-- How far the tables are is for everyone: projection.position().
CREATE POLICY positions ON projection.checkpoints FOR SELECT TO echolog_reader USING (true);

-- Views show what their reader may see.
ALTER VIEW messages.conversation_participants SET (security_invoker = true);
ALTER VIEW messages.message_receipts SET (security_invoker = true);
ALTER VIEW messages.message_status SET (security_invoker = true);
ALTER VIEW messages.delivery_tracking SET (security_invoker = true);
ALTER VIEW messages.reactions SET (security_invoker = true);
ALTER VIEW views.unread_counts SET (security_invoker = true);
