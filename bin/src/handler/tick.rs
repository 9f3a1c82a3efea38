//! One tick: load, decide, append, answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use echolog_commands::{
    Actor, Command, CommandType, Context, Decision, Key, Needs, NewEvent, Outcome, Rejection,
    State, Status, auth,
};
use echolog_events::{
    CommandPosition, Event, Meta, Partition, StreamKey, Time, Uuid, event_id, partition_of,
};
use echolog_nats::{Append, AppendError, NewRecord};
use echolog_projectors::store::Loaded;

use super::admit::{Addressee, Admission, Admitted, Refused, Source};
use super::engine::{self, Engine};
use super::projected::{Answer, Waiting};
use super::window::Done;
use crate::clock;

/// How often a command is decided again because a claim was taken meanwhile.
const ATTEMPTS: u32 = 3;

/// A group is closed when one more command might not fit into it.
const GROUP: usize = Append::MAX / 2;

/// How many events go into the log one by one rather than as a batch, where they may.
const APART: usize = 16;

/// How many rounds of loading a decision may ask for: each state may lead to the next.
const ROUNDS: usize = 6;

/// A command on its way through the tick.
struct Entry {
    admitted: Admitted,
    attempts: u32,
}

/// What was decided about a command.
enum Verdict {
    /// It was accepted before.
    Known(Done),
    /// No.
    Refused(Rejection),
    /// No, but something happened all the same: these records of the group.
    RefusedWith { rejection: Rejection, first: usize, count: usize },
    /// Yes, with these records of the group; none if nothing has to change.
    Accepted { first: usize, count: usize },
    /// The same command came twice in this group.
    SameAs(usize),
}

/// Commands whose events go into the log together.
#[derive(Default)]
struct Group {
    entries: Vec<(Entry, Verdict)>,
    records: Vec<NewRecord>,
    /// The accepted commands of this group, by key.
    keys: HashMap<Uuid, usize>,
    /// The last command of each partition.
    positions: HashMap<Partition, CommandPosition>,
}

impl Group {
    /// Whether an event names the last one of its stream, and the group has another for it.
    fn expects(&self, new: &NewEvent) -> bool {
        new.expected.is_some() && self.records.iter().any(|record| record.key == new.key)
    }
}

pub(super) struct Tick<'e> {
    engine: &'e mut Engine,
    time: Time,
    ledger: HashMap<Uuid, Done>,
    /// Commands that the ledger could not be asked about.
    unasked: HashSet<Uuid>,
    /// Everything that others had appended when this tick began is known.
    refreshed: bool,
    /// The broker has refused a group: what follows may rest on it.
    refused: Option<Rejection>,
}

impl<'e> Tick<'e> {
    /// Handles what has come in, in order.
    pub(super) async fn run(engine: &'e mut Engine, admissions: Vec<Admission>) {
        let mut tick = Self {
            time: engine.now(),
            ledger: HashMap::new(),
            unasked: HashSet::new(),
            refreshed: false,
            refused: None,
            engine,
        };
        let mut queue = VecDeque::with_capacity(admissions.len());
        for admission in admissions {
            match admission {
                Admission::Command(admitted) => {
                    queue.push_back(Entry { admitted: *admitted, attempts: 0 });
                }
                Admission::Refused(refused) => tick.refuse(*refused).await,
                // A wake changes nothing: reading it again after a take-over does no harm.
                Admission::Wake => {}
            }
        }
        tick.engine.states.begin();
        tick.prepare(&queue).await;
        while !queue.is_empty() {
            let group = tick.decide(&mut queue).await;
            if let Some(again) = tick.commit(group).await {
                for entry in again.into_iter().rev() {
                    queue.push_front(entry);
                }
                tick.engine.states.clear();
                tick.engine.states.begin();
            }
            if let Some(rejection) = tick.refused.take() {
                let refused = |entry| (entry, Verdict::Refused(rejection.clone()));
                let entries = queue.drain(..).map(refused).collect();
                tick.refuse_all(Group { entries, ..Group::default() }, &rejection).await;
            }
        }
    }

    /// Answers a message that is no command.
    async fn refuse(&mut self, refused: Refused) {
        if !self.engine.ownership.owns(refused.partition) {
            return;
        }
        if let Source::Queue { position, .. } = refused.source {
            if let Some(owned) = self.engine.ownership.get_mut(refused.partition) {
                owned.handle(position);
            }
            if refused.erase {
                let (bus, names) = (&self.engine.handler.bus, &self.engine.handler.names);
                if let Err(error) = bus.erase_command(names, position.sequence).await {
                    tracing::error!(%error, "a command with a secret could not be erased");
                }
            }
        }
        let outcome = refused.outcome();
        self.count(refused.command_type, &outcome, refused.received);
        self.answer(&refused.addressee, &refused.source, outcome, false).await;
    }

    /// Loads, for all commands at once, whatever their decisions are going to read.
    async fn prepare(&mut self, queue: &VecDeque<Entry>) {
        let window = &self.engine.tail.window;
        let mut ledger: Vec<(Uuid, Uuid)> = queue
            .iter()
            .map(|entry| &entry.admitted)
            .filter(|it| window.get(it.key).is_none() && window.may_be_older(it.key, it.command_id))
            .map(|it| (it.command_id, it.key))
            .collect();
        for _ in 0..ROUNDS {
            let mut missing = HashSet::new();
            for entry in queue {
                // What cannot be told here is refused when its turn comes.
                let _ = self.missing(&entry.admitted, &mut missing);
            }
            if missing.is_empty() && ledger.is_empty() {
                return;
            }
            self.load(&missing, std::mem::take(&mut ledger)).await;
        }
    }

    /// The states that a command asks for and that are not in memory.
    fn missing(
        &mut self,
        admitted: &Admitted,
        missing: &mut HashSet<Key>,
    ) -> Result<(), Rejection> {
        let needs = self.needs(admitted)?;
        let Engine { states, tail, .. } = &mut *self.engine;
        for key in needs.into_keys() {
            if !states.misses(&key) {
                continue;
            }
            let recent = &tail.window.recent;
            if matches!(key, Key::Message(chat, id) if recent.is_new_message(chat, id)) {
                states.world.insert(key, State::Message(None));
            } else {
                missing.insert(key);
            }
        }
        Ok(())
    }

    /// The states that a command asks for, as far as those in memory tell.
    fn needs(&self, admitted: &Admitted) -> Result<Needs, Rejection> {
        let mut needs = Needs::default();
        let context = context(admitted, self.time, &self.engine.handler.settings);
        let world = &self.engine.states.world;
        caught(admitted.command_id, || admitted.command.needs(&context, world, &mut needs))?;
        Ok(needs)
    }

    async fn load(&mut self, keys: &HashSet<Key>, ledger: Vec<(Uuid, Uuid)>) {
        let asked: Vec<Uuid> = ledger.iter().map(|(_, key)| *key).collect();
        match self.engine.load(keys, ledger).await {
            Some(loaded) => self.note_ledger(&asked, loaded),
            None => self.unasked.extend(asked),
        }
    }

    fn note_ledger(&mut self, asked: &[Uuid], loaded: Loaded) {
        if asked.is_empty() {
            return;
        }
        // Between the ledger and the window nothing may be missing.
        if loaded.positions.ledger.iter().any(|at| *at < self.engine.tail.window.floor()) {
            self.unasked.extend(asked);
            return;
        }
        self.ledger.extend(loaded.ledger.into_iter().map(|(key, row)| {
            let (seq, version, events) = (row.seq, row.version, row.events);
            (key, Done { seq, version, events, digest: row.digest })
        }));
    }

    /// Decides commands from the front of the queue until a group is full. A command that ran into
    /// a taken claim gets a group of its own, so that it fails alone.
    async fn decide(&mut self, queue: &mut VecDeque<Entry>) -> Group {
        let mut group = Group::default();
        while let Some(entry) = queue.pop_front() {
            if self.is_stale(&entry.admitted) {
                continue;
            }
            let alone = entry.attempts > 0;
            if alone && !group.entries.is_empty() {
                queue.push_front(entry);
                break;
            }
            let Some(verdict) = self.verdict(&entry.admitted, &mut group).await else {
                queue.push_front(entry);
                self.engine.states.forget_claims();
                break;
            };
            let Admitted { partition, key, .. } = entry.admitted;
            if let Source::Queue { position, .. } = entry.admitted.source {
                group.positions.insert(partition, position);
            }
            let records = match verdict {
                Verdict::Accepted { count, .. } | Verdict::RefusedWith { count, .. } => count,
                Verdict::Known(_) | Verdict::Refused(_) | Verdict::SameAs(_) => 0,
            };
            if records > 0 {
                group.keys.insert(key, group.entries.len());
            }
            group.entries.push((entry, verdict));
            if alone || group.records.len() >= GROUP {
                break;
            }
        }
        group
    }

    /// Whether its partition was lost or taken over anew meanwhile: then what the queue delivered
    /// before is delivered again, in order, and must not overtake what is.
    fn is_stale(&self, admitted: &Admitted) -> bool {
        self.engine.ownership.get(admitted.partition).is_none_or(|owned| match admitted.source {
            Source::Queue { run, .. } => run != owned.run,
            Source::Request { .. } => false,
        })
    }

    /// What becomes of a command; `None` if that depends on what becomes of the group first.
    async fn verdict(&mut self, admitted: &Admitted, group: &mut Group) -> Option<Verdict> {
        if let Some(index) = group.keys.get(&admitted.key) {
            return Some(match &group.entries[*index].0.admitted {
                first if first.digest == admitted.digest => Verdict::SameAs(*index),
                _ => Verdict::Refused(id_was_used(&admitted.command)),
            });
        }
        if let Some(rejection) = self.engine.rejected.get(admitted.key, admitted.digest) {
            return Some(Verdict::Refused(rejection.clone()));
        }
        let known = self.engine.tail.window.get(admitted.key);
        if let Some(done) = known.or_else(|| self.ledger.get(&admitted.key)) {
            if done.digest != admitted.digest {
                return Some(Verdict::Refused(id_was_used(&admitted.command)));
            }
            let refused = done.events.first().and_then(|first| auth::refused_with(first));
            return Some(refused.map_or_else(|| Verdict::Known(done.clone()), Verdict::Refused));
        }
        Some(match self.judge_on_all_news(admitted, group).await {
            // What is expected of a stream is its place in the log, which the group has to have first.
            Ok(events) if events.iter().any(|new| group.expects(new)) => return None,
            Ok(events) => {
                let (first, count) = record(admitted, events, self.time, group, self.engine);
                Verdict::Accepted { first, count }
            }
            Err(mut rejection) => {
                let events = std::mem::take(&mut rejection.events).into_vec();
                if events.is_empty() {
                    return Some(Verdict::Refused(rejection));
                }
                let (first, count) = record(admitted, events, self.time, group, self.engine);
                Verdict::RefusedWith { rejection, first, count }
            }
        })
    }

    /// Decides a command. A no that may rest on what another process has changed meanwhile is
    /// thought over.
    async fn judge_on_all_news(&mut self, admitted: &Admitted, group: &Group) -> Decision {
        let decision = self.judge(admitted, group).await;
        let no = decision.as_ref().is_err_and(|no| no.code.status() == Status::Rejected);
        if !no || self.refreshed || !self.engine.has_company() {
            return decision;
        }
        self.refreshed = true;
        if !self.engine.refresh().await {
            return Err(Rejection::unavailable("The log cannot be read now."));
        }
        self.judge(admitted, group).await
    }

    async fn judge(&mut self, admitted: &Admitted, group: &Group) -> Decision {
        if self.unasked.contains(&admitted.key) {
            return Err(Rejection::unavailable(
                "Whether this command was handled before cannot be told now.",
            ));
        }
        let limited = matches!(admitted.actor, Actor::User(_) | Actor::Anonymous(_));
        let actor = &admitted.addressee.actor;
        if limited && !self.engine.limiter.allows(actor, Instant::now()) {
            return Err(Rejection::rate_limited("You send commands faster than is allowed."));
        }
        self.load_for(admitted).await?;
        let context = context(admitted, self.time, &self.engine.handler.settings);
        let world = &self.engine.states.world;
        let events = caught(admitted.command_id, || admitted.command.decide(&context, world))??;
        // Only whoever may do this is told the version.
        self.check_version(admitted, group).await?;
        let again = matches!(admitted.source, Source::Queue { again: true, .. });
        if again && !events.is_empty() {
            return Err(Rejection::conflict(
                "This command was handled before, but its outcome is lost; send it under a new id.",
            ));
        }
        Ok(events)
    }

    /// Loads what earlier commands of this tick have made necessary.
    async fn load_for(&mut self, admitted: &Admitted) -> Result<(), Rejection> {
        for _ in 0..ROUNDS {
            let mut missing = HashSet::new();
            self.missing(admitted, &mut missing)?;
            if missing.is_empty() {
                break;
            }
            self.load(&missing, Vec::new()).await;
        }
        let needs = self.needs(admitted)?;
        if needs.into_keys().iter().any(|key| self.engine.states.is_unknown(key)) {
            return Err(Rejection::unavailable("What this command depends on cannot be read now."));
        }
        Ok(())
    }

    async fn check_version(&self, admitted: &Admitted, group: &Group) -> Result<(), Rejection> {
        let Some(expected) = admitted.expected_version else { return Ok(()) };
        let (version, moved) = self.version(admitted, group).await?;
        if moved || version != expected {
            return Err(Rejection::conflict(format!(
                "The version is {version}, not {expected}; read the state again."
            )));
        }
        Ok(())
    }

    /// The last event of the target's own stream, and whether this group holds a newer one.
    async fn version(&self, admitted: &Admitted, group: &Group) -> Result<(u64, bool), Rejection> {
        let stream = own_stream(&admitted.command, admitted.target);
        let moved = group.records.iter().any(|record| record.key == stream);
        let last = self.engine.log.last(admitted.partition, &stream).await;
        let last = last.map_err(|_| Rejection::unavailable("The log cannot be read now."))?;
        Ok((last.map_or(0, |event| event.seq), moved))
    }

    /// Appends a group and answers its commands. Returns the commands that have to be decided
    /// again.
    async fn commit(&mut self, mut group: Group) -> Option<Vec<Entry>> {
        // A partition may have been lost while this group was decided.
        let lost = |record: &NewRecord| {
            record.expected.is_none() && !self.engine.ownership.owns(record.partition)
        };
        if group.records.iter().any(lost) {
            return Some(self.after_conflict(group, &HashSet::new()).await);
        }
        let independent = self.is_independent(&group);
        let count = group.records.len();
        let records = std::mem::take(&mut group.records);
        let mut append = Append { records, ..Append::default() };
        self.set_fences(&group, &mut append);
        let noted = self.note_rejections(&group, &mut append);
        let fenced: HashSet<Partition> = append.fences.keys().chain(&noted).copied().collect();
        append.apart = self.engine.alone && noted.is_empty() && independent;
        if append.apart {
            self.set_positions(&group, &mut append);
        }
        let appended = if append.records.is_empty() {
            Ok(Vec::new())
        } else {
            let timer = self.engine.handler.metrics.append_seconds.start_timer();
            let appended = self.engine.log.append(&append).await;
            timer.observe_duration();
            appended
        };
        append.records.truncate(count);
        group.records = append.records;
        match appended {
            Ok(seqs) => {
                let noted = noted.into_iter().zip(seqs.iter().skip(count).copied());
                let noted = noted.collect();
                self.note_appended(&group, &fenced, &seqs, noted).await;
                None
            }
            Err(AppendError::Conflict) => Some(self.after_conflict(group, &fenced).await),
            Err(AppendError::Refused(reason)) => {
                tracing::error!(reason, "the broker does not take events");
                self.engine.states.clear();
                let rejection = Rejection::unavailable("The log takes no events now.");
                self.refuse_all(group, &rejection).await;
                self.refused = Some(rejection);
                None
            }
            Err(AppendError::Unknown(reason)) => {
                tracing::warn!(reason, "an append without an answer; taking over anew");
                self.engine.states.clear();
                self.engine.retake_all().await;
                None
            }
        }
    }

    /// Names the owner in each partition, and how far its commands are handled with this group.
    fn set_fences(&self, group: &Group, append: &mut Append) {
        for record in append.records.iter_mut().filter(|record| record.expected.is_none()) {
            let Some(owned) = self.engine.ownership.get(record.partition) else { continue };
            if append.fences.insert(record.partition, owned.epoch).is_none() {
                record.meta.position =
                    Some(group.positions.get(&record.partition).copied().unwrap_or(owned.logged));
            }
        }
    }

    /// Lets each record of a group say how far the commands are handled with it: what goes in by
    /// itself must not speak for what may not go in.
    fn set_positions(&self, group: &Group, append: &mut Append) {
        let mut positions: HashMap<Partition, CommandPosition> = HashMap::new();
        let mut last: HashMap<Partition, usize> = HashMap::new();
        for (entry, verdict) in &group.entries {
            let partition = entry.admitted.partition;
            if let Source::Queue { position, .. } = entry.admitted.source {
                positions.insert(partition, position);
            }
            let Verdict::Accepted { first, count: 1 } = *verdict else { continue };
            let logged = self.engine.ownership.get(partition).map(|owned| owned.logged);
            append.records[first].meta.position = positions.get(&partition).copied().or(logged);
            last.insert(partition, first);
        }
        for (partition, index) in last {
            if let Some(position) = group.positions.get(&partition) {
                append.records[index].meta.position = Some(*position);
            }
        }
    }

    /// Whether each command of a small group would have been decided alike without the others, so
    /// that any of them may go into the log alone.
    fn is_independent(&self, group: &Group) -> bool {
        if !(2..=APART).contains(&group.records.len()) {
            return false;
        }
        let mut changed: HashMap<Key, usize> = HashMap::new();
        for (index, (entry, verdict)) in group.entries.iter().enumerate() {
            if matches!(verdict, Verdict::RefusedWith { .. }) {
                return false;
            }
            let Verdict::Accepted { first, count: 1.. } = *verdict else { continue };
            let record = &group.records[first];
            let alone = matches!(verdict, Verdict::Accepted { count: 1, .. })
                && record.expected.is_none()
                && record.partition == entry.admitted.partition;
            let key = Key::changed_by(&record.key, &record.event);
            let twice = key.is_some_and(|key| changed.insert(key, index).is_some());
            if !alone || twice {
                return false;
            }
        }
        group.entries.iter().enumerate().all(|(index, (entry, _))| {
            let Ok(needs) = self.needs(&entry.admitted) else { return false };
            needs.into_keys().iter().all(|key| changed.get(key).is_none_or(|by| *by == index))
        })
    }

    /// A no is in the log before it is told: after a crash another owner would decide the command
    /// again, and might say yes. Adds what notes that to the group where no other event of the
    /// partition does; returns the partitions.
    fn note_rejections(&self, group: &Group, append: &mut Append) -> Vec<Partition> {
        let mut noted = Vec::new();
        for (entry, verdict) in &group.entries {
            let partition = entry.admitted.partition;
            let Verdict::Refused(rejection) = verdict else { continue };
            if rejection.code.status() != Status::Rejected
                || append.fences.contains_key(&partition)
                || noted.contains(&partition)
            {
                continue;
            }
            let owned = self.engine.ownership.get(partition);
            if let (Some(owned), Some(position)) = (owned, group.positions.get(&partition)) {
                append.records.push(engine::position_record(partition, owned.epoch, *position));
                noted.push(partition);
            }
        }
        noted
    }

    /// `fenced` are the partitions whose owner the broker has checked, `noted` those that have
    /// a new epoch.
    async fn note_appended(
        &mut self,
        group: &Group,
        fenced: &HashSet<Partition>,
        seqs: &[u64],
        noted: HashMap<Partition, u64>,
    ) {
        if let Some(last) = seqs.iter().max() {
            self.engine.appended = self.engine.appended.max(*last);
            for record in &group.records {
                self.engine.tail.window.insert_message(&record.event);
                let name = record.event.event_type().name;
                self.engine.handler.metrics.events_appended.with_label_values(&[name]).inc();
            }
        }
        for (partition, position) in &group.positions {
            if let Some(owned) = self.engine.ownership.get_mut(*partition) {
                owned.handle(*position);
                match noted.get(partition) {
                    Some(epoch) => owned.record(*epoch, Some(*position)),
                    None if fenced.contains(partition) => owned.log(*position),
                    None => {}
                }
            }
        }
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(group.entries.len());
        for (entry, verdict) in &group.entries {
            let outcome = match verdict {
                Verdict::SameAs(index) => {
                    // What the first one was told may name tokens that this one has not.
                    let same = group.entries[*index].0.admitted.findings == entry.admitted.findings;
                    let outcome = outcomes[*index].clone();
                    Outcome { data: outcome.data.clone().filter(|_| same), ..outcome }
                }
                Verdict::Known(_)
                | Verdict::Refused(_)
                | Verdict::RefusedWith { .. }
                | Verdict::Accepted { .. } => {
                    self.outcome(&entry.admitted, verdict, &group.records, seqs)
                }
            };
            outcomes.push(outcome);
        }
        for (entry, verdict) in &group.entries {
            if let Verdict::Refused(no) | Verdict::RefusedWith { rejection: no, .. } = verdict
                && no.code.status() == Status::Rejected
            {
                let Admitted { key, digest, .. } = entry.admitted;
                self.engine.rejected.insert(key, digest, no.clone());
            }
        }
        for ((entry, _), outcome) in group.entries.iter().zip(outcomes) {
            self.finish(&entry.admitted, outcome, fenced).await;
        }
    }

    fn outcome(
        &mut self,
        admitted: &Admitted,
        verdict: &Verdict,
        records: &[NewRecord],
        seqs: &[u64],
    ) -> Outcome {
        let id = admitted.command_id;
        let mut data = None;
        let done = match verdict {
            Verdict::Refused(rejection) => return Outcome::refused(Some(id), rejection.clone()),
            Verdict::RefusedWith { rejection, first, count } => {
                let of = *first..first + count;
                self.note_done(admitted, &records[of.clone()], &seqs[of]);
                return Outcome::refused(Some(id), rejection.clone());
            }
            Verdict::Known(done) => Some(done.clone()),
            Verdict::Accepted { count: 0, .. } | Verdict::SameAs(_) => None,
            Verdict::Accepted { first, count } => {
                let records = &records[*first..first + count];
                let events: Vec<&Event> = records.iter().map(|record| &record.event).collect();
                data = admitted.command.data(&events);
                Some(self.note_done(admitted, records, &seqs[*first..first + count]))
            }
        };
        Outcome {
            command_id: Some(id),
            status: Status::Accepted,
            seq: done.as_ref().map(|done| done.seq),
            version: done.as_ref().map(|done| done.version),
            events: done.map(|done| done.events).unwrap_or_default(),
            data,
            error: None,
            projected: None,
        }
    }

    /// Notes what became of a command that has left these records, at least one.
    fn note_done(&mut self, admitted: &Admitted, records: &[NewRecord], seqs: &[u64]) -> Done {
        let stream = own_stream(&admitted.command, admitted.target);
        let own = records.iter().rposition(|record| record.key == stream).unwrap_or(0);
        let name = |record: &NewRecord| record.event.event_type().short().to_owned();
        let done = Done {
            seq: seqs.last().copied().unwrap_or_default(),
            version: seqs[own],
            events: records.iter().map(name).collect(),
            digest: admitted.digest,
        };
        self.engine.tail.window.insert(admitted.key, done.clone());
        done
    }

    /// Answers one command, if this process may still speak for its partition.
    async fn finish(&mut self, admitted: &Admitted, outcome: Outcome, fenced: &HashSet<Partition>) {
        let partition = admitted.partition;
        let Some(owned) = self.engine.ownership.get(partition) else { return };
        let doubtful = !fenced.contains(&partition) && owned.is_doubtful();
        if doubtful && !self.engine.confirm(partition).await {
            return;
        }
        self.count(Some(admitted.command.command_type()), &outcome, admitted.received);
        let wait = admitted.await_projected;
        self.answer(&admitted.addressee, &admitted.source, outcome, wait).await;
    }

    /// A fence or a claim has moved: find out which, and say what has to be decided again.
    async fn after_conflict(&mut self, group: Group, fenced: &HashSet<Partition>) -> Vec<Entry> {
        self.engine.handler.metrics.append_conflicts.inc();
        for partition in fenced {
            self.engine.confirm(*partition).await;
        }
        let mut again = Vec::new();
        for (mut entry, _) in group.entries {
            entry.attempts += 1;
            if entry.attempts <= ATTEMPTS {
                again.push(entry);
            } else {
                let rejection = Rejection::unavailable("Too many others want the same.");
                let outcome = Outcome::refused(Some(entry.admitted.command_id), rejection);
                self.finish(&entry.admitted, outcome, &HashSet::new()).await;
            }
        }
        again
    }

    async fn refuse_all(&mut self, group: Group, rejection: &Rejection) {
        for (entry, verdict) in group.entries {
            let rejection = match verdict {
                // A no that the log did not take must not be told either.
                Verdict::Refused(own) if own.code.status() != Status::Rejected => own,
                Verdict::Refused(_)
                | Verdict::RefusedWith { .. }
                | Verdict::Known(_)
                | Verdict::Accepted { .. }
                | Verdict::SameAs(_) => rejection.clone(),
            };
            let outcome = Outcome::refused(Some(entry.admitted.command_id), rejection);
            self.finish(&entry.admitted, outcome, &HashSet::new()).await;
        }
    }

    fn count(&self, command_type: Option<CommandType>, outcome: &Outcome, received: Time) {
        if auth::PresentToken::of(outcome).is_some() {
            // It is none yet: the request path comes again with what the provider says.
            return;
        }
        let (domain, name) =
            command_type.map_or(("unknown", "unknown"), |found| (found.domain, found.name));
        let seconds = (clock::now() - received).as_seconds_f64().max(0.0);
        let metrics = &self.engine.handler.metrics;
        let (status, code) = (outcome.status.name(), outcome.code());
        metrics.commands.with_label_values(&[domain, name, status, code]).inc();
        metrics.command_seconds.observe(seconds);
    }

    async fn answer(&self, to: &Addressee, source: &Source, outcome: Outcome, wait: bool) {
        let subject = match source {
            Source::Queue { .. } => {
                Some(self.engine.handler.names.outcome(&to.actor, outcome.command_id))
            }
            Source::Request { reply } => reply.clone(),
        };
        let Some(subject) = subject else { return };
        let answer = Answer { subject, content_type: to.content_type, outcome };
        if let (true, Some(seq)) = (wait, answer.outcome.seq) {
            let waiting = Waiting { seq, since: Instant::now(), answer };
            if let Err(error) = self.engine.awaiting.try_send(waiting) {
                tracing::warn!(%error, "too many wait for the tables; one is answered at once");
                error.into_inner().answer.late().send(&self.engine.handler.bus).await;
            }
        } else {
            answer.send(&self.engine.handler.bus).await;
        }
    }
}

/// Runs a piece of a command. If it panics, that command fails and no other.
fn caught<T>(command: Uuid, piece: impl FnOnce() -> T) -> Result<T, Rejection> {
    catch_unwind(AssertUnwindSafe(piece)).map_err(|_| {
        tracing::error!(%command, "a decision panicked");
        Rejection::internal("The decision failed.")
    })
}

fn context<'a>(
    admitted: &'a Admitted,
    time: Time,
    settings: &'a echolog_commands::Settings,
) -> Context<'a> {
    let Admitted { actor, target, findings, .. } = admitted;
    Context { actor, target: *target, time, settings, findings }
}

fn own_stream(command: &Command, target: Uuid) -> StreamKey {
    StreamKey::of(command.stream(), target)
}

fn id_was_used(command: &Command) -> Rejection {
    if let Command::LogIn(_) = command {
        // Otherwise it would tell that two names are of one account.
        auth::credentials_are_not_right()
    } else {
        Rejection::conflict("This command id was used for something else.")
    }
}

/// Puts a decision's events into the group and lets the states follow them. Returns where they
/// begin, and how many they are.
fn record(
    admitted: &Admitted,
    events: Vec<NewEvent>,
    time: Time,
    group: &mut Group,
    engine: &mut Engine,
) -> (usize, usize) {
    let (first, count) = (group.records.len(), events.len());
    let actor = admitted.addressee.actor.as_str();
    let target = admitted.target.to_string();
    for (index, NewEvent { key, event, expected }) in events.into_iter().enumerate() {
        engine.states.world.evolve(&key, &event, 0);
        let meta = Meta {
            event_id: event_id(actor, &target, admitted.command_id, index),
            time,
            actor: Some(actor.to_owned()),
            command_id: Some(admitted.command_id),
            session_id: admitted.session_id,
            correlation_id: admitted.correlation_id.clone(),
            traceparent: admitted.traceparent.clone(),
            digest: (index == 0).then_some(admitted.digest),
            position: None,
        };
        let partition = partition_of(&key.id);
        group.records.push(NewRecord { partition, key, meta, event, expected });
    }
    (first, count)
}

#[cfg(test)]
mod tests {
    use echolog_commands::ErrorCode;

    use super::*;

    #[test]
    fn a_decision_that_panics_fails_alone() {
        let command = Uuid::nil();
        let no: Result<u8, _> = caught(command, || panic!("a bug"));
        assert_eq!(no.map_err(|no| no.code), Err(ErrorCode::Internal));
        assert_eq!(caught(command, || 1), Ok(1));
    }
}
