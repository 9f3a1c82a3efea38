//! Views over tables that are exchanged: they are made again, over the new ones.

use sqlx::PgConnection;

use super::run;
use crate::Target;

/// Views over these tables, and views over those; each after all that it reads.
const DEPENDENT: &str = "WITH RECURSIVE reads AS (
        SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation
        FROM pg_depend AS d
        JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        WHERE d.refclassid = 'pg_class'::regclass AND r.ev_class <> d.refobjid
    ), dependent AS (
        SELECT view, 1 AS depth FROM reads
        WHERE relation = ANY(SELECT format('%I.%I', $1, t)::regclass FROM unnest($2::text[]) AS t)
        UNION
        SELECT reads.view, depth + 1 FROM dependent JOIN reads ON reads.relation = dependent.view
    )
    SELECT view FROM dependent GROUP BY view ORDER BY max(depth), view";

const DROP: &str = "SELECT format('DROP VIEW %s', $1::oid::regclass)";

const CREATE: &str = "SELECT format('CREATE VIEW %s%s AS %s', c.oid::regclass,
        coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', ''),
        pg_get_viewdef(c.oid))
    FROM pg_class AS c WHERE c.oid = $1
    UNION ALL
    SELECT format('COMMENT ON VIEW %s IS %L', $1::oid::regclass, obj_description($1, 'pg_class'))
    UNION ALL
    SELECT format('COMMENT ON COLUMN %s.%I IS %L', $1::oid::regclass, attname,
        col_description($1, attnum))
    FROM pg_attribute WHERE attrelid = $1 AND col_description($1, attnum) IS NOT NULL
    UNION ALL
    SELECT format('ALTER VIEW %s OWNER TO %I', $1::oid::regclass, pg_get_userbyid(relowner))
    FROM pg_class WHERE oid = $1
    UNION ALL
    SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, $1::oid::regclass,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
        CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_class AS c, aclexplode(c.relacl) AS a
    WHERE c.oid = $1 AND a.grantee <> c.relowner";

/// Drops the views over a target's tables. Returns the statements that make them again.
pub(super) async fn drop_dependent(
    connection: &mut PgConnection,
    target: &Target,
) -> sqlx::Result<Vec<String>> {
    let views: Vec<sqlx::postgres::types::Oid> = sqlx::query_scalar(DEPENDENT)
        .bind(target.schema())
        .bind(target.projection().tables())
        .fetch_all(&mut *connection)
        .await?;
    let (mut create, mut drop) = (Vec::new(), Vec::new());
    for view in &views {
        let statements: Vec<String> =
            sqlx::query_scalar(CREATE).bind(view).fetch_all(&mut *connection).await?;
        create.extend(statements);
        let statement: String =
            sqlx::query_scalar(DROP).bind(view).fetch_one(&mut *connection).await?;
        drop.push(statement);
    }
    run(connection, drop.into_iter().rev()).await?;
    Ok(create)
}
