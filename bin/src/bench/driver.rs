//! A client that keeps the servers busy: publishes commands, takes the outcomes in.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use echolog_commands::{ContentType, Status};
use echolog_events::Uuid;
use echolog_nats::{Bus, HeaderMap, Names, Subscriber, header};
use futures::StreamExt;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::figures::percentile;
use super::population::{Draft, Population, Spread};
use super::random::Random;
use super::site::Site;
use crate::clock;

/// How long to wait for an outcome: a benchmark that loses one is none.
const PATIENCE: Duration = Duration::from_secs(20);

/// Outcomes that are taken in at once.
const CHUNK: usize = 512;

/// When commands are sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// So many are under way at any time: as fast as it goes.
    InFlight(usize),
    /// So many each second, whatever becomes of the earlier ones.
    PerSecond(u32),
}

/// A command and its outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// When it was due to be sent.
    pub(super) due: Instant,
    /// When its outcome was there.
    pub(super) answered: Instant,
    /// The sequence of its event.
    pub(super) seq: u64,
}

/// What came of a load: at least one command.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) begun: Instant,
    pub(super) samples: Vec<Sample>,
}

impl Run {
    /// The sequence of the last event.
    pub(super) fn last_seq(&self) -> u64 {
        self.samples.iter().map(|sample| sample.seq).max().unwrap_or_default()
    }

    /// How long outcomes took, the shortest first.
    pub(super) fn outcome_times(&self) -> Vec<Duration> {
        self.times(|sample| Some(sample.answered))
    }

    /// How long something took that happened to each command, the shortest first.
    pub(super) fn times(&self, end: impl Fn(&Sample) -> Option<Instant>) -> Vec<Duration> {
        let times = self.samples.iter().filter_map(|sample| Some(end(sample)? - sample.due));
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        times
    }

    /// For the log.
    pub(super) fn summary(&self) -> String {
        let times = self.outcome_times();
        let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
        format!("{} outcomes, p50 {p50:.1} ms, p99 {p99:.1} ms", times.len())
    }
}

/// The body of `send_message`.
#[derive(Serialize)]
struct Body<'a> {
    message_id: Uuid,
    content: &'a str,
}

/// Sends messages for everybody.
pub(super) struct Driver<'p> {
    bus: Bus,
    names: Names,
    outcomes: Subscriber,
    population: &'p Population,
    random: Random,
    /// When each command without an outcome was due.
    pending: HashMap<Uuid, Instant>,
}

impl<'p> Driver<'p> {
    pub(super) async fn connect(site: &Site, population: &'p Population) -> anyhow::Result<Self> {
        let (bus, names) = (site.config.bus("bench-client").await?, site.config.names()?);
        let outcomes = bus.subscribe(format!("out.{}.>", names.tenant()), None).await?;
        bus.flush().await?;
        let random = Random::new(7);
        Ok(Self { bus, names, outcomes, population, random, pending: HashMap::new() })
    }

    /// Sends for so long, then waits for the outcomes that are left.
    pub(super) async fn run(
        &mut self,
        spread: &Spread,
        pace: Pace,
        duration: Duration,
    ) -> anyhow::Result<Run> {
        let begun = Instant::now();
        let mut run = Run { begun, samples: Vec::new() };
        let mut sent = 0;
        let mut every_millisecond = interval(Duration::from_millis(1));
        every_millisecond.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let elapsed = begun.elapsed();
            if elapsed < duration {
                match pace {
                    Pace::InFlight(count) => {
                        while self.pending.len() < count {
                            self.send(spread, Instant::now()).await?;
                        }
                    }
                    Pace::PerSecond(count) => {
                        while elapsed >= Duration::from_secs(sent) / count {
                            self.send(spread, begun + Duration::from_secs(sent) / count).await?;
                            sent += 1;
                        }
                    }
                }
            } else if self.pending.is_empty() {
                ensure!(!run.samples.is_empty(), "not one command was sent");
                return Ok(run);
            }
            let paced = matches!(pace, Pace::PerSecond(_)) && elapsed < duration;
            tokio::select! {
                taken = self.take(&mut run.samples) => taken?,
                _ = every_millisecond.tick(), if paced => {}
            }
        }
    }

    async fn send(&mut self, spread: &Spread, due: Instant) -> anyhow::Result<()> {
        let conversation = spread.pick(&mut self.random);
        let Draft { conversation, sender, text, .. } =
            self.population.draft(conversation, &mut self.random);
        let id = clock::new_id();
        let subject =
            format!("cmd.{}.{sender}.messages.send_message.{conversation}", self.names.tenant());
        let mut headers = HeaderMap::new();
        headers.insert(header::COMMAND_ID, id.to_string());
        let body = Body { message_id: clock::new_id(), content: text };
        let body = Bytes::from(ContentType::MessagePack.encode(&body));
        self.bus.publish_with_headers(subject, headers, body).await?;
        self.pending.insert(id, due);
        Ok(())
    }

    /// Takes in the outcomes that are there, at least one.
    async fn take(&mut self, samples: &mut Vec<Sample>) -> anyhow::Result<()> {
        let mut outcomes = (&mut self.outcomes).ready_chunks(CHUNK);
        let Ok(chunk) = timeout(PATIENCE, outcomes.next()).await else {
            bail!("{} commands have no outcome", self.pending.len());
        };
        let answered = Instant::now();
        for message in chunk.context("the connection is closed")? {
            let outcome = ContentType::MessagePack.decode_outcome(&message.payload);
            let outcome = outcome.map_err(|rejection| anyhow::anyhow!(rejection.message))?;
            let due = outcome.command_id.and_then(|id| self.pending.remove(&id));
            let (Some(due), Status::Accepted, Some(seq)) = (due, outcome.status, outcome.seq)
            else {
                bail!("an unexpected outcome: {outcome:?}");
            };
            samples.push(Sample { due, answered, seq });
        }
        Ok(())
    }
}
