//! Rebuilding projections from the log, and verifying them against it.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail};
use echolog_events::Recorded;
use echolog_nats::{BusError, EventLog, LogReader};
use echolog_projectors::Projection;
use echolog_projectors::db::Database;
use echolog_projectors::parked::{self, Skipped};
use echolog_projectors::rebuild::{
    Comparison, EventSource, Page, Progress, Rebuild as Builder, RebuildError,
};
use echolog_projectors::store::{Store, StoreError};
use echolog_projectors::verify::{self, Finding};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::roster;

/// Events of one transaction: the more there are, the fewer rows are touched twice. Up to three pages
/// are in memory, at less than 1 KiB an event.
const PAGE: usize = 40_000;

/// How often a rebuild that yields looks whether it may go on.
const YIELD: Duration = Duration::from_millis(200);

/// How a projection is rebuilt.
#[derive(Clone, Debug, Default)]
pub struct Rebuild {
    /// Exchange the tables although they differ: the new ones are right.
    pub force: bool,
    /// Stand back while the live projection lags by more than so many events.
    pub max_lag: Option<u64>,
}

/// Builds a projection anew, compares it with the live one and puts it in its place. Tells how far
/// it is, from 0 to 1.
///
/// # Errors
/// Tables that differ, unless that is what was asked for or an earlier version of the fold has made
/// them; servers that do not answer.
pub async fn run(
    log: &EventLog,
    database: &Database,
    name: &str,
    options: Rebuild,
    progress: impl FnMut(f64),
) -> anyhow::Result<Report> {
    let projection = find(name)?;
    let (builder, mut source) = build(log, database, projection, options.max_lag, progress).await?;
    let comparison = builder.compare(&mut source).await?;
    let mut report = Report::default();
    report.add(projection, comparison);
    if !report.is_clean() && !options.force && !builder.is_outdated().await? {
        builder.drop_shadow().await?;
        bail!(
            "{report}\nprojection {name} differs from a fold of the log; if the new tables are right, exchange them with --force"
        );
    }
    builder.swap(&mut source).await?;
    Ok(report)
}

/// The projections whose tables an earlier version of the fold has made.
///
/// # Errors
/// PostgreSQL does not answer.
pub async fn outdated(database: &Database) -> anyhow::Result<Vec<Projection>> {
    let mut outdated = Vec::new();
    for projection in Projection::ALL {
        if Builder::new(database, projection).is_outdated().await? {
            outdated.push(projection);
        }
    }
    Ok(outdated)
}

/// Builds a copy of a projection's tables, complete up to where the live projection is.
pub(crate) async fn build(
    log: &EventLog,
    database: &Database,
    projection: Projection,
    max_lag: Option<u64>,
    mut progress: impl FnMut(f64),
) -> anyhow::Result<(Builder, Source)> {
    let mut source = Source::new(log, database, projection, max_lag).await?;
    let builder = Builder::new(database, projection);
    builder.create_shadow().await?;
    let goal = source.live.max(1) as f64;
    let note = |now: Progress| progress((now.position as f64 / goal).min(1.0));
    builder.catch_up(&mut source, None, note).await?;
    source.max_lag = None;
    Ok((builder, source))
}

/// Puts the tables back that the last rebuild replaced, after they have caught up. Returns whether
/// there were any.
///
/// # Errors
/// Servers that do not answer.
pub async fn rollback(log: &EventLog, database: &Database, name: &str) -> anyhow::Result<bool> {
    let projection = find(name)?;
    let mut source = Source::new(log, database, projection, None).await?;
    match Builder::new(database, projection).rollback(&mut source).await {
        Ok(_) => Ok(true),
        Err(RebuildError::Missing(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Recounts every counter, looks for dangling references, and compares the tables of one or of all
/// projections with a fold of the log.
///
/// # Errors
/// Servers that do not answer. What is found is in the report.
pub async fn verify(
    log: &EventLog,
    database: &Database,
    name: Option<&str>,
    mut progress: impl FnMut(&str, f64),
) -> anyhow::Result<Report> {
    let projections = match name {
        Some(name) => vec![find(name)?],
        None => Projection::ALL.to_vec(),
    };
    let mut report = Report { findings: verify::verify(database).await?, ..Report::default() };
    report.findings.extend(roster::verify(log, database).await?);
    report.skipped = parked::skipped(database).await?;
    report.skipped.retain(|skipped| projections.contains(&skipped.projection));
    for projection in projections {
        Builder::new(database, projection).drop_shadow().await?;
        let note = |ratio| progress(projection.name(), ratio);
        let (builder, mut source) = build(log, database, projection, None, note).await?;
        let comparison = builder.compare(&mut source).await?;
        builder.drop_shadow().await?;
        report.add(projection, comparison);
    }
    Ok(report)
}

/// The projection of this name.
///
/// # Errors
/// There is none.
pub fn find(name: &str) -> anyhow::Result<Projection> {
    Projection::find(name).with_context(|| {
        let names: Vec<&str> = Projection::ALL.iter().map(|projection| projection.name()).collect();
        format!("there is no projection `{name}`; there are {}", names.join(", "))
    })
}

/// What was compared and found.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    skipped: Vec<Skipped>,
    comparisons: Vec<(Projection, Comparison)>,
}

impl Report {
    fn add(&mut self, projection: Projection, comparison: Comparison) {
        self.comparisons.push((projection, comparison));
    }

    /// Whether nothing is off. What an operator has given up is no difference: it is named.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.comparisons.iter().all(|(_, it)| it.is_equal())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for finding in &self.findings {
            lines.push(finding.to_string());
        }
        for Skipped { projection, seq, key, by, reason, .. } in &self.skipped {
            let name = projection.name();
            lines.push(format!(
                "  {name:9} without event {seq} of {key}: {by} gave it up ({reason})"
            ));
        }
        for (projection, comparison) in &self.comparisons {
            let name = projection.name();
            lines.push(format!("  {name:9} {comparison}"));
        }
        f.write_str(&lines.join("\n"))
    }
}

/// The log as a rebuild reads it: never further than the live projection is, so that the two can
/// meet.
pub(crate) struct Source {
    log: EventLog,
    store: Store,
    projection: Projection,
    ahead: Option<Ahead>,
    /// The last event that was taken from the reader.
    at: u64,
    /// Where the live projection was when it was last asked.
    live: u64,
    max_lag: Option<u64>,
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Source {
    async fn new(
        log: &EventLog,
        database: &Database,
        projection: Projection,
        max_lag: Option<u64>,
    ) -> Result<Self, SourceError> {
        let (log, store) = (log.clone(), Store::new(database));
        let live = store.positions().await?.lowest(projection);
        Ok(Self { log, store, projection, ahead: None, at: 0, live, max_lag })
    }

    /// Asks where the live projection is; waits while it lags by more than it may.
    async fn look(&mut self) -> Result<(), SourceError> {
        loop {
            self.live = self.store.positions().await?.lowest(self.projection);
            let Some(max_lag) = self.max_lag else { return Ok(()) };
            if self.log.head().await?.saturating_sub(self.live) <= max_lag {
                return Ok(());
            }
            tokio::time::sleep(YIELD).await;
        }
    }
}

impl EventSource for Source {
    type Error = SourceError;

    async fn read(&mut self, after: u64) -> Result<Page, SourceError> {
        self.look().await?;
        if after >= self.live {
            return Ok(Page { events: Vec::new(), to: after });
        }
        let mut ahead = match self.ahead.take() {
            Some(ahead) if self.at == after => ahead,
            _ => Ahead::new(self.log.read_from(after + 1).await?),
        };
        let mut events = ahead.next().await?;
        self.at = events.last().map_or(after, |event| event.seq);
        self.ahead = Some(ahead);
        events.retain(|event| event.seq <= self.live);
        Ok(Page { to: self.at.min(self.live), events })
    }
}

/// Reads and decodes the next page while the one before is being written.
struct Ahead {
    pages: mpsc::Receiver<Result<Vec<Recorded>, BusError>>,
    /// Ends with this.
    _reading: JoinSet<()>,
}

impl Ahead {
    fn new(mut reader: LogReader) -> Self {
        let (sender, pages) = mpsc::channel(1);
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            loop {
                let page = reader.next(PAGE).await.map(|page| page.events);
                if sender.send(page).await.is_err() {
                    return;
                }
            }
        });
        Self { pages, _reading: reading }
    }

    async fn next(&mut self) -> Result<Vec<Recorded>, BusError> {
        let page = self.pages.recv().await;
        page.expect("the reader ends only when nobody listens any more")
    }
}
