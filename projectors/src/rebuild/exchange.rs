//! Exchanging the live tables for others, in one transaction.

use std::time::Duration;

use echolog_events::Time;
use sqlx::PgConnection;

use super::{drop_copy, run, structure, views};
use crate::Target;

/// Nobody may queue behind this for long; and names in definitions have to be whole.
const SETTINGS: &str = "SET LOCAL lock_timeout = '500ms'; SET LOCAL search_path = ''";

/// Whether a transaction may still look through a snapshot from before a time. One that waits for
/// this very transaction is the live projector at its checkpoint, who is about to be fenced.
const OLD_SNAPSHOTS: &str = "SELECT EXISTS (
        SELECT FROM pg_stat_clear_snapshot(), pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend'
            AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND xact_start < $1
            AND NOT pg_backend_pid() = ANY (pg_blocking_pids(pid))
    )";

/// How often, and how often at most, that is asked.
const POLL: Duration = Duration::from_millis(20);
const POLLS: u32 = 100;

const CHECKPOINTS: &str = "INSERT INTO projection.checkpoints
        (projection, partition, position, generation)
    SELECT $2, partition, position, 0 FROM projection.checkpoints WHERE projection = $1";

/// Live projectors are fenced: what they keep in memory belongs to the other tables.
const FENCE: &str =
    "UPDATE projection.checkpoints SET generation = generation + 1 WHERE projection = $1";

const FOLD: &str = "INSERT INTO projection.folds (projection, version)
    SELECT $2, version FROM projection.folds WHERE projection = $1
    ON CONFLICT (projection) DO UPDATE SET version = excluded.version";

const PARKED: &str = "UPDATE projection.parked SET projection = $2 WHERE projection = $1";

/// Waits until nobody can look at the database as it was before now: through such a snapshot, rows
/// would be missing from tables that have only just become complete. `false`: somebody still can.
pub(super) async fn outlive_snapshots(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let now: Time =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await?;
    for _ in 0..POLLS {
        let remain: bool =
            sqlx::query_scalar(OLD_SNAPSHOTS).bind(now).fetch_one(&mut *connection).await?;
        if !remain {
            return Ok(true);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(false)
}

/// Makes the tables of `next` the live ones, and the live ones those of `last`. Both have to be at
/// one position, and the live projector has to be held.
pub(super) async fn exchange(
    connection: &mut PgConnection,
    next: &Target,
    last: &Target,
) -> sqlx::Result<()> {
    let live = Target::live(next.projection());
    run(connection, [SETTINGS.to_owned()]).await?;
    drop_copy(connection, last).await?;
    run(connection, [format!("CREATE SCHEMA {}", last.schema())]).await?;

    let mut again = Vec::new();
    for table in live.projection().tables() {
        again.extend(structure::access(connection, &live.schema(), table).await?);
    }
    again.extend(views::drop_dependent(connection, &live).await?);
    move_tables(connection, &live, last).await?;
    move_tables(connection, next, &live).await?;
    run(connection, again).await?;

    rename(connection, CHECKPOINTS, &live, last).await?;
    sqlx::query(FENCE).bind(live.name()).execute(&mut *connection).await?;
    for statement in [FOLD, PARKED] {
        rename(connection, statement, &live, last).await?;
        rename(connection, statement, next, &live).await?;
    }
    drop_copy(connection, next).await
}

async fn move_tables(
    connection: &mut PgConnection,
    from: &Target,
    to: &Target,
) -> sqlx::Result<()> {
    let tables = structure::tables(connection, from).await?;
    let (from, to) = (from.schema(), to.schema());
    let moves = tables.iter().map(|table| format!("ALTER TABLE {from}.{table} SET SCHEMA {to}"));
    run(connection, moves).await
}

async fn rename(
    connection: &mut PgConnection,
    statement: &'static str,
    from: &Target,
    to: &Target,
) -> sqlx::Result<()> {
    sqlx::query(statement).bind(from.name()).bind(to.name()).execute(connection).await?;
    Ok(())
}
