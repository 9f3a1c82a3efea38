//! The last commands, by id: what makes a command idempotent without asking PostgreSQL.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use chrono::TimeDelta;
use echolog_events::{Event, Recorded, StreamKey, Time, Uuid};

use super::recent::Recent;
use crate::clock;

/// How long ids are kept, where there is room.
const KEEP: TimeDelta = TimeDelta::minutes(5);

/// How many are kept at most; about 200 bytes each.
const CAPACITY: usize = 250_000;

/// What became of an accepted command.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Done {
    /// Sequence of its last event.
    pub(super) seq: u64,
    /// Sequence of its last event in the target's own stream.
    pub(super) version: u64,
    /// Its events.
    pub(super) events: Vec<String>,
    /// Fingerprint of its content.
    pub(super) digest: u64,
}

/// A command that was read from the log, event by event.
#[derive(Debug)]
struct Reading {
    key: Uuid,
    actor: String,
    command: Uuid,
    stream: StreamKey,
    done: Done,
}

/// The accepted commands after a position of the log.
#[derive(Debug)]
pub(super) struct Window {
    done: HashMap<Uuid, Done>,
    pages: VecDeque<(u64, Time, Vec<Uuid>)>,
    reading: Option<Reading>,
    /// Every command whose events lie behind this sequence is here.
    floor: u64,
    /// What else tells that something is new.
    pub(super) recent: Recent,
    /// The broker's time of the newest event, and when it was read.
    latest: Option<(Time, Instant)>,
}

impl Window {
    /// A window over everything after `floor`.
    pub(super) fn new(floor: u64) -> Self {
        let mut recent = Recent::default();
        if floor == 0 {
            recent.begin(Time::default());
        }
        Self {
            recent,
            done: HashMap::new(),
            pages: VecDeque::new(),
            reading: None,
            floor,
            latest: None,
        }
    }

    /// What became of a command, if it is known here.
    pub(super) fn get(&self, key: Uuid) -> Option<&Done> {
        self.done.get(&key)
    }

    /// The sequence behind which everything is here.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// Whether a command that is not here may still have been accepted, long ago.
    pub(super) fn may_be_older(&self, key: Uuid, command: Uuid) -> bool {
        !self.recent.is_new_command(key, command)
    }

    /// Notes a command that this process has just appended, before the log tells it back.
    pub(super) fn insert(&mut self, key: Uuid, done: Done) {
        self.recent.note_command(key, self.now());
        self.done.insert(key, done);
    }

    /// Notes a message that this process has just appended, before the log tells it back.
    pub(super) fn insert_message(&mut self, event: &Event) {
        let now = self.now();
        self.recent.note_message(event, now);
    }

    /// Notes the commands of a page of the log.
    pub(super) fn read(&mut self, events: &[Recorded], stored: Time) {
        let mut keys = Vec::new();
        for event in events {
            self.read_event(event, stored, &mut keys);
        }
        if let Some(last) = events.last() {
            self.latest = Some((stored, Instant::now()));
            if !self.recent.has_begun() {
                // The page before the first one is no younger than this.
                self.recent.begin(stored);
            }
            self.pages.push_back((last.seq, stored, keys));
        }
    }

    fn read_event(&mut self, event: &Recorded, stored: Time, keys: &mut Vec<Uuid>) {
        let name = event.short_name().to_owned();
        self.recent.read_message(event, stored);
        if let (Some(command), Some(digest)) = (event.first_of_command(), event.meta.digest) {
            let key = command.key();
            self.recent.note_command(key, stored);
            let done = Done { seq: event.seq, version: event.seq, events: vec![name], digest };
            // What this process has appended itself is known whole already.
            if self.done.get(&key).is_none_or(|known| known.seq < done.seq) {
                self.done.insert(key, done.clone());
            }
            keys.push(key);
            self.reading = Some(Reading {
                key,
                actor: command.actor,
                command: command.id,
                stream: event.key.clone(),
                done,
            });
            return;
        }
        let Some(reading) = &mut self.reading else { return };
        let same = event.meta.command_id == Some(reading.command)
            && event.meta.actor.as_deref() == Some(reading.actor.as_str());
        if same {
            reading.done.seq = event.seq;
            if event.key == reading.stream {
                reading.done.version = event.seq;
            }
            reading.done.events.push(name);
            if self.done.get(&reading.key).is_none_or(|known| known.seq < event.seq) {
                self.done.insert(reading.key, reading.done.clone());
            }
        } else {
            self.reading = None;
        }
    }

    fn now(&self) -> Time {
        self.broker_time().unwrap_or_else(clock::now)
    }

    /// What time it is by the broker's clock, as far as the log tells.
    pub(super) fn broker_time(&self) -> Option<Time> {
        let (stored, noted) = self.latest?;
        Some(stored + TimeDelta::from_std(noted.elapsed()).unwrap_or_default())
    }

    /// Drops what is old, as far as the ledger has it.
    pub(super) fn trim(&mut self, ledger: u64, now: Time) {
        while let Some((seq, stored, keys)) = self.pages.front() {
            // Where there is no more room, what the ledger does not have yet is not told for a while.
            let full = self.done.len() > CAPACITY;
            let old = *stored + KEEP < now && *seq <= ledger;
            if !full && !old {
                break;
            }
            for key in keys {
                self.done.remove(key);
            }
            self.floor = *seq;
            self.pages.pop_front();
        }
        self.recent.trim(now);
    }
}
