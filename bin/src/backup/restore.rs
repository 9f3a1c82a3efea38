//! Putting a backup back.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use echolog_events::Time;
use echolog_nats::{EventLog, Provision, ProvisionOptions, Stored};
use echolog_projectors::Alone;
use echolog_projectors::db::Database;
use echolog_projectors::origin::Origin;
use echolog_projectors::store::Store;

use super::manifest::{Manifest, Segment};
use super::{segments, tables};
use crate::clock;
use crate::config::Config;
use crate::retry::Retry;

/// Messages in a group, and about how many bytes.
const GROUP: usize = 500;
const GROUP_BYTES: usize = 4 << 20;

/// How soon PostgreSQL notices that a process has ended which wrote.
const LETTING_GO: Duration = Duration::from_secs(5);

/// Where a backup ends: at this sequence, stored at this time.
pub type End = (u64, Option<Time>);

/// Makes a tenant from a backup: on servers that have none of this name, but for its tables if
/// `keep_tables` says so. What was interrupted goes on where it was. `progress` is told how far it is,
/// from 0 to 1.
///
/// # Errors
/// A backup that is not whole or of something else, servers where there is something already.
pub async fn restore(
    config: &Config,
    directory: &Path,
    options: &ProvisionOptions,
    keep_tables: bool,
    progress: impl FnMut(f64),
) -> anyhow::Result<End> {
    let manifest = Manifest::open(directory)?;
    let dump = dump(&manifest, directory)?;
    ensure!(
        manifest.tenant == config.tenant,
        "the backup is of tenant {0}: say --tenant {0}",
        manifest.tenant
    );
    manifest.check_key(&config.key_check()?)?;
    // What is missing is better said before there is a log.
    tables::tool("pg_restore")?;

    let (bus, names) = (config.bus("restore").await?, config.names()?);
    // The log goes by a new name: it may become another than the one that was saved, and what still
    // hangs on that one must not be taken for a part of this.
    let log_id =
        Provision::restored(&bus, &names, options, &manifest.log_id, clock::new_id()).await?;
    let origin = Origin { tenant: config.tenant.clone(), log_id: log_id.clone() };

    let database = config.database_or_create().await?;
    database.check_owner().await?;
    let _alone = alone(&database).await?;

    let fresh = database.is_fresh().await?;
    if fresh {
        database.make_roles().await?;
        tables::restore(config, &dump).await?;
    }
    fits(&manifest, &origin, &database, fresh || keep_tables).await?;
    database.migrate().await?;
    // At once, so that a second attempt knows them for those of the first.
    origin.bind_anew(&database).await?;

    let log = EventLog::new(bus.clone(), names.clone());
    let head = log.head().await?;
    // An earlier attempt met a limit or a full disk. Behind half a group of events the log could be
    // filled, but nobody would ever read that half.
    if head > 0 && log.is_torn(head).await? {
        Provision::restored_anew(&bus, &names).await?;
    }
    put_back(&log, &manifest, directory, progress).await?;
    let named = Provision::tenant(&bus, &names, options, log_id.parse()?).await?;
    ensure!(
        named == log_id,
        "somebody has set the tenant up meanwhile: remove its streams and its database, and run it again"
    );
    Ok(end(&manifest))
}

/// The right to write the tables, once whoever has just ended has let go of it.
async fn alone(database: &Database) -> anyhow::Result<Alone> {
    let deadline = Instant::now() + LETTING_GO;
    let mut retry = Retry::default();
    loop {
        match Alone::take(database).await? {
            Some(alone) => return Ok(alone),
            None if Instant::now() < deadline => retry.pause().await,
            None => {
                bail!("a projector writes this database: stop all workers of the tenant first")
            }
        }
    }
}

/// Reads a backup to its end, and says where that is.
///
/// # Errors
/// It is not whole.
pub async fn check(directory: &Path, mut progress: impl FnMut(f64)) -> anyhow::Result<End> {
    let manifest = Manifest::open(directory)?;
    tables::check(&dump(&manifest, directory)?).await?;
    for segment in &manifest.log {
        segments::read(directory, segment)?;
        progress(segment.last as f64 / manifest.end() as f64);
    }
    Ok(end(&manifest))
}

fn dump(manifest: &Manifest, directory: &Path) -> anyhow::Result<std::path::PathBuf> {
    let tables = manifest.tables.as_deref();
    Ok(directory
        .join(tables.context("this backup was never finished: run `echolog backup` again")?))
}

pub(super) fn end(manifest: &Manifest) -> End {
    (manifest.end(), manifest.log.last().map(|segment| segment.until))
}

/// The tables are those of an earlier attempt; or, if they may, others that were made from the log
/// that was saved.
async fn fits(
    manifest: &Manifest,
    origin: &Origin,
    database: &Database,
    others: bool,
) -> anyhow::Result<()> {
    let Manifest { tenant, log_id, .. } = manifest;
    let saved = Origin { tenant: tenant.clone(), log_id: log_id.clone() };
    let known = Origin::of(database).await?;
    ensure!(
        known.as_ref().is_some_and(|known| *known == saved || known == origin),
        "the database has tables of another log: drop it, or give another in DATABASE_URL"
    );
    ensure!(
        others || known.as_ref() == Some(origin),
        "the database has the tenant's tables already: if they survived its log, say --keep-tables; \
         otherwise give another in DATABASE_URL"
    );
    let position = Store::new(database).positions().await?.highest();
    ensure!(
        position <= manifest.end(),
        "the database has tables up to {position}, but the backup's log ends at {}: drop the \
         database, and those of the backup are restored",
        manifest.end()
    );
    Ok(())
}

async fn put_back(
    log: &EventLog,
    manifest: &Manifest,
    directory: &Path,
    mut progress: impl FnMut(f64),
) -> anyhow::Result<()> {
    let there = log.head().await?;
    let missing = |segment: &&Segment| segment.last > there;
    for segment in manifest.log.iter().filter(missing) {
        let messages = segments::read(directory, segment)?;
        let from = messages.partition_point(|message| message.seq <= there);
        for group in groups(&messages[from..]) {
            log.put_back(group).await.context("the log cannot be filled; run it again")?;
            let at = group.last().map_or(0, |message| message.seq);
            progress(at as f64 / manifest.end() as f64);
        }
    }
    Ok(())
}

/// Cuts into groups that the broker takes at once.
fn groups(mut messages: &[Stored]) -> impl Iterator<Item = &[Stored]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |message: &&Stored| {
            bytes += message.payload.len();
            bytes <= GROUP_BYTES
        };
        let count = messages.iter().take(GROUP).take_while(fits).count();
        let (group, rest) = messages.split_at(count.max(1).min(messages.len()));
        messages = rest;
        (!group.is_empty()).then_some(group)
    })
}
