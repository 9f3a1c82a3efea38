-- What is measured: a bare COPY of each table, then the same keys and indexes, under the settings
-- that a replay has.
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SELECT format('COPY bare.%I FROM %L (FORMAT binary)', relname,
    current_setting('data_directory') || '/bare-' || relname)
FROM pg_class WHERE relnamespace = 'messages'::regnamespace AND relkind = 'r'
\gexec
SELECT regexp_replace(pg_get_indexdef(indexrelid), ' ON messages\.', ' ON bare.')
FROM pg_index JOIN pg_class AS c ON c.oid = indrelid
WHERE c.relnamespace = 'messages'::regnamespace AND c.relkind = 'r'
\gexec
