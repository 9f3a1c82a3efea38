//! The event log: append under a fence, read in order, ask for the last of a subject.

use std::collections::{HashMap, HashSet};
use std::future::IntoFuture as _;
use std::time::{Duration, Instant};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::context::{
    GetStreamErrorKind, PublishError, PublishErrorKind, RequestError, RequestErrorKind,
};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind};
use async_nats::{HeaderMap, jetstream};
use bytes::Bytes;
use echolog_events::{Event, EventSubject, Meta, Partition, Recorded, StreamKey, Time, Uuid};
use futures::StreamExt;
use futures::future::join_all;
use serde::Deserialize;
use tokio::sync::watch;

use crate::bus::REQUEST_TIMEOUT;
use crate::codec::{self, Headers};
use crate::group::{Beginning, Mark};
use crate::provision::LOG_ID;
use crate::{Bus, BusError, Names, Stored};

/// The most messages that the broker takes in one atomic batch.
const MAX_BATCH: usize = 1000;

/// The header of every message of an atomic batch.
pub(crate) const BATCH_ID: &str = "Nats-Batch-Id";

/// The header of its last message.
pub(crate) const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// How long nothing may come although the broker has more, before it is asked anew: the client
/// library notices a request that got lost, or a consumer, after half a minute or more.
const STALLED: Duration = Duration::from_secs(2);

/// The broker's code for an expected sequence that is not the one found.
const WRONG_LAST_SEQUENCE: u64 = 10071;

/// The broker's code for a batch of which not all has come: the connection broke in the middle of it.
/// That is no answer to what was asked.
const INCOMPLETE_BATCH: u64 = 10176;

/// An event that is to be appended.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Its partition.
    pub partition: Partition,
    /// Its stream.
    pub key: StreamKey,
    /// What is known about it.
    pub meta: Meta,
    /// What it says.
    pub event: Event,
    /// The sequence that the last event of its own subject must have, 0 for none.
    pub expected: Option<u64>,
}

/// Events that go into the log together: all or none of them, unless they are [`Self::apart`].
#[derive(Debug, Default)]
pub struct Append {
    /// In order; at most 1,000.
    pub records: Vec<NewRecord>,
    /// For each partition concerned, the sequence of its owner's last event: a newer owner makes
    /// the broker refuse the group.
    pub fences: HashMap<Partition, u64>,
    /// Whether any of the records may go in without the others. Then each goes by itself: the
    /// broker's price of a batch is that of a dozen single messages.
    pub apart: bool,
}

impl Append {
    /// The most events in one group.
    pub const MAX: usize = MAX_BATCH;
}

/// Why a group was not appended, or why that is unknown.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A fence or an expectation no longer holds. Nothing was appended.
    #[error("the log has moved on")]
    Conflict,
    /// The broker refused for another reason. Nothing was appended.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// No answer: the group may be in the log, or may still arrive there.
    #[error("no answer to an append: {0}")]
    Unknown(String),
}

/// Which log it is, and where it ends.
#[derive(Clone, Debug)]
pub struct LogState {
    /// Made when the log was created, and kept with it.
    pub id: String,
    /// Sequence of the last event; 0 if there is none.
    pub last_seq: u64,
    /// How many servers keep a copy.
    pub replicas: usize,
}

/// The log of a tenant.
#[derive(Clone, Debug)]
pub struct EventLog {
    bus: Bus,
    names: Names,
}

impl EventLog {
    /// The log of a tenant.
    #[must_use]
    pub fn new(bus: Bus, names: Names) -> Self {
        Self { bus, names }
    }

    /// The sequence of the last event.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn head(&self) -> Result<u64, BusError> {
        Ok(self.state().await?.last_seq)
    }

    /// Which log this is, and where it ends.
    ///
    /// # Errors
    /// What the broker says; [`BusError::NoTenant`] if there is no log.
    pub async fn state(&self) -> Result<LogState, BusError> {
        let stream = self.bus.jetstream.get_stream(self.names.event_stream()).await;
        let stream = stream.map_err(|error| match error.kind() {
            GetStreamErrorKind::JetStream(said) => match said.error_code() {
                ErrorCode::STREAM_NOT_FOUND => BusError::NoTenant(self.names.tenant().to_owned()),
                ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                    BusError::NoJetStream
                }
                _ => BusError::request(error),
            },
            GetStreamErrorKind::Request if is_unheard(&error) => BusError::NoJetStream,
            GetStreamErrorKind::Request
            | GetStreamErrorKind::EmptyName
            | GetStreamErrorKind::InvalidStreamName => BusError::request(error),
        })?;
        let info = stream.cached_info();
        let id = info.config.metadata.get(LOG_ID).cloned().unwrap_or_default();
        let (last_seq, replicas) = (info.state.last_sequence, info.config.num_replicas);
        Ok(LogState { id, last_seq, replicas })
    }

    /// What time it is at the broker.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn time(&self) -> Result<Time, BusError> {
        self.bus.time(&self.names).await
    }

    /// Appends a group and returns the sequences of its events.
    ///
    /// # Errors
    /// See [`AppendError`]: after `Unknown` only the log itself can tell what happened.
    pub async fn append(&self, append: &Append) -> Result<Vec<u64>, AppendError> {
        self.bus.check_version().map_err(|error| AppendError::Refused(error.to_string()))?;
        let count = append.records.len() as u64;
        let messages = self.messages(append);
        if append.apart {
            return self.send_apart(messages).await;
        }
        let ack = self.send_group(messages).await?;
        Ok((ack.seq + 1 - count..=ack.seq).collect())
    }

    /// Puts messages back where they were: into a log that ends just before the first of them. All
    /// of them or none; at most [`Append::MAX`], without a gap.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] if the log ends elsewhere.
    pub async fn put_back(&self, stored: &[Stored]) -> Result<(), AppendError> {
        let messages = stored.iter().enumerate().map(|(index, message)| {
            let mut headers = message.own_headers();
            if index == 0 {
                headers.insert("Nats-Expected-Last-Sequence", (message.seq - 1).to_string());
            }
            (message.subject.clone(), headers, message.payload.clone())
        });
        let ack = self.send_group(messages.collect()).await?;
        match stored.last() {
            Some(last) if last.seq != ack.seq => Err(AppendError::Conflict),
            _ => Ok(()),
        }
    }

    fn messages(&self, append: &Append) -> Vec<(String, HeaderMap, Bytes)> {
        let mut fenced = HashSet::new();
        let message = |record: &NewRecord| {
            let subject = self.subject(record.partition, &record.key);
            let mut headers = codec::headers(self.names.tenant(), &record.event, &record.meta);
            let fence = append.fences.get(&record.partition);
            // In a batch one message of each partition carries the fence: it stands or falls whole.
            let carries = append.apart || !fenced.contains(&record.partition);
            if let (None, Some(epoch), true) = (record.expected, fence, carries) {
                fenced.insert(record.partition);
                headers.insert("Nats-Expected-Last-Subject-Sequence", epoch.to_string());
                headers.insert(
                    "Nats-Expected-Last-Subject-Sequence-Subject",
                    EventSubject::owner(self.names.tenant(), record.partition).to_string(),
                );
            } else if let Some(expected) = record.expected {
                headers.insert("Nats-Expected-Last-Subject-Sequence", expected.to_string());
            }
            (subject, headers, Bytes::from(record.event.encode()))
        };
        let messages: Vec<_> = append.records.iter().map(message).collect();
        debug_assert_eq!(fenced.len(), append.fences.len(), "every fence is carried");
        messages
    }

    /// One after the other, in order, without waiting for the answers in between.
    async fn send_apart(
        &self,
        messages: Vec<(String, HeaderMap, Bytes)>,
    ) -> Result<Vec<u64>, AppendError> {
        let mut acks = Vec::with_capacity(messages.len());
        for (subject, headers, payload) in messages {
            let published = self.bus.jetstream.publish_with_headers(subject, headers, payload);
            let ack = published.await.map_err(|error| AppendError::Unknown(error.to_string()))?;
            acks.push(ack.into_future());
        }
        let mut seqs = Vec::with_capacity(acks.len());
        let mut no = None;
        for ack in join_all(acks).await {
            match ack.map_err(why) {
                Ok(ack) => seqs.push(ack.sequence),
                Err(unknown @ AppendError::Unknown(_)) => return Err(unknown),
                Err(error) => no = Some(error),
            }
        }
        match no {
            None => Ok(seqs),
            Some(no) if seqs.is_empty() => Err(no),
            Some(_) => Err(AppendError::Unknown("only a part was appended".to_owned())),
        }
    }

    async fn stream(&self) -> Result<jetstream::stream::Stream<()>, BusError> {
        let stream = self.bus.jetstream.get_stream_no_info(self.names.event_stream()).await;
        stream.map_err(BusError::request)
    }

    fn subject(&self, partition: Partition, key: &StreamKey) -> String {
        EventSubject { tenant: self.names.tenant().to_owned(), partition, key: key.clone() }
            .to_string()
    }

    /// All or none of them.
    async fn send_group(
        &self,
        mut messages: Vec<(String, HeaderMap, Bytes)>,
    ) -> Result<PublishAck, AppendError> {
        if messages.len() == 1
            && let Some((subject, headers, payload)) = messages.pop()
        {
            return self.send(subject, headers, payload).await;
        }
        let id = uuid_text();
        let last = messages.len();
        for (index, (subject, mut headers, payload)) in messages.into_iter().enumerate() {
            headers.insert(BATCH_ID, id.as_str());
            headers.insert("Nats-Batch-Sequence", (index + 1).to_string());
            if index + 1 == last {
                headers.insert(BATCH_COMMIT, "1");
                return self.send(subject, headers, payload).await;
            }
            self.bus
                .client
                .publish_with_headers(subject, headers, payload)
                .await
                .map_err(|error| AppendError::Unknown(error.to_string()))?;
        }
        Err(AppendError::Refused("an empty group".to_owned()))
    }

    async fn send(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<PublishAck, AppendError> {
        let answer = self
            .bus
            .request(subject, headers, payload, REQUEST_TIMEOUT)
            .await
            .map_err(|error| AppendError::Unknown(error.to_string()))?;
        match serde_json::from_slice(&answer) {
            Ok(PublishAnswer::Ack(ack)) => Ok(ack),
            Ok(PublishAnswer::Error { error }) if error.err_code == INCOMPLETE_BATCH => {
                Err(AppendError::Unknown(error.description))
            }
            Ok(PublishAnswer::Error { error }) if error.err_code == WRONG_LAST_SEQUENCE => {
                Err(AppendError::Conflict)
            }
            Ok(PublishAnswer::Error { error }) => {
                Err(AppendError::Refused(format!("{} ({})", error.description, error.err_code)))
            }
            Err(error) => Err(AppendError::Unknown(error.to_string())),
        }
    }

    /// The last event of a stream, from the leader's own store; `None` if there is none. It may be of
    /// a group that is [torn](Self::is_torn).
    ///
    /// # Errors
    /// What the broker says.
    pub async fn last(
        &self,
        partition: Partition,
        key: &StreamKey,
    ) -> Result<Option<Recorded>, BusError> {
        let subject = self.subject(partition, key);
        let stream = self.stream().await?;
        // Not a direct get: a follower may lag, and this answer decides who may write.
        found(stream.get_last_raw_message_by_subject(&subject).await)
    }

    /// The first event of a stream that is no earlier than this sequence.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn first(
        &self,
        partition: Partition,
        key: &StreamKey,
        from: u64,
    ) -> Result<Option<Recorded>, BusError> {
        let subject = self.subject(partition, key);
        let stream = self.stream().await?;
        found(stream.get_first_raw_message_by_subject(&subject, from).await)
    }

    /// The event with this sequence; `None` if there is none.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn event(&self, seq: u64) -> Result<Option<Recorded>, BusError> {
        let stream = self.stream().await?;
        found(stream.get_raw_message(seq).await)
    }

    /// Whether the event with this sequence is of a group of which the log has only the beginning:
    /// readers do not see it.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn is_torn(&self, seq: u64) -> Result<bool, BusError> {
        let Some((group, ends)) = self.place(seq).await? else { return Ok(false) };
        if ends {
            return Ok(false);
        }
        // Groups are up to a thousand messages long: its last one is looked for in ever longer steps, and
        // once one of them has led beyond it, in ever shorter ones.
        let (mut last, mut step, mut beyond) = (seq, 1, false);
        loop {
            match self.place(last + step).await? {
                Some((of, true)) if of == group => return Ok(false),
                Some((of, false)) if of == group => last += step,
                Some(_) | None => beyond = true,
            }
            match (beyond, step) {
                (false, _) => step *= 2,
                (true, 1) => return Ok(true),
                (true, _) => step /= 2,
            }
        }
    }

    /// The group that the message with this sequence is of, and whether it is its last one.
    async fn place(&self, seq: u64) -> Result<Option<(String, bool)>, BusError> {
        let stream = self.stream().await?;
        let message = match stream.get_raw_message(seq).await {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(BusError::request(error)),
        };
        let headers = Headers::of(Some(&message.headers));
        Ok(Mark::of(&headers).map(|mark| (mark.group.to_owned(), mark.ends)))
    }

    /// Reads the log in order from this sequence on, to its end and beyond.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn read_from(&self, seq: u64) -> Result<LogReader, BusError> {
        LogReader::open(self.clone(), from(seq), Some(seq.max(1)), recorded).await
    }

    /// The same, with messages as they are stored.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn read_stored(&self, seq: u64) -> Result<LogReader<Stored>, BusError> {
        let stored =
            |message: &_, _: &Headers<'_>, seq, stored| Some(Stored::new(message, seq, stored));
        LogReader::open(self.clone(), from(seq), Some(seq.max(1)), stored).await
    }

    /// Reads the log in order from what the broker stored at this time on.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn read_since(&self, time: Time) -> Result<LogReader, BusError> {
        let from = DeliverPolicy::ByStartTime { start_time: time };
        LogReader::open(self.clone(), from, None, recorded).await
    }
}

/// Whether a request failed because nobody listens where JetStream would.
fn is_unheard(error: &(dyn std::error::Error + 'static)) -> bool {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let mut requests = sources.filter_map(|error| error.downcast_ref::<RequestError>());
    requests.any(|error| error.kind() == RequestErrorKind::NoResponders)
}

/// What the client library says about a message that was not appended, or may not have been.
fn why(error: PublishError) -> AppendError {
    let said = std::error::Error::source(&error);
    match said.and_then(|source| source.downcast_ref::<jetstream::Error>()) {
        _ if error.kind() == PublishErrorKind::WrongLastSequence => AppendError::Conflict,
        Some(broker) => AppendError::Refused(broker.to_string()),
        None => AppendError::Unknown(error.to_string()),
    }
}

/// A stored message that was asked for, as an event.
fn found(answer: Result<StreamMessage, RawMessageError>) -> Result<Option<Recorded>, BusError> {
    match answer {
        Ok(message) => {
            let StreamMessage { subject, headers, payload, sequence, .. } = &message;
            Ok(codec::recorded(
                subject,
                &Headers::of(Some(headers)),
                payload,
                *sequence,
                message.time,
            ))
        }
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(BusError::request(error)),
    }
}

/// Events as they were read, in order.
#[derive(Debug)]
pub struct Page<T = Recorded> {
    /// At least one.
    pub events: Vec<T>,
    /// The broker's time of the last one.
    pub stored: Time,
}

fn from(seq: u64) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence { start_sequence: seq.max(1) }
}

/// What is made of a message of the log, given its sequence and the broker's time.
type Read<T> = fn(&jetstream::Message, &Headers<'_>, u64, Time) -> Option<T>;

fn recorded(
    message: &jetstream::Message,
    headers: &Headers<'_>,
    seq: u64,
    stored: Time,
) -> Option<Recorded> {
    let subject = &message.subject;
    let event = codec::recorded(subject, headers, &message.payload, seq, stored);
    if event.is_none() {
        tracing::warn!(seq, %subject, "not an event subject");
    }
    event
}

/// Reads the log in order; survives lost connections.
pub struct LogReader<T = Recorded> {
    read: Read<T>,
    log: EventLog,
    next: u64,
    messages: pull::Ordered,
    /// The identity of the log.
    id: String,
    /// The last sequence that was read; 0 for none.
    read_to: u64,
    /// Since when the log seems to end before that.
    short_since: Option<Instant>,
    disconnects: watch::Receiver<u64>,
    /// How many more the broker had when it sent the last one.
    pending: u64,
    /// What was read of a group that is not there whole yet.
    beginning: Beginning<T>,
    /// Nothing more is to be expected of `messages`.
    broken: bool,
}

impl<T> std::fmt::Debug for LogReader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<T> LogReader<T> {
    async fn open(
        log: EventLog,
        from: DeliverPolicy,
        next: Option<u64>,
        read: Read<T>,
    ) -> Result<Self, BusError> {
        let mut disconnects = log.bus.disconnects();
        disconnects.mark_unchanged();
        let id = log.state().await?.id;
        let (messages, first) = Self::messages(&log, from).await?;
        Ok(Self {
            read,
            log,
            next: next.unwrap_or(first),
            messages,
            id,
            read_to: 0,
            short_since: None,
            disconnects,
            pending: 0,
            beginning: Beginning::default(),
            broken: false,
        })
    }

    /// The messages, and the sequence that they begin with.
    async fn messages(
        log: &EventLog,
        from: DeliverPolicy,
    ) -> Result<(pull::Ordered, u64), BusError> {
        let stream = log
            .bus
            .jetstream
            .get_stream_no_info(log.names.event_stream())
            .await
            .map_err(BusError::request)?;
        let config = pull::OrderedConfig { deliver_policy: from, ..pull::OrderedConfig::default() };
        let consumer = stream.create_consumer(config).await.map_err(BusError::request)?;
        let first = consumer.cached_info().delivered.stream_sequence + 1;
        Ok((consumer.messages().await.map_err(BusError::request)?, first))
    }

    /// The next events, at least one, as many as are there, about `limit` at most: a group comes
    /// whole, once all of it is there. Waits for the first.
    ///
    /// # Errors
    /// The log cannot be read now; the next call tries again from where this one was. An error that
    /// [is final](BusError::is_final): it is not the log that it was.
    pub async fn next(&mut self, limit: usize) -> Result<Page<T>, BusError> {
        let mut page = Page { events: Vec::new(), stored: Time::default() };
        // What the broker has is on its way: a page costs about as much with few events as with many.
        while page.events.is_empty() || (self.pending > 0 && page.events.len() < limit) {
            if self.broken {
                if !page.events.is_empty() {
                    break;
                }
                self.reopen().await?;
            }
            let mut chunks = (&mut self.messages).ready_chunks(limit - page.events.len());
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk,
                // The client library would miss what gets lost with a connection after many
                // seconds only.
                Ok(()) = self.disconnects.changed() => None,
                () = tokio::time::sleep(STALLED) => {
                    // Perhaps there is nothing to come; perhaps what sent it went with its server.
                    drop(chunks);
                    let idle = |head| (self.read_to..self.next).contains(&head);
                    if self.pending == 0 && self.log.head().await.is_ok_and(idle) {
                        continue;
                    }
                    tracing::warn!(next = self.next, pending = self.pending, "the log stands still");
                    None
                }
            };
            let Some(chunk) = chunk else {
                self.broken = true;
                continue;
            };
            for message in chunk {
                let Ok(message) = message else {
                    self.broken = true;
                    break;
                };
                self.take(&message, &mut page, limit);
            }
        }
        Ok(page)
    }

    fn take(&mut self, message: &jetstream::Message, page: &mut Page<T>, limit: usize) {
        let Ok(info) = message.info() else { return };
        let seq = info.stream_sequence;
        if seq < self.next {
            return;
        }
        (page.stored, self.pending) = (info.published, info.pending);
        if page.events.is_empty() {
            // Events are large, and moving them costs.
            page.events.reserve(limit.min(usize::try_from(info.pending).unwrap_or(limit)) + 1);
        }
        self.next = seq + 1;
        self.read_to = seq;
        let headers = Headers::of(message.headers.as_ref());
        if let Some(event) = (self.read)(message, &headers, seq, page.stored) {
            let mark = Mark::of(&headers);
            self.beginning.take(mark, seq, event, &mut page.events);
        }
    }

    /// A log that was lost and restored, or has lost its end, goes on with other events under the
    /// same sequences.
    async fn check_same(&mut self) -> Result<(), BusError> {
        let LogState { id, last_seq, .. } = self.log.state().await?;
        if id != self.id {
            return Err(BusError::Replaced);
        }
        if last_seq >= self.read_to {
            self.short_since = None;
            return Ok(());
        }
        let since = *self.short_since.get_or_insert_with(Instant::now);
        let shortened = BusError::Shortened { last: last_seq, read: self.read_to };
        Err(if since.elapsed() > SHORT { shortened } else { BusError::request(shortened) })
    }

    async fn reopen(&mut self) -> Result<(), BusError> {
        tracing::debug!(from = self.next, "reading the log anew");
        self.disconnects.mark_unchanged();
        self.check_same().await?;
        self.next = self.beginning.first().unwrap_or(self.next);
        self.beginning.clear();
        (self.messages, _) = Self::messages(&self.log, from(self.next)).await?;
        self.pending = 0;
        self.broken = false;
        Ok(())
    }
}

/// How long a log may seem to end too early: of several servers, one that has just become the leader
/// may not have everything yet.
const SHORT: Duration = Duration::from_secs(10);

fn uuid_text() -> String {
    // A batch id only has to be unique among the batches under way.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Uuid::from_u64_pair(*PROCESS, count).simple().to_string()
}

/// Tells this process's batches from those of others.
static PROCESS: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
});

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PublishAnswer {
    Error { error: PublishFault },
    Ack(PublishAck),
}

#[derive(Debug, Deserialize)]
struct PublishAck {
    seq: u64,
}

#[derive(Debug, Deserialize)]
struct PublishFault {
    err_code: u64,
    description: String,
}
