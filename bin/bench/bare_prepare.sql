-- The rows of projection `messages` as files beside the cluster, and tables of the same structure
-- for them, without keys and indexes.
CREATE SCHEMA bare;
SELECT format('CREATE TABLE bare.%I (LIKE messages.%I INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING STORAGE)%s',
    relname, relname, ' WITH (' || array_to_string(reloptions, ', ') || ')')
FROM pg_class WHERE relnamespace = 'messages'::regnamespace AND relkind = 'r' AND reloptions IS NOT NULL
UNION ALL
SELECT format('CREATE TABLE bare.%I (LIKE messages.%I INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING STORAGE)',
    relname, relname)
FROM pg_class WHERE relnamespace = 'messages'::regnamespace AND relkind = 'r' AND reloptions IS NULL
\gexec
SELECT format('COPY messages.%I TO %L (FORMAT binary)', relname,
    current_setting('data_directory') || '/bare-' || relname)
FROM pg_class WHERE relnamespace = 'messages'::regnamespace AND relkind = 'r'
\gexec
CHECKPOINT;
