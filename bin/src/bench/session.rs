//! The measurements on Echolog itself, one after the other on one site.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::driver::{Driver, Pace, Run};
use super::figures::{
    EndToEnd, Figures, Growth, Latency, Load, Memory, Partitions, Rate, Replay, each, percentile,
};
use super::population::{Population, Spread};
use super::preload::Preload;
use super::process::Usage;
use super::random::Random;
use super::site::Site;
use super::visible::{self, Seen, Watch};
use super::worker::Role;
use super::{Bench, Part, Scale, logins, replay};
use crate::clock;
use crate::config::Config;
use crate::supervise::Binaries;

/// How long a load runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(3);

/// How often we look at the tables under full load, and where the time matters.
const LOOK: Duration = Duration::from_millis(20);
const LOOK_CLOSELY: Duration = Duration::from_millis(2);

/// Commands per second offered where latency is measured.
const OFFERED: u32 = 1_000;

/// A site with people on it.
pub(super) struct Session<'b> {
    binaries: &'b Binaries,
    scale: &'b Scale,
    population: &'b Population,
    site: Site,
}

/// A load that has run its course.
struct Measured {
    run: Run,
    seen: Seen,
    used: Usage,
}

impl<'b> Session<'b> {
    /// Measures the parts that `bench` asks for.
    pub(super) async fn measure(
        bench: &'b Bench,
        binaries: &'b Binaries,
        config: &Config,
        data: &Path,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let scale = &bench.scale;
        let born = u64::try_from(clock::now().timestamp_millis())?;
        let population = Population::new(scale.users, scale.conversations, born);
        let site = Site::start(binaries, config, data, 1).await?;
        let mut session = Session { binaries, scale, population: &population, site };
        session.fill().await?;
        if bench.has(Part::EndToEnd) {
            figures.end_to_end = Some(session.end_to_end().await?);
        }
        if bench.has(Part::Latency) {
            figures.latency_at_1000 = Some(session.latency().await?);
        }
        if bench.has(Part::Logins) {
            session.site.settle(&session.site.tools(binaries)).await?;
            let duration = session.scale.duration();
            figures.logins = Some(logins::measure(&session.site, &population, duration).await?);
        }
        if bench.has(Part::Partitions) {
            figures.partitions = Some(session.partitions().await?);
        }
        if bench.has(Part::Growth) {
            let (rate, growth) = session.growth().await?;
            figures.projector = Some(rate);
            figures.growth = Some(growth);
        }
        if bench.has(Part::EndToEnd) {
            figures.memory = Some(Memory {
                handler_mib: session.site.peak_memory(Role::Handler)?,
                projector_mib: session.site.peak_memory(Role::Projector)?,
            });
        }
        if bench.has(Part::Replay) {
            figures.replay = Some(session.replay().await?);
        }
        session.site.stop().await
    }

    /// Measures uniform load on a log that so many nats-servers keep.
    pub(super) async fn nodes(
        bench: &Bench,
        binaries: &Binaries,
        config: &Config,
        data: &Path,
        nodes: usize,
    ) -> anyhow::Result<Load> {
        let scale = &Scale { events_small: 0, ..bench.scale };
        let born = u64::try_from(clock::now().timestamp_millis())?;
        let population = Population::new(scale.users, scale.conversations, born);
        let site = Site::start(binaries, config, data, nodes).await?;
        let mut session = Session { binaries, scale, population: &population, site };
        session.fill().await?;
        let load = session.full_load("nodes", &Spread::uniform(&population)).await?;
        session.site.stop().await?;
        Ok(load)
    }

    /// Fills log and tables, then starts the handler.
    async fn fill(&mut self) -> anyhow::Result<()> {
        tracing::info!("filling the log");
        let settings = self.site.config.settings()?;
        Preload::new(&self.site.log).population(self.population, &settings).await?;
        self.add_messages(self.scale.events_small, 1).await?;
        self.site.start_worker(Role::Projector).await?;
        self.wait_for_tables().await?;
        self.site.start_worker(Role::Handler).await
    }

    /// Fills the log with messages up to so many events.
    async fn add_messages(&self, events: u64, seed: u64) -> anyhow::Result<()> {
        let missing = events.saturating_sub(self.site.log.head().await?);
        let random = &mut Random::new(seed);
        Preload::new(&self.site.log).messages(self.population, missing, random).await
    }

    async fn wait_for_tables(&self) -> anyhow::Result<()> {
        let head = self.site.log.head().await?;
        visible::until(self.site.store(), head).await?;
        Ok(())
    }

    async fn end_to_end(&self) -> anyhow::Result<EndToEnd> {
        Ok(EndToEnd {
            uniform: self.full_load("uniform", &Spread::uniform(self.population)).await?,
            zipf: self.full_load("zipf", &Spread::zipf(self.population)).await?,
            hot: self.full_load("hot", &Spread::hot(self.population)).await?,
        })
    }

    async fn partitions(&self) -> anyhow::Result<Partitions> {
        let load =
            async |name, count| self.full_load(name, &Spread::within(self.population, count)).await;
        Ok(Partitions {
            one: load("1 partition", 1).await?,
            four: load("4 partitions", 4).await?,
            sixteen: load("16 partitions", 16).await?,
        })
    }

    /// As fast as it goes.
    async fn full_load(&self, name: &str, spread: &Spread) -> anyhow::Result<Load> {
        let pace = Pace::InFlight(self.scale.in_flight);
        let Measured { run, seen, used } = self.load(name, spread, pace, LOOK).await?;
        let visible = seen.at(run.last_seq()).context("the watch ends with the last event")?;
        let times = run.outcome_times();
        Ok(Load {
            per_second: times.len() as f64 / (visible - run.begun).as_secs_f64(),
            p50_ms: percentile(&times, 0.5),
            p99_ms: percentile(&times, 0.99),
            cpu_us_per_message: each(used.total(), times.len()),
        })
    }

    /// A load from its begin until its last event is visible.
    async fn load(
        &self,
        name: &str,
        spread: &Spread,
        pace: Pace,
        look: Duration,
    ) -> anyhow::Result<Measured> {
        self.site.settle(&self.site.tools(self.binaries)).await?;
        let mut driver = Driver::connect(&self.site, self.population).await?;
        driver.run(spread, pace, WARM_UP).await?;
        self.wait_for_tables().await?;
        let watch = Watch::begin(self.site.store(), look);
        let before = self.site.usage()?;
        let run = driver.run(spread, pace, self.scale.duration()).await?;
        let seen = watch.until(run.last_seq()).await?;
        let used = self.site.usage()? - before;
        tracing::info!(load = name, "{}; {}", run.summary(), shares(used, run.samples.len()));
        Ok(Measured { run, seen, used })
    }

    async fn latency(&self) -> anyhow::Result<Latency> {
        let spread = Spread::uniform(self.population);
        let pace = Pace::PerSecond(OFFERED);
        let Measured { run, seen, .. } = self.load("offered", &spread, pace, LOOK_CLOSELY).await?;
        let visible = run.times(|sample| seen.at(sample.seq));
        Ok(Latency {
            outcome_p99_ms: percentile(&run.outcome_times(), 0.99),
            visible_p99_ms: percentile(&visible, 0.99),
        })
    }

    /// Lets the projector alone work off a full log, then measures again what a message costs.
    async fn growth(&mut self) -> anyhow::Result<(Rate, Growth)> {
        let spread = Spread::uniform(self.population);
        let events_small = self.site.log.head().await?;
        let small = self.full_load("small log", &spread).await?;
        self.site.stop_worker(Role::Handler).await?;
        self.site.stop_worker(Role::Projector).await?;
        let from = self.site.log.head().await?;
        self.add_messages(self.scale.events_large, 2).await?;
        let events_large = self.site.log.head().await?;
        let (begun, before) = (std::time::Instant::now(), self.site.usage()?);
        self.site.start_worker(Role::Projector).await?;
        self.wait_for_tables().await?;
        let events = events_large - from;
        let used = self.site.usage()? - before;
        tracing::info!(events, "projector alone; {}", shares(used, usize::try_from(events)?));
        let per_second = events as f64 / begun.elapsed().as_secs_f64();
        self.site.start_worker(Role::Handler).await?;
        let large = self.full_load("large log", &spread).await?;
        let cost_ratio = large.cpu_us_per_message / small.cpu_us_per_message;
        Ok((Rate { per_second }, Growth { events_small, events_large, cost_ratio }))
    }

    /// Builds the tables anew from a log of the larger size, on machines that do nothing else.
    async fn replay(&mut self) -> anyhow::Result<Replay> {
        self.site.stop_worker(Role::Handler).await?;
        self.add_messages(self.scale.events_large, 3).await?;
        self.wait_for_tables().await?;
        self.site.stop_worker(Role::Projector).await?;
        replay::measure(&self.site, &self.site.tools(self.binaries)).await
    }
}

/// Who used how much for a message, for the log.
fn shares(used: Usage, messages: usize) -> String {
    let Usage { nats, postgres, handler, projector } = used;
    let [nats, postgres, handler, projector] =
        [nats, postgres, handler, projector].map(|cpu| each(cpu, messages));
    format!(
        "µs each: nats {nats:.0}, handler {handler:.0}, projector {projector:.0}, PostgreSQL {postgres:.0}"
    )
}
