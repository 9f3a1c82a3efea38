-- Who works and who reads. Roles are the server's, not the database's, so each `echolog migrate` makes
-- those that the server lacks. They cannot log in as they are made: an application's own role is granted
-- `echolog_reader`, an analyst's `echolog_analyst`. Workers connect as `echolog_projector` itself, for
-- BYPASSRLS is an attribute, which nobody has through a membership.
DO $$
DECLARE
    lacking text[] := ARRAY(
        SELECT statement FROM (VALUES
            ('CREATE ROLE authenticated_users NOLOGIN',
                EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated_users')),
            ('CREATE ROLE echolog_reader NOLOGIN',
                EXISTS (SELECT FROM pg_roles WHERE rolname = 'echolog_reader')),
            ('CREATE ROLE echolog_analyst NOLOGIN',
                EXISTS (SELECT FROM pg_roles WHERE rolname = 'echolog_analyst')),
            ('CREATE ROLE echolog_projector NOLOGIN BYPASSRLS',
                EXISTS (SELECT FROM pg_roles WHERE rolname = 'echolog_projector')),
            ('ALTER ROLE echolog_projector BYPASSRLS',
                (SELECT coalesce(bool_and(rolbypassrls), true) FROM pg_roles
                WHERE rolname = 'echolog_projector')),
            ('GRANT authenticated_users TO echolog_reader',
                EXISTS (SELECT FROM pg_auth_members AS m
                    JOIN pg_roles AS g ON g.oid = m.roleid JOIN pg_roles AS r ON r.oid = m.member
                    WHERE g.rolname = 'authenticated_users' AND r.rolname = 'echolog_reader'))
        ) AS needed (statement, is_there)
        WHERE NOT is_there
    );
    statement text;
BEGIN
    FOREACH statement IN ARRAY lacking LOOP
        BEGIN
            EXECUTE statement;
        EXCEPTION
            -- Another tenant was quicker.
            WHEN duplicate_object OR unique_violation OR internal_error THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'PostgreSQL lacks roles that % may not make; let a superuser run: %',
                    current_user, array_to_string(lacking, '; ');
        END;
    END LOOP;
END
$$;
