-- As many users as conversations, each user in 20 conversations and each conversation of 20 users;
-- messages of ten words out of 20,000, of which a few come often and most seldom. Straight into the
-- tables: how they came there is measured elsewhere.
CREATE SCHEMA bench;
CREATE FUNCTION bench.id(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
AS $$SELECT ('00000000-0000-7000-' || lpad(kind::text, 4, '8000') || '-' || lpad(to_hex(n), 12, '0'))::uuid$$;
CREATE FUNCTION bench.word() RETURNS text LANGUAGE sql VOLATILE
AS $$SELECT 'w' || floor(20000 * random() ^ 3)$$;
CREATE SEQUENCE bench.messages CACHE 1000;
GRANT USAGE ON SCHEMA bench TO PUBLIC;
SELECT setseed(0.5);
SET synchronous_commit = off;

INSERT INTO messages.conversations
SELECT bench.id(2, c), 'group', NULL, 'conversation ' || c, NULL, NULL, bench.id(1, c), bench.id(1, c),
    false, false, 20, :messages / :conversations, :messages / :conversations, NULL,
    '2026-01-01'::timestamptz + c * interval '1 second', NULL, 'a preview',
    '2026-01-01'::timestamptz + c * interval '1 second', NULL, NULL, 'everyone', 'everyone', '{}', '{}', false,
    '2025-01-01', '2025-01-01', NULL
FROM generate_series(0, :conversations - 1) AS c;

-- User u is in conversations u, u + 37, u + 74 and so on, and has read most of what is there.
INSERT INTO messages.members
SELECT bench.id(3, c * 20 + k), bench.id(2, c), bench.id(1, u), 'member', NULL, NULL, true, '2025-01-01', NULL,
    read, read, 0, NULL, NULL, '2025-01-01', '2025-01-01'
FROM generate_series(0, :conversations - 1) AS c, generate_series(0, 19) AS k,
    LATERAL (SELECT (c + :conversations - k * 37 % :conversations) % :conversations AS u,
        floor(random() * :messages / :conversations)::bigint AS read) AS d;

CREATE FUNCTION bench.send(count bigint, conversations bigint) RETURNS void LANGUAGE sql
AS $$
    INSERT INTO messages.messages
    SELECT bench.id(4, n), bench.id(2, n % conversations), n / conversations + 1, n + 1,
        bench.id(1, n % conversations), NULL, 'text',
        bench.word() || ' ' || bench.word() || ' ' || bench.word() || ' ' || bench.word() || ' ' || bench.word()
        || ' ' || bench.word() || ' ' || bench.word() || ' ' || bench.word() || ' ' || bench.word() || ' '
        || bench.word(),
        false, NULL, NULL, NULL, false, NULL, 0, false, NULL, NULL, '[]', NULL, '{}', 0, 0,
        '2026-01-01'::timestamptz + n * interval '1 second', '2026-01-01'::timestamptz
    FROM (SELECT nextval('bench.messages') - 1 AS n FROM generate_series(1, count)) AS s
$$;
SELECT bench.send(:messages, :conversations);
VACUUM (ANALYZE) messages.messages;
CHECKPOINT;
