-- Search in the conversations of the current user. It runs with the owner's rights and applies
-- membership itself: under a policy PostgreSQL would have to ask who may see a row before it may look
-- for words in it, and could not use an index on words.
--
-- There is no such index: it would cost every message more than all that is written of it now. The
-- conversations of one user are few enough to read, if most messages are passed over at little cost: a
-- text without the letters of a word need not be taken apart into words. Where there is an index all the
-- same, the statement is planned for the very words and conversations, so that the shorter way is taken.
CREATE FUNCTION messages.search_messages(
    query text,
    in_conversation_id uuid DEFAULT NULL,
    max_results integer DEFAULT 50,
    before timestamptz DEFAULT NULL
) RETURNS TABLE (
    conversation_id uuid, message_id uuid, seq bigint, sender_user_id uuid, content text,
    created_at timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    mine uuid[] := ARRAY(
        SELECT id FROM messages.my_conversation_ids() AS id
        WHERE in_conversation_id IS NULL OR id = in_conversation_id
    );
    words tsquery := websearch_to_tsquery('simple', query);
    -- Without what must not be in a text; each word in quotes.
    wanted text := querytree(words);
    letters text[] := '{}';
BEGIN
    IF words IS NULL OR numnode(words) = 0 THEN
        RETURN;
    END IF;
    -- With an `or`, no word has to be there.
    IF regexp_replace(wanted, '''(''''|[^''])*''', '', 'g') !~ '\|' THEN
        letters := ARRAY(
            SELECT '%' || regexp_replace(word[1], '[^a-z0-9]+', '%', 'g') || '%'
            FROM regexp_matches(wanted, '''((?:''''|[^''])*)''', 'g') AS word
        );
    END IF;
    RETURN QUERY
        SELECT m.conversation_id, m.id, m.seq, m.sender_user_id, m.content, m.created_at
        FROM messages.messages AS m
        WHERE to_tsvector('simple', m.content) @@ words
            AND lower(m.content COLLATE "C") LIKE ALL (letters)
            AND NOT m.content_encrypted AND NOT m.is_deleted
            AND m.conversation_id = ANY (mine)
            AND m.created_at < coalesce(before, 'infinity')
        ORDER BY m.created_at DESC, m.id DESC
        LIMIT least(greatest(max_results, 0), 200);
END
$$;
COMMENT ON FUNCTION messages.search_messages(text, uuid, integer, timestamptz) IS
    'Messages with these words in the conversations that the current user is a member of, or in one of them; the newest first, at most 200. `"two words"` is a phrase, `-word` leaves out, `or` offers a choice. Words are compared as they are, in no language.';
