-- Users, conversations and texts, the same in every run. Takes the variables `users` and
-- `conversations`.
SELECT setseed(0.42);

INSERT INTO auth.users (id, phone, password_hash, verified, email)
SELECT md5('user ' || i)::uuid, '+1' || lpad(i::text, 10, '0'),
    '$2b$12$' || md5(i::text) || md5(i::text || '!'), true, 'user' || i || '@example.org'
FROM generate_series(1, :users) AS i;

-- 2 to 50 members, 10 on average; some users are in many conversations, most in few.
CREATE TEMP TABLE planned AS
SELECT i, md5('conversation ' || i)::uuid AS id,
    least(50, 2 + floor(-ln(1 - random()) * 8.5))::int AS size
FROM generate_series(1, :conversations) AS i;

INSERT INTO messages.conversations (id, type, name, created_by, created_at)
SELECT id, CASE WHEN size = 2 THEN 'direct' ELSE 'group' END, 'conversation ' || i,
    md5('user 1')::uuid, now() - interval '400 days'
FROM planned;

INSERT INTO messages.conversation_participants (conversation_id, user_id, joined_at)
SELECT planned.id, md5('user ' || 1 + floor(:users * random() ^ 2)::int)::uuid,
    now() - interval '400 days'
FROM planned, generate_series(1, planned.size)
ON CONFLICT DO NOTHING;

UPDATE messages.conversations AS c SET member_count = p.n
FROM (
    SELECT conversation_id, count(*) AS n FROM messages.conversation_participants GROUP BY 1
) AS p
WHERE p.conversation_id = c.id;

-- Words as frequent as words are, and texts of them of 80 characters on average.
CREATE TABLE bench.words AS
SELECT i, translate(substr(md5('word ' || i), 1, 3 + i % 6), '0123456789abcdef', 'aeioubdglmnprstk') AS word
FROM generate_series(1, 20000) AS i;
ALTER TABLE bench.words ADD PRIMARY KEY (i);

CREATE TABLE bench.texts AS
SELECT t.i, (
    SELECT string_agg(w.word, ' ')
    FROM (
        SELECT greatest(1, floor(20000 ^ random())::int) + 0 * t.i AS i FROM generate_series(1, t.n)
    ) AS drawn
    JOIN bench.words AS w USING (i)
) AS content
FROM (
    SELECT i, least(80, 2 + floor(-ln(1 - random()) * 10.5))::int AS n
    FROM generate_series(1, 20000) AS i
) AS t;
ALTER TABLE bench.texts ADD PRIMARY KEY (i);

-- By number, so that a client picks a conversation and one of its members without a search.
CREATE TABLE bench.conversations AS
SELECT planned.i, planned.id AS conversation_id, array_agg(p.user_id ORDER BY p.user_id) AS members
FROM planned JOIN messages.conversation_participants AS p ON p.conversation_id = planned.id
GROUP BY 1, 2;
ALTER TABLE bench.conversations ADD PRIMARY KEY (i);
VACUUM ANALYZE;
