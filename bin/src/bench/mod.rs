//! `echolog bench`: measures a whole Echolog against plain PostgreSQL with triggers, on this
//! machine, in one run.
//!
//! Servers are private and durable, workers are processes of their own; what they cost is read from
//! `/proc`. The client is not counted, but shares the machine.

mod baseline;
mod connects;
mod driver;
mod figures;
mod logins;
mod population;
mod preload;
mod process;
mod random;
mod reads;
mod replay;
mod scale;
mod session;
mod site;
mod table;
mod tools;
mod visible;
mod worker;

use std::path::PathBuf;

use anyhow::Context as _;

pub use figures::Figures;
use figures::Nodes;
pub use scale::Scale;

use crate::config::Config;
use crate::supervise::Binaries;
use session::Session;

/// A part of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Plain PostgreSQL with triggers.
    Baseline,
    /// Commands from the client into the tables: uniform, by Zipf's law, all on one conversation.
    EndToEnd,
    /// Latency with 1,000 commands offered per second.
    Latency,
    /// The projector alone, and what an event costs in a larger log.
    Growth,
    /// Uniform load on the conversations of 1, 4 and 16 partitions.
    Partitions,
    /// Uniform load on a log that three nats-servers keep, beside one that a single one syncs.
    Nodes,
    /// Building the tables of `messages` anew from a large log, beside a bare `COPY`.
    Replay,
    /// A page of a conversation, an inbox and a search, under row-level security and without.
    Reads,
    /// Logging in, and what a storm of it does to messages.
    Logins,
    /// Connecting through the auth callout, and being sent away.
    Connects,
}

impl Part {
    /// Those that targets are set for.
    pub const TARGETS: [Self; 5] =
        [Self::Baseline, Self::EndToEnd, Self::Latency, Self::Growth, Self::Replay];
}

/// What to measure, and where.
#[derive(Clone, Debug)]
pub struct Bench {
    /// How much.
    pub scale: Scale,
    /// Which parts.
    pub parts: Vec<Part>,
    /// Where the servers keep their data meanwhile: a directory of our own, on a disk.
    pub data: PathBuf,
}

impl Bench {
    /// Measures.
    ///
    /// # Errors
    /// What is missing, and whatever does not go as it should: a benchmark that loses a command
    /// has no result.
    pub async fn run(&self, config: &Config) -> anyhow::Result<Figures> {
        let binaries = Binaries::find()?;
        self.clear()?;
        std::fs::create_dir_all(&self.data)
            .with_context(|| format!("{} cannot be made", self.data.display()))?;
        let data = self.data.canonicalize()?;
        let mut figures = Figures::default();
        if self.has(Part::Baseline) {
            figures.baseline = Some(baseline::measure(&binaries, &data, &self.scale).await?);
        }
        if self.has(Part::Reads) {
            figures.reads = Some(reads::measure(&binaries, config, &data, &self.scale).await?);
        }
        if self.has(Part::Connects) {
            let data = data.join("connects");
            figures.connects = Some(connects::measure(&binaries, config, &data).await?);
        }
        let beside = [Part::Baseline, Part::Nodes, Part::Reads, Part::Connects];
        if self.parts.iter().any(|part| !beside.contains(part)) {
            Session::measure(self, &binaries, config, &data, &mut figures).await?;
        }
        if self.has(Part::Nodes) {
            figures.nodes = Some(Nodes {
                one_synced: Session::nodes(self, &binaries, config, &data.join("one"), 1).await?,
                three: Session::nodes(self, &binaries, config, &data.join("three"), 3).await?,
            });
        }
        figures.compare();
        self.clear()?;
        Ok(figures)
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Removes what an earlier run left behind.
    fn clear(&self) -> anyhow::Result<()> {
        match std::fs::remove_dir_all(&self.data) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be removed", self.data.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
