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

const GRANTS: &str = "SELECT format('GRANT %s ON %I.%I TO %s%s', a.privilege_type, $1, $2,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
        CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_class AS c, aclexplode(c.relacl) AS a
    WHERE c.oid = format('%I.%I', $1, $2)::regclass AND a.grantee <> c.relowner";

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

/// The statements that give a table the rights that it has now.
pub(super) async fn grants(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(GRANTS).bind(schema).bind(table).fetch_all(connection).await
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
