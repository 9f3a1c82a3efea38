-- Who reads. Roles are the server's, not the database's, so each `echolog migrate` makes those that
-- the server lacks. They cannot log in: an application's own role is granted `echolog_reader`.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'echolog_reader') THEN
        CREATE ROLE echolog_reader NOLOGIN;
    END IF;
EXCEPTION
    -- Another tenant was quicker.
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'PostgreSQL lacks the role echolog_reader, and % may not make it; let a superuser run: CREATE ROLE echolog_reader NOLOGIN',
            current_user;
END
$$;
