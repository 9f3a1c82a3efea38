//! The structure of tables: what a copy of them has to have too.

use sqlx::PgConnection;

use super::run;
use crate::Target;

/// Everything but keys and indexes, whose names would be other ones; statements that PostgreSQL
/// writes, so names are quoted as they have to be. `$1`: schema, `$2`: table, `$3`: the copy's
/// schema.
const TABLE: &str = "SELECT format(
        'CREATE TABLE %I.%I (LIKE %I.%I INCLUDING COMMENTS INCLUDING COMPRESSION
            INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STATISTICS
            INCLUDING STORAGE)%s%s',
        $3, c.relname, $1, c.relname,
        coalesce(' PARTITION BY ' || pg_get_partkeydef(c.oid), ''),
        coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', ''))
    FROM pg_class AS c WHERE c.oid = format('%I.%I', $1, $2)::regclass";

/// The keys and indexes of `$1.$2` that `$3.$2` lacks, by name, and the statements that make them.
const MISSING: &str =
    "SELECT conname::text, format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', $3, $2,
        conname, pg_get_constraintdef(oid))
    FROM pg_constraint AS k
    WHERE conrelid = format('%I.%I', $1, $2)::regclass AND contype IN ('p', 'u')
        AND NOT EXISTS (
            SELECT FROM pg_constraint
            WHERE conrelid = format('%I.%I', $3, $2)::regclass AND conname = k.conname
        )
    UNION ALL
    SELECT c.relname::text, regexp_replace(pg_get_indexdef(indexrelid), ' ON (ONLY )?\\S+ ',
        format(' ON %I.%I ', $3, $2))
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = indexrelid
    WHERE indrelid = format('%I.%I', $1, $2)::regclass
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
        AND NOT EXISTS (
            SELECT FROM pg_index AS x JOIN pg_class AS own ON own.oid = x.indexrelid
            WHERE x.indrelid = format('%I.%I', $3, $2)::regclass AND own.relname = c.relname
        )";

const REST: &str =
    "SELECT format('COMMENT ON TABLE %I.%I IS %L', $3, $2, obj_description(oid, 'pg_class'))
    FROM pg_class WHERE oid = format('%I.%I', $1, $2)::regclass
    UNION ALL
    SELECT format('ALTER TABLE %I.%I OWNER TO %I', $3, $2, pg_get_userbyid(relowner))
    FROM pg_class WHERE oid = format('%I.%I', $1, $2)::regclass";

/// Who may read a table, and which rows and columns of it.
const ACCESS: &str = "WITH t AS (
        SELECT oid, relacl, relowner, relrowsecurity, relforcerowsecurity FROM pg_class
        WHERE oid = format('%I.%I', $1, $2)::regclass
    ), a AS (
        SELECT x.*, '' AS columns FROM t, aclexplode(t.relacl) AS x
        UNION ALL
        SELECT x.*, format(' (%I)', c.attname) FROM t
        JOIN pg_attribute AS c ON c.attrelid = t.oid AND NOT c.attisdropped, aclexplode(c.attacl) AS x
    )
    SELECT format('GRANT %s%s ON %I.%I TO %s%s', a.privilege_type, a.columns, $1, $2,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
        CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM t, a WHERE a.grantee <> t.relowner
    UNION ALL
    SELECT format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', $1, $2) FROM t WHERE relrowsecurity
    UNION ALL
    SELECT format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', $1, $2) FROM t
    WHERE relforcerowsecurity
    UNION ALL
    SELECT unnest(ARRAY[
        format('DROP POLICY IF EXISTS %I ON %I.%I', polname, $1, $2),
        format('CREATE POLICY %I ON %I.%I AS %s FOR %s TO %s%s%s', polname, $1, $2,
            CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END,
                ', ') FROM unnest(polroles) AS r),
            ' USING (' || pg_get_expr(polqual, polrelid) || ')',
            ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')')
    ])
    FROM t JOIN pg_policy ON polrelid = t.oid";

/// Whether `$2` has every column of the tables `$3` that `$1` has.
const WHOLE: &str = "SELECT NOT EXISTS (
        SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace::regnamespace::text = $1 AND c.relname = ANY($3)
            AND a.attnum > 0 AND NOT a.attisdropped
        EXCEPT
        SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace::regnamespace::text = $2 AND c.relname = ANY($3)
            AND a.attnum > 0 AND NOT a.attisdropped
    )";

const PARTITIONS: &str = "SELECT c.relname::text FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = format('%I.%I', $1, $2)::regclass ORDER BY 1";

/// Makes empty copies of a target's tables without keys and indexes, in a schema that is made for
/// them.
pub(super) async fn copy(
    connection: &mut PgConnection,
    from: &Target,
    to: &Target,
) -> sqlx::Result<()> {
    run(connection, [format!("CREATE SCHEMA {}", to.schema())]).await?;
    for table in from.projection().tables() {
        for sql in [TABLE, REST] {
            let statements: Vec<String> = sqlx::query_scalar(sql)
                .bind(from.schema())
                .bind(table)
                .bind(to.schema())
                .fetch_all(&mut *connection)
                .await?;
            run(connection, statements).await?;
        }
    }
    Ok(())
}

/// Whether a copy has all tables and columns: a migration may have brought some since it was made.
pub(super) async fn is_whole(
    connection: &mut PgConnection,
    from: &Target,
    copy: &Target,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(WHOLE)
        .bind(from.schema())
        .bind(copy.schema())
        .bind(from.projection().tables())
        .fetch_one(connection)
        .await
}

/// The keys and indexes that a copy lacks: their names, and the statements that make them.
pub(super) async fn missing(
    connection: &mut PgConnection,
    from: &Target,
    to: &Target,
) -> sqlx::Result<Vec<(String, String)>> {
    let mut missing = Vec::new();
    for table in from.projection().tables() {
        let found: Vec<(String, String)> = sqlx::query_as(MISSING)
            .bind(from.schema())
            .bind(table)
            .bind(to.schema())
            .fetch_all(&mut *connection)
            .await?;
        missing.extend(found);
    }
    Ok(missing)
}

/// The statements that let those see a table, and what of it, who see it now.
pub(super) async fn access(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(ACCESS).bind(schema).bind(table).fetch_all(connection).await
}

/// A target's tables with their partitions.
pub(super) async fn tables(
    connection: &mut PgConnection,
    target: &Target,
) -> sqlx::Result<Vec<String>> {
    let mut tables = Vec::new();
    for table in target.projection().tables() {
        tables.push((*table).to_owned());
        let partitions: Vec<String> = sqlx::query_scalar(PARTITIONS)
            .bind(target.schema())
            .bind(table)
            .fetch_all(&mut *connection)
            .await?;
        tables.extend(partitions);
    }
    Ok(tables)
}
