//! Copies of a tenant: the log as it is, and the tables that were made from it.
//!
//! A backup is a directory. What is in it is what `manifest.json` names; the manifest is replaced
//! whole, after what it names is on the disk. The log only grows, so the next backup into the same
//! directory adds what is new. Queued commands are in no backup: who has no outcome asks again.

mod manifest;
mod restore;
mod segments;
mod tables;

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use echolog_nats::{EventLog, LogState, Stored};
use echolog_projectors::store::Store;

use crate::config::Config;
use crate::connect::Connected;

pub use restore::{End, check, restore};

use manifest::Manifest;

/// Messages in a file of the log, and about how many bytes.
const SEGMENT: usize = 100_000;
const SEGMENT_BYTES: usize = 64 << 20;

/// Messages that are asked for at once: so few that they come through any line in time.
const PAGE: usize = 100;

/// How long nothing may come of what is there.
const SILENCE: Duration = Duration::from_secs(10);

/// Brings a backup up to date, or begins one, while everything goes on. Returns where its
/// log ends. `progress` is told how far it is, from 0 to 1.
///
/// # Errors
/// Servers that do not answer, a directory that holds something else or cannot be written.
pub async fn backup(
    config: &Config,
    directory: &Path,
    mut progress: impl FnMut(f64),
) -> anyhow::Result<End> {
    let Connected { log, database, .. } = Connected::open(config, "backup").await?;
    database.check_owner().await?;
    let LogState { id, .. } = log.state().await?;
    let _lock = manifest::lock(directory)?;
    let mut manifest = Manifest::open_or_new(directory, &config.tenant, &id, &config.key_check()?)?;
    manifest.remove_other_dumps(directory)?;
    check_joins(&log, &manifest).await?;

    // The tables first: what the log is ahead of them they catch up with, but not the other way.
    let next = manifest.end() + 1;
    let tables = tables::dump(config, directory).await?;
    let position = Store::new(&database).positions().await?.highest();
    let head = log.head().await?;
    let mut reader = log.read_stored(next).await?;
    let (mut at, mut kept, mut bytes) = (next - 1, Vec::new(), 0);
    while at < head {
        let Ok(page) = tokio::time::timeout(SILENCE, reader.next(PAGE)).await else {
            // The last messages may be half a group, and then nothing comes until others do.
            ensure!(log.is_torn(at + 1).await?, "NATS sends nothing of the log: run it again");
            break;
        };
        for message in page?.events {
            // Sequences stay what they are, whatever is missing.
            let missing = at + 1..message.seq;
            let stand_in = |seq| Stored::missing(&config.tenant, seq, message.stored);
            kept.extend(missing.map(stand_in));
            at = message.seq;
            bytes += message.payload.len();
            kept.push(message);
        }
        progress((at - next + 1) as f64 / (head - next + 1) as f64);
        if kept.len() >= SEGMENT || bytes >= SEGMENT_BYTES {
            manifest.add(directory, &mut kept)?;
            bytes = 0;
        }
    }
    manifest.add(directory, &mut kept)?;
    ensure!(
        at >= position,
        "the log can be read up to {at} only, and the tables have events up to {position}: run it again"
    );
    manifest.tables = Some(tables);
    manifest.save(directory)?;
    manifest.remove_other_dumps(directory)?;
    Ok(restore::end(&manifest))
}

/// Makes sure that the log still has the last message that was saved, so that it goes on from there.
async fn check_joins(log: &EventLog, manifest: &Manifest) -> anyhow::Result<()> {
    let Some(saved) = manifest.log.last() else { return Ok(()) };
    let there = async {
        let page = log.read_stored(saved.last).await?.next(1).await?;
        let first = page.events.first();
        anyhow::Ok(first.is_some_and(|it| it.seq == saved.last && it.stored == saved.until))
    };
    let same = log.head().await? >= saved.last
        && tokio::time::timeout(SILENCE, there).await.unwrap_or(Ok(false))?;
    ensure!(
        same,
        "the log has lost the end that was saved, and may go on in another way: choose another \
         directory"
    );
    Ok(())
}
