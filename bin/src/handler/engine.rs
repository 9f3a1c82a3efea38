//! The loop of the command handler.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use echolog_commands::Key;
use echolog_commands::state::Owner;
use echolog_events::{AttemptRecorded, OwnershipTaken, PositionRecorded};
use echolog_events::{
    Body, CommandPosition, Event, EventSubject, Meta, PARTITIONS, Partition, Recorded, Stream,
    StreamKey, SystemEvent, Time, Uuid,
};
use echolog_nats::{
    Append, AppendError, Delivery, EventLog, Feed, FeedEvent, Incoming, NewRecord, Order, Page,
    Start,
};
use echolog_projectors::Positions;
use echolog_projectors::store::Loaded;
use futures::StreamExt;
use futures::stream::select;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::admit::{self, Admission};
use super::limits::Limiter;
use super::ownership::{Owned, Ownership};
use super::recent::{self, Recent};
use super::rejected::Rejected;
use super::states::{self, States};
use super::tail::Tail;
use super::uses::{self, Use};
use super::{Handler, HandlerError, positions, presence, projected, stopped};
use crate::clock;
use crate::owners::DECLINED;
use crate::retry::Retry;

/// How many commands a tick takes at most.
const TICK: usize = 512;

/// How long the log may take to tell this process what it has just written.
const TAIL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long giving the partitions back may take.
const HAND_OVER: Duration = Duration::from_secs(3);

/// After how many owners that got nowhere the next one handles commands one by one.
const UNLUCKY: u32 = 3;

/// How many commands it handles so.
const CAREFUL: u32 = 100;

/// How often a command is tried so, before it is passed over.
const ATTEMPTS: u32 = 3;

/// How long PostgreSQL is left alone after it did not answer: those who wait behind a command that
/// needs it would wait as well.
const REST: Duration = Duration::from_secs(1);

/// How long handled commands that left no event may stay unknown to the log.
const UNLOGGED: Duration = Duration::from_secs(5);

/// What comes in.
#[derive(Debug)]
pub(super) enum Input {
    Feed(FeedEvent),
    Request(Partition, Incoming),
    /// A question, of which nothing comes but an answer.
    Ask(Partition, Incoming),
}

/// Everything that the loop owns.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) handler: Handler,
    pub(super) log: EventLog,
    pub(super) tail: Tail,
    pub(super) states: States,
    pub(super) ownership: Ownership,
    pub(super) limiter: Limiter,
    pub(super) awaiting: mpsc::Sender<projected::Waiting>,
    /// Uses of API keys, to be counted.
    pub(super) uses: mpsc::Sender<Use>,
    counting: JoinHandle<()>,
    /// Sequence of the last event that this process has appended.
    pub(super) appended: u64,
    /// Whether the log is kept by one server: others take one fenced message of a subject at a time.
    pub(super) alone: bool,
    /// The commands that were rejected lately.
    pub(super) rejected: Rejected,
    /// PostgreSQL did not answer in time: it is not asked again before this.
    pub(super) rests_until: Instant,
    /// The latest time at which something was decided.
    latest: Time,
    positions: watch::Receiver<Option<Positions>>,
    handlers: watch::Receiver<usize>,
    feeds: JoinSet<()>,
    tasks: JoinSet<()>,
    inputs: mpsc::Receiver<Input>,
    input: mpsc::Sender<Input>,
    pages: mpsc::Receiver<Page>,
    /// What came into the log in the minutes before this began.
    history: oneshot::Receiver<Recent>,
}

impl Engine {
    /// Reads where the read side stands and begins to follow the log from there.
    pub(super) async fn start(handler: Handler) -> Result<Self, HandlerError> {
        let log = handler.log();
        let (owners, floor) = owners(&handler).await?;
        let (page_sender, mut pages) = mpsc::channel(64);
        tokio::spawn(follow_log(log.clone(), floor + 1, page_sender));
        let state = log.state().await?;
        // Before anyone gives it a partition: what it does not know yet may take long to read.
        let mut tail = Tail::new(floor, owners);
        while tail.position() < state.last_seq {
            // The last messages may be no events, and then nothing comes until others do.
            let Ok(page) = tokio::time::timeout(TAIL_TIMEOUT, pages.recv()).await else { break };
            let page: Page = page.ok_or(HandlerError::Stopped("log reader"))?;
            tail.read(page.events, page.stored, &mut [], |_| false);
            tail.trim(floor);
            tail.window.trim(floor, page.stored);
        }

        let (input, inputs) = mpsc::channel(8 * TICK);
        let (feed_sender, mut feed_events) = mpsc::channel(4 * TICK);
        let mut feeds = JoinSet::new();
        let orders = Partition::all()
            .map(|partition| {
                let (bus, names) = (handler.bus.clone(), handler.names.clone());
                Feed::spawn(bus, names, partition, feed_sender.clone(), &mut feeds)
            })
            .collect();
        let forward = input.clone();
        tokio::spawn(async move {
            let pass_on = async {
                while let Some(event) = feed_events.recv().await {
                    if forward.send(Input::Feed(event)).await.is_err() {
                        return;
                    }
                }
            };
            // Once the loop has ended, so does each feed.
            tokio::select! {
                () = pass_on => {}
                () = forward.closed() => {}
            }
        });
        let mut tasks = JoinSet::new();
        let (bus, owner) = (handler.bus.clone(), handler.owner.clone());
        let handlers = presence::watch(bus, &handler.names, owner, &mut tasks).await?;
        let (history, learned) = oneshot::channel();
        let whole = log.clone();
        tasks.spawn(async move {
            match Recent::read(&whole, floor).await {
                Ok(recent) => drop(history.send(recent)),
                Err(error) => tracing::warn!(%error, "the last minutes of the log cannot be read"),
            }
        });
        let (uses, counting) = uses::spawn(handler.bus.clone(), handler.names.clone());
        let awaiting = projected::spawn(handler.bus.clone(), handler.store.clone());
        let engine = Self {
            log,
            tail,
            alone: state.replicas == 1,
            positions: positions::watch(handler.store.clone(), &mut tasks),
            rejected: Rejected::default(),
            rests_until: Instant::now(),
            latest: Time::default(),
            states: States::default(),
            ownership: Ownership::new(orders),
            limiter: Limiter::new(handler.limits.rate),
            awaiting,
            uses,
            counting,
            appended: 0,
            handlers,
            feeds,
            tasks,
            inputs,
            input,
            pages,
            history: learned,
            handler,
        };
        engine.wake_all().await?;
        Ok(engine)
    }

    /// A partition without commands has no owner yet, but requests need one.
    async fn wake_all(&self) -> Result<(), HandlerError> {
        for partition in Partition::all() {
            let subject = self.handler.names.wake(partition);
            self.handler.bus.publish(subject, bytes::Bytes::new()).await?;
        }
        Ok(())
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), HandlerError> {
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut inputs = Vec::with_capacity(TICK);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                page = self.pages.recv() => {
                    let page = page.ok_or(HandlerError::Stopped("log reader"))?;
                    self.read(page).await;
                }
                _ = every_second.tick() => self.keep_house().await,
                taken = self.inputs.recv_many(&mut inputs, TICK) => {
                    if taken == 0 {
                        return Err(HandlerError::Stopped("command feed"));
                    }
                    self.take(std::mem::take(&mut inputs)).await;
                }
            }
        }
        self.hand_over().await;
        let Self { ownership, mut inputs, mut feeds, handler, tasks, uses, counting, .. } = self;
        while let Ok(input) = inputs.try_recv() {
            if let Input::Request(_, incoming) | Input::Ask(_, incoming) = input {
                decline(&handler, incoming).await;
            }
        }
        drop((ownership, inputs, tasks, uses));
        if tokio::time::timeout(HAND_OVER, counting).await.is_err() {
            tracing::debug!("uses of API keys were not recorded");
        }
        // Without orders a feed ends once it has given its partition back.
        let given_back = async { while feeds.join_next().await.is_some() {} };
        if tokio::time::timeout(HAND_OVER, given_back).await.is_err() {
            tracing::debug!("not every partition was given back; the others are free in a moment");
        }
        handler.bus.flush().await?;
        Ok(())
    }

    /// Takes in what has come: first the news about partitions, then the commands.
    async fn take(&mut self, inputs: Vec<Input>) {
        self.drain_pages().await;
        let mut admissions = Vec::with_capacity(inputs.len());
        let mut asks = Vec::new();
        for input in inputs {
            match input {
                Input::Feed(FeedEvent::Pinned(partition)) => {
                    // Commands that came before belong to the ownership before.
                    self.tick(std::mem::take(&mut admissions)).await;
                    self.take_over(partition).await;
                }
                Input::Feed(FeedEvent::Lost(partition)) => {
                    self.tick(std::mem::take(&mut admissions)).await;
                    self.disown(partition);
                }
                Input::Feed(FeedEvent::Delivered(delivery)) => {
                    let owned = self.ownership.get(delivery.partition);
                    match owned.filter(|owned| owned.run == delivery.run) {
                        Some(owned) if owned.careful > 0 => {
                            self.tick(std::mem::take(&mut admissions)).await;
                            self.take_with_care(delivery).await;
                        }
                        Some(_) => admissions.push(admit::from_queue(delivery)),
                        None => {}
                    }
                }
                Input::Request(partition, incoming) => {
                    if self.ownership.owns(partition) {
                        // By the clock that ids are measured with everywhere.
                        let now = self.tail.window.broker_time().unwrap_or_else(clock::now);
                        admissions.extend(admit::from_request(partition, incoming, now));
                    } else {
                        decline(&self.handler, incoming).await;
                    }
                }
                Input::Ask(partition, incoming) => asks.push((partition, incoming)),
            }
        }
        self.tick(admissions).await;
        self.answer(asks).await;
    }

    /// Handles one command after several owners came and went without getting anywhere: it may be
    /// the one that brings them down. What has been tried too often is answered and passed over.
    async fn take_with_care(&mut self, delivery: Delivery) {
        let (partition, position) = (delivery.partition, delivery.position);
        if admit::is_wake(&delivery) {
            return;
        }
        let attempts = self.tail.owner(partition).attempts(position);
        let admission = if attempts < ATTEMPTS {
            let event = SystemEvent::AttemptRecorded(AttemptRecorded { command: position });
            self.append_to_own(partition, event, None).await;
            // If the partition was lost on that, the tick leaves the command to its next owner.
            admit::from_queue(delivery)
        } else {
            tracing::error!(%partition, sequence = position.sequence, "a command is passed over");
            admit::passed_over(delivery)
        };
        self.tick(vec![admission]).await;
        if let Some(owned) = self.ownership.get_mut(partition) {
            owned.careful = owned.careful.saturating_sub(1);
        }
        self.record_position(partition).await;
    }

    async fn tick(&mut self, admissions: Vec<Admission>) {
        if !admissions.is_empty() {
            super::tick::Tick::run(self, admissions).await;
        }
    }

    /// Takes in a page of the log.
    async fn read(&mut self, page: Page) {
        for event in &page.events {
            self.notice_successor(event).await;
            self.tell_what_ended(event).await;
        }
        let Self { tail, states, ownership, .. } = self;
        let foreign = |partition| !ownership.owns(partition);
        tail.read(page.events, page.stored, &mut states.worlds(), foreign);
    }

    /// Another process has taken a partition of ours over.
    async fn notice_successor(&mut self, event: &Recorded) {
        let taken =
            matches!(&event.body, Body::Known(Event::System(SystemEvent::OwnershipTaken(_))));
        let succeeded = self
            .ownership
            .get(event.partition)
            .is_some_and(|owned| taken && event.seq > owned.epoch);
        if succeeded {
            tracing::info!(partition = %event.partition, "another process owns the partition now");
            self.disown(event.partition);
            self.ownership.order(event.partition, Order::StandBy);
        }
    }

    /// Loads states and asks the ledger; `None` if PostgreSQL cannot tell now.
    pub(super) async fn load(
        &mut self,
        keys: &HashSet<Key>,
        ledger: Vec<(Uuid, Uuid)>,
    ) -> Option<Loaded> {
        // What this process has just written may not be in PostgreSQL: the tail must have it.
        let caught_up = self.catch_up(self.appended).await;
        let rests = Instant::now() < self.rests_until;
        let request = states::request(keys, ledger);
        let loaded = if rests && !request.is_empty() {
            None
        } else {
            states::load(&self.handler.store, request).await
        };
        if loaded.is_none() && !rests {
            self.rests_until = Instant::now() + REST;
        }
        let mut loaded = loaded.filter(|_| caught_up.is_ok());
        match states::claims(&self.log, keys).await {
            Ok(claims) => {
                for (key, claim) in claims {
                    self.states.insert_claim(key, claim);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "claims cannot be read");
                for key in keys.iter().filter(|key| key.read_from_log().is_some()) {
                    self.states.fail(key);
                }
            }
        }
        match &mut loaded {
            Some(loaded) => self.states.fill(keys, loaded, &self.tail),
            None => {
                for key in keys.iter().filter(|key| key.read_from_log().is_none()) {
                    self.states.fail(key);
                }
            }
        }
        loaded
    }

    async fn drain_pages(&mut self) {
        while let Ok(page) = self.pages.try_recv() {
            self.read(page).await;
        }
    }

    /// Waits until the log has told this process everything up to `seq`.
    pub(super) async fn catch_up(&mut self, seq: u64) -> Result<(), HandlerError> {
        let deadline = tokio::time::Instant::now() + TAIL_TIMEOUT;
        while self.tail.position() < seq {
            let page = tokio::time::timeout_at(deadline, self.pages.recv()).await;
            let Ok(Some(page)) = page else {
                return Err(HandlerError::Stopped("log reader"));
            };
            self.read(page).await;
        }
        Ok(())
    }

    /// Takes a partition over: a new epoch shuts every earlier owner out, then the log tells how
    /// far that one came.
    pub(super) async fn take_over(&mut self, partition: Partition) {
        self.disown(partition);
        match self.try_take_over(partition).await {
            Ok(()) => tracing::info!(%partition, "took the partition over"),
            Err(error) => {
                tracing::warn!(%partition, error, "could not take the partition over");
                self.ownership.order(partition, Order::StandBy);
            }
        }
    }

    /// Takes a partition over anew, unless another has done so.
    async fn retake(&mut self, partition: Partition) {
        self.confirm(partition).await;
        if self.ownership.owns(partition) {
            self.take_over(partition).await;
        }
    }

    /// Takes every partition over anew, unless another has done so.
    pub(super) async fn retake_all(&mut self) {
        // While nobody answers, one after the other would wait in vain.
        let answers = self.log.head().await.is_ok();
        for partition in self.ownership.partitions() {
            if answers {
                self.retake(partition).await;
            } else {
                self.disown(partition);
                self.ownership.order(partition, Order::Release);
            }
        }
    }

    /// Takes in what others have appended so far.
    pub(super) async fn refresh(&mut self) -> bool {
        match self.log.head().await {
            Ok(head) => self.catch_up(head).await.is_ok(),
            Err(_) => false,
        }
    }

    /// What time it is by the broker's clock, which is one for all handlers; it never goes back.
    pub(super) fn now(&mut self) -> Time {
        let now = self.tail.window.broker_time().unwrap_or_else(clock::now);
        self.latest = self.latest.max(now);
        self.latest
    }

    /// Whether other handlers decide about other partitions.
    pub(super) fn has_company(&self) -> bool {
        self.ownership.partitions().len() < usize::from(PARTITIONS)
    }

    async fn try_take_over(&mut self, partition: Partition) -> Result<(), String> {
        let key = owner_key();
        let last = self.log.last(partition, &key).await.map_err(|error| error.to_string())?;
        let taken =
            SystemEvent::OwnershipTaken(OwnershipTaken { owner: self.handler.owner.clone() });
        let expected = last.map_or(0, |event| event.seq);
        let record = owner_record(partition, taken, expected, None);
        let epoch = self.append_to_owner(record).await.map_err(|error| error.to_string())?;
        self.appended = self.appended.max(epoch);
        self.catch_up(epoch).await.map_err(|error| error.to_string())?;
        let Owner { position, handled_until, takeovers, attempts, .. } = self.tail.owner(partition);
        let careful = if takeovers > UNLUCKY || attempts > 0 { CAREFUL } else { 0 };
        self.states.forget(partition);
        let Handler { bus, names, .. } = &self.handler;
        let requests = bus.subscribe(names.own(partition), None).await;
        let requests = requests.map_err(|error| error.to_string())?;
        let asks = bus.subscribe(names.ask(partition), None).await;
        let asks = asks.map_err(|error| error.to_string())?;
        let requests = requests.map(move |message| Input::Request(partition, message.into()));
        let asks = asks.map(move |message| Input::Ask(partition, message.into()));
        let input = self.input.clone();
        let requests = tokio::spawn(select(requests, asks).for_each(move |message| {
            let input = input.clone();
            async move {
                let _ = input.send(message).await;
            }
        }));
        let run = self.ownership.next_run();
        self.ownership.insert(
            partition,
            Owned {
                run,
                epoch,
                handled: position,
                logged: position,
                unlogged_since: None,
                careful,
                confirmed: Instant::now(),
                requests,
            },
        );
        self.ownership
            .order(partition, Order::Start(Start { run, after: position, handled_until }));
        self.handler.metrics.owned_partitions.set(self.ownership.partitions().len() as f64);
        Ok(())
    }

    async fn append_to_owner(&self, record: NewRecord) -> Result<u64, AppendError> {
        let append = Append { records: vec![record], ..Append::default() };
        let seqs = self.log.append(&append).await?;
        Ok(seqs.last().copied().unwrap_or_default())
    }

    /// Forgets a partition. What was under way for it gets no answer from here.
    pub(super) fn disown(&mut self, partition: Partition) {
        if self.ownership.owns(partition) {
            self.ownership.remove(partition);
            self.states.forget(partition);
            self.handler.metrics.owned_partitions.set(self.ownership.partitions().len() as f64);
        }
    }

    /// Whether this process still owns a partition, by the broker's word.
    pub(super) async fn confirm(&mut self, partition: Partition) -> bool {
        let Some(owned) = self.ownership.get(partition) else { return false };
        let epoch = owned.epoch;
        match self.log.last(partition, &owner_key()).await {
            Ok(Some(last)) if last.seq == epoch => {
                if let Some(owned) = self.ownership.get_mut(partition) {
                    owned.confirmed = Instant::now();
                }
                true
            }
            Ok(_) => {
                self.disown(partition);
                self.ownership.order(partition, Order::StandBy);
                false
            }
            Err(error) => {
                tracing::warn!(%partition, %error, "cannot confirm the ownership");
                false
            }
        }
    }

    /// Once a second: forget what PostgreSQL has, and note handled commands that left no event.
    async fn keep_house(&mut self) {
        if let Ok(before) = self.history.try_recv() {
            self.tail.window.recent.learn(before);
        }
        if let Some(positions) = &*self.positions.borrow() {
            self.tail.trim(positions.states());
            let now = self.tail.window.broker_time().unwrap_or_default();
            self.tail.window.trim(positions.ledger(), now);
        }
        let metrics = &self.handler.metrics;
        metrics.tail_events.set(self.tail.len() as f64);
        let now = self.tail.window.broker_time().unwrap_or_else(clock::now);
        let reach = self.tail.window.recent.reach(now).min(recent::KEEP);
        metrics.known_ids_seconds.set(reach.as_seconds_f64());
        let handlers = *self.handlers.borrow();
        while let Some(partition) = self.ownership.surplus(handlers) {
            // A log that does not take this will not take the word of the next owner either.
            if !self.note_position(partition).await {
                break;
            }
            tracing::info!(%partition, "gives the partition to another handler");
            self.release(partition);
        }
        for partition in self.ownership.partitions() {
            let waits = self.ownership.get(partition).and_then(|owned| owned.unlogged_since);
            if waits.is_some_and(|since| since.elapsed() > UNLOGGED) {
                self.record_position(partition).await;
            }
        }
    }

    /// Notes in the log how far a partition came, where it does not know.
    async fn record_position(&mut self, partition: Partition) {
        let Some(owned) = self.ownership.get(partition) else { return };
        if owned.unlogged_since.is_some() {
            let event = SystemEvent::PositionRecorded(PositionRecorded {});
            self.append_to_own(partition, event, Some(owned.handled)).await;
        }
    }

    /// Appends to the owner stream of a partition, if this process still owns it. Where the log
    /// takes nothing it stays the owner: nobody else could become it, and commands want answers.
    async fn append_to_own(
        &mut self,
        partition: Partition,
        event: SystemEvent,
        position: Option<CommandPosition>,
    ) -> bool {
        let Some(owned) = self.ownership.get(partition) else { return false };
        let record = owner_record(partition, event, owned.epoch, position);
        let error = match self.append_to_owner(record).await {
            Ok(seq) => {
                self.appended = self.appended.max(seq);
                if let Some(owned) = self.ownership.get_mut(partition) {
                    owned.record(seq, position);
                }
                return true;
            }
            Err(error) => error,
        };
        tracing::warn!(%partition, %error, "the owner's word could not be recorded");
        if !matches!(error, AppendError::Refused(_)) {
            self.retake(partition).await;
        } else if let Some(owned) = self.ownership.get_mut(partition) {
            owned.postpone();
        }
        false
    }

    /// Notes how far each partition came and lets others take them at once.
    async fn hand_over(&mut self) {
        for partition in self.ownership.partitions() {
            self.note_position(partition).await;
            self.release(partition);
        }
    }

    /// Notes how far a partition came. Even if it says nothing new: it tells a partition that was left
    /// from one that was lost.
    async fn note_position(&mut self, partition: Partition) -> bool {
        let position = self.ownership.get(partition).map(|owned| owned.handled);
        let event = SystemEvent::PositionRecorded(PositionRecorded {});
        self.append_to_own(partition, event, position).await
    }

    /// Lets another process take a partition at once.
    fn release(&mut self, partition: Partition) {
        self.disown(partition);
        self.ownership.order(partition, Order::Release);
    }
}

/// A request that came for a former owner: whoever handed it over need not wait to hear so.
pub(super) async fn decline(handler: &Handler, incoming: Incoming) {
    if let Some(reply) = incoming.reply {
        // If it does not arrive, the time-out tells the same.
        let _ = handler.bus.publish(reply, DECLINED).await;
    }
}

/// An event that says how far the commands of a partition have been handled. It is the owner's next
/// epoch, and so its own fence.
pub(super) fn position_record(
    partition: Partition,
    epoch: u64,
    position: CommandPosition,
) -> NewRecord {
    let event = SystemEvent::PositionRecorded(PositionRecorded {});
    owner_record(partition, event, epoch, Some(position))
}

fn owner_record(
    partition: Partition,
    event: SystemEvent,
    expected: u64,
    position: Option<CommandPosition>,
) -> NewRecord {
    let meta = Meta {
        event_id: clock::new_id(),
        time: clock::now(),
        actor: None,
        command_id: None,
        session_id: None,
        correlation_id: None,
        traceparent: None,
        digest: None,
        position,
    };
    let event = Event::System(event);
    NewRecord { partition, key: owner_key(), meta, event, expected: Some(expected) }
}

/// The owner stream; its partition is in the subject, not in its id.
fn owner_key() -> StreamKey {
    StreamKey { stream: Stream::Owner, id: EventSubject::EPOCH.to_owned() }
}

/// The owners as PostgreSQL has them, and where the log has to be read from.
async fn owners(
    handler: &Handler,
) -> Result<([(Owner, u64); PARTITIONS as usize], u64), HandlerError> {
    let owners = handler.store.owners().await?;
    let positions = handler.store.positions().await?;
    let floor = positions.states().min(positions.ledger());
    let floor = owners.iter().fold(floor, |floor, (_, position)| floor.min(*position));
    Ok((owners, floor))
}

/// Reads the log for as long as anyone listens, and as long as it is the same one.
async fn follow_log(log: EventLog, from: u64, pages: mpsc::Sender<Page>) {
    let mut retry = Retry::default();
    let mut reader = loop {
        match log.read_from(from).await {
            Ok(reader) => break reader,
            Err(error) => tracing::warn!(%error, "the log cannot be read"),
        }
        retry.pause().await;
    };
    loop {
        match reader.next(1000).await {
            Ok(page) => {
                retry.reset();
                if pages.send(page).await.is_err() {
                    return;
                }
            }
            Err(error) if error.is_final() => {
                tracing::error!(%error, "what this process knows is worth nothing");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "the log cannot be read");
                retry.pause().await;
            }
        }
    }
}
