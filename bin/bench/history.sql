-- Messages of earlier, with their receipts and their audit: on empty tables without statistics
-- triggers look far slower than they are, because foreign keys are then checked by reading whole
-- tables. Takes the variable `messages`; comes before the triggers.
INSERT INTO messages.messages (conversation_id, from_user_id, content, created_at, updated_at)
SELECT c.conversation_id, c.members[1 + drawn.member % cardinality(c.members)], t.content,
    now() - drawn.age * interval '1 s', now() - drawn.age * interval '1 s'
FROM (
    SELECT age, 1 + floor(random() * (SELECT count(*) FROM bench.conversations))::int AS i,
        1 + floor(random() * 20000)::int AS text, floor(random() * 1000000)::int AS member
    FROM generate_series(1, :messages) AS age
) AS drawn
JOIN bench.conversations AS c USING (i)
JOIN bench.texts AS t ON t.i = drawn.text
ORDER BY drawn.age DESC;

INSERT INTO messages.delivery_tracking (message_id, user_id, created_at)
SELECT m.id, p.user_id, m.created_at
FROM messages.messages AS m
JOIN messages.conversation_participants AS p
    ON p.conversation_id = m.conversation_id AND p.user_id <> m.from_user_id;

INSERT INTO audit.record_changes
    (schema_name, table_name, operation, new_data, user_id, created_at)
SELECT 'messages', 'messages', 'INSERT', to_jsonb(m), m.from_user_id, m.created_at
FROM messages.messages AS m;
VACUUM ANALYZE;
