-- What the sources of this project call by name and has no table of its own. Functions that look
-- into tables, or that cost processor time, are nobody's but the owner's until they are granted:
-- see access/grants.sql.

-- bcrypt and random bytes. In a schema that nobody may use: whoever may call crypt() himself can keep
-- a processor busy for hours.
CREATE SCHEMA crypto;
COMMENT ON SCHEMA crypto IS 'The extension pgcrypto, for functions of the schema auth.';
CREATE EXTENSION IF NOT EXISTS pgcrypto SCHEMA crypto;
-- Where it was there before.
ALTER EXTENSION pgcrypto SET SCHEMA crypto;

CREATE FUNCTION auth.current_session_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
AS $$SELECT nullif(current_setting('app.session_id', true), '')::uuid$$;
COMMENT ON FUNCTION auth.current_session_id() IS 'The session that this transaction reads in, as its reader says; NULL without one.';

CREATE FUNCTION auth.hash_password(password text) RETURNS text
LANGUAGE sql VOLATILE STRICT SECURITY DEFINER SET search_path = ''
AS $$SELECT crypto.crypt(password, crypto.gen_salt('bf', 12))$$;
COMMENT ON FUNCTION auth.hash_password(text) IS
    'A bcrypt hash of cost 12, which sees the first 72 bytes. Accounts made by commands have Argon2id hashes. A statement with a password in it may end up in PostgreSQL''s log.';

-- Other implementations write $2b$ or $2y$ for what pgcrypto calls $2a$. A cost beyond 14 takes
-- seconds: whoever can store a hash could keep a processor busy with it.
CREATE FUNCTION auth.verify_password(password text, hash text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT coalesce(CASE
        WHEN hash ~ '^\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$'
        THEN crypto.crypt(password, overlay(hash PLACING 'a' FROM 3 FOR 1))
            = overlay(hash PLACING 'a' FROM 3 FOR 1)
    END, false)
$$;
COMMENT ON FUNCTION auth.verify_password(text, text) IS
    'Whether a bcrypt hash is of this password. False for anything else, Argon2id included: that is the command handler''s.';

CREATE FUNCTION auth.generate_otp(length integer) RETURNS varchar
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    code varchar := '';
    byte integer;
BEGIN
    IF length IS NULL OR length NOT BETWEEN 1 AND 10 THEN
        RAISE EXCEPTION 'a code has 1 to 10 digits' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    WHILE char_length(code) < length LOOP
        byte := get_byte(crypto.gen_random_bytes(1), 0);
        -- The last six of 256 would make six digits more likely than the others.
        IF byte < 250 THEN
            code := code || byte % 10;
        END IF;
    END LOOP;
    RETURN code;
END
$$;
COMMENT ON FUNCTION auth.generate_otp(integer) IS 'So many random digits, each as likely as the others.';

CREATE FUNCTION auth.generate_token(length integer) RETURNS text
LANGUAGE sql VOLATILE STRICT SECURITY DEFINER SET search_path = ''
AS $$SELECT encode(crypto.gen_random_bytes(length), 'hex')$$;
COMMENT ON FUNCTION auth.generate_token(integer) IS 'So many random bytes, in hexadecimal.';

CREATE FUNCTION users.are_contacts(user_id_a uuid, user_id_b uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$SELECT false$$;
COMMENT ON FUNCTION users.are_contacts(uuid, uuid) IS 'Whether two users are contacts. There is no table of contacts yet, so nobody is; the migration that brings one replaces this.';

CREATE FUNCTION users.is_contact_with(target_user_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$SELECT coalesce(users.are_contacts(auth.current_user_id(), target_user_id), false)$$;
COMMENT ON FUNCTION users.is_contact_with(uuid) IS 'Whether the current user and that one are contacts.';

-- The rule is that of commands: 3 to 50 letters, digits, `_`, `.` and `-`, the first a letter or digit.
CREATE FUNCTION users.generate_unique_username(base_name varchar) RETURNS varchar
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    slug text := btrim(regexp_replace(lower(coalesce(base_name, '')), '[^a-z0-9]+', '_', 'g'), '_');
    candidate text;
    number integer := 0;
BEGIN
    -- Room for a number; and a name of one letter is none.
    slug := rtrim(left(slug, 40), '_');
    IF char_length(slug) < 3 THEN
        slug := CASE slug WHEN '' THEN 'user' ELSE slug || '_user' END;
    END IF;
    candidate := slug;
    WHILE EXISTS (SELECT FROM auth.users WHERE lower(username) = candidate) LOOP
        number := number + 1;
        candidate := slug || '_' || number;
    END LOOP;
    RETURN candidate;
END
$$;
COMMENT ON FUNCTION users.generate_unique_username(varchar) IS 'A user name like this one that no account has. A suggestion: only `auth.register_user` decides.';

CREATE SCHEMA location;
COMMENT ON SCHEMA location IS 'Where things are.';

CREATE FUNCTION location.calculate_distance(lat1 numeric, lon1 numeric, lat2 numeric, lon2 numeric)
RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    -- Rounding may take the root beyond 1, where there is no arc.
    SELECT round((2 * 6371 * asin(least(1, sqrt(
        sin(radians(lat2 - lat1)::float8 / 2) ^ 2
        + cos(radians(lat1)::float8) * cos(radians(lat2)::float8) * sin(radians(lon2 - lon1)::float8 / 2) ^ 2
    ))))::numeric, 3)
$$;
COMMENT ON FUNCTION location.calculate_distance(numeric, numeric, numeric, numeric) IS 'Kilometres between two points given in degrees, by the haversine formula.';

CREATE SCHEMA media;
COMMENT ON SCHEMA media IS 'Files.';

CREATE FUNCTION media.format_file_size(bytes bigint) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN bytes < 1024 THEN bytes || ' B'
        WHEN bytes < 1024 ^ 2 THEN round(bytes / 1024.0, 2) || ' KB'
        WHEN bytes < 1024 ^ 3 THEN round(bytes / 1024.0 ^ 2, 2) || ' MB'
        ELSE round(bytes / 1024.0 ^ 3, 2) || ' GB'
    END
$$;
COMMENT ON FUNCTION media.format_file_size(bigint) IS 'A size for people: B, KB, MB or GB, of 1024 each.';

-- Profiles for friends: for contacts.
ALTER POLICY contacts_visibility ON users.profiles USING (
    profile_visibility = 'public' AND (SELECT auth.current_user_id()) IS NOT NULL
    OR profile_visibility = 'friends' AND users.is_contact_with(user_id)
);

-- What someone has said stays readable to them, and what was said to them in a direct conversation,
-- also after they left. Members see it anyway.
CREATE POLICY messages_user_policy ON messages.messages FOR SELECT TO echolog_reader
    USING (sender_user_id = (SELECT auth.current_user_id())
        OR recipient_user_id = (SELECT auth.current_user_id()));
