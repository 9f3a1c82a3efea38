//! Building the tables of `messages` anew from the whole log, and what PostgreSQL alone takes to
//! load the same rows.

use std::time::{Duration, Instant};

use echolog_projectors::Projection;

use super::figures::{Replay, each};
use super::process;
use super::site::Site;
use super::tools::Tools;
use crate::projector::rebuild;

const PREPARE: &str = include_str!("../../bench/bare_prepare.sql");
const LOAD: &str = include_str!("../../bench/bare_load.sql");
const REMOVE: &str = include_str!("../../bench/bare_remove.sql");

/// Measures both, with all tables complete and no worker running.
pub(super) async fn measure(site: &Site, tools: &Tools<'_>) -> anyhow::Result<Replay> {
    let events = site.log.head().await?;
    let replay = replay(site, events).await?;
    let limit = limit(tools).await?;
    tracing::info!(events, ?replay, ?limit, "replay, and the limit");
    let per_second = |time: Duration| events as f64 / time.as_secs_f64();
    Ok(Replay {
        per_second: per_second(replay),
        limit_per_second: per_second(limit),
        ratio: limit.as_secs_f64() / replay.as_secs_f64(),
    })
}

/// Builds a copy, keys and indexes included, and throws it away.
async fn replay(site: &Site, events: u64) -> anyhow::Result<Duration> {
    let own = || process::cpu(std::process::id());
    let (servers, client) = (site.usage()?, own()?);
    let begun = Instant::now();
    let built = rebuild::build(&site.log, &site.database, Projection::Messages, None, |_| {});
    let (builder, _) = built.await?;
    let time = begun.elapsed();
    let (servers, client) = (site.usage()? - servers, own()?.saturating_sub(client));
    let [nats, builds, postgres] = [servers.nats, client, servers.postgres]
        .map(|cpu| each(cpu, usize::try_from(events).unwrap_or(usize::MAX)));
    tracing::info!("µs each: nats {nats:.1}, replay {builds:.1}, PostgreSQL {postgres:.1}");
    builder.drop_shadow().await?;
    Ok(time)
}

/// Loads the rows of the live tables into bare ones, then makes the keys and indexes.
async fn limit(tools: &Tools<'_>) -> anyhow::Result<Duration> {
    tools.sql("echolog", PREPARE, &[]).await?;
    let begun = Instant::now();
    tools.sql("echolog", LOAD, &[]).await?;
    let time = begun.elapsed();
    tools.sql("echolog", REMOVE, &[]).await?;
    Ok(time)
}
