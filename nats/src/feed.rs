//! The commands of a partition, as its owner reads them.
//!
//! A feed first stands by. When the broker pins it, the partition's owner-to-be is told; it says
//! where to start, and from then on gets an unbroken run of commands. Whatever breaks the run (a
//! gap, a lost connection, another owner) ends it, and the feed stands by again.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::{HeaderMap, Subscriber};
use bytes::Bytes;
use echolog_events::{CommandPosition, Partition};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::provision::OWNERS;
use crate::{Bus, BusError, IncomingHeaders, Names, Provision};

/// How long one pull waits. Well below the pin's time-out, which each pull renews.
const PULL_EXPIRES: Duration = Duration::from_millis(1_500);

/// How many commands one pull asks for.
const PULL_BATCH: usize = 500;

/// The statuses by which the broker ends a pull: nothing is there, its time is over, it cannot go on.
const PULL_ENDS: [u16; 5] = [404, 408, 409, 423, 503];

/// How long to wait before the broker is asked again after something went wrong.
const PAUSE: Duration = Duration::from_millis(100);

/// What a feed has to say.
#[derive(Debug)]
pub enum FeedEvent {
    /// The broker pinned this process: it may take the partition over.
    Pinned(Partition),
    /// The run has ended: state that was kept for the partition is worth nothing now.
    Lost(Partition),
    /// The next command of the run.
    Delivered(Delivery),
}

/// A command as it was delivered.
#[derive(Debug)]
pub struct Delivery {
    /// Its partition.
    pub partition: Partition,
    /// The run that it belongs to; deliveries of an earlier run are stale.
    pub run: u64,
    /// Its place among the commands.
    pub position: CommandPosition,
    /// Whether it was handled before, as far as anyone can tell: the broker lost the end of the
    /// commands in a crash, and what it still has is read again.
    pub again: bool,
    /// Its subject, in its stored form.
    pub subject: String,
    /// Its headers.
    pub headers: IncomingHeaders,
    /// Its body.
    pub body: Bytes,
}

/// The commands of one partition.
#[derive(Debug)]
pub struct Feed {
    bus: Bus,
    names: Names,
    partition: Partition,
    events: mpsc::Sender<FeedEvent>,
    orders: mpsc::UnboundedReceiver<Order>,
    pin: Option<String>,
}

/// What the partition's owner-to-be says to a feed.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Begin a run.
    Start(Start),
    /// The partition is another's: wait for the next pin.
    StandBy,
    /// Give the partition back, so that another process is pinned at once.
    Release,
}

/// Where a run begins.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The number of the run.
    pub run: u64,
    /// The commands up to here have been handled.
    pub after: CommandPosition,
    /// And, before the broker lost the end of them, all others that are no younger than this; in
    /// nanoseconds since 1970, by the broker's clock.
    pub handled_until: i64,
}

enum End {
    Lost,
    Closed,
}

impl Feed {
    /// Follows a partition until the receiving side of `events` is gone. A [`Start`] begins
    /// a run, a new one if there is one already.
    pub fn spawn(
        bus: Bus,
        names: Names,
        partition: Partition,
        events: mpsc::Sender<FeedEvent>,
        tasks: &mut JoinSet<()>,
    ) -> mpsc::UnboundedSender<Order> {
        let (sender, orders) = mpsc::unbounded_channel();
        let feed = Self { bus, names, partition, events, orders, pin: None };
        tasks.spawn(feed.follow());
        sender
    }

    async fn follow(mut self) {
        let mut disconnects = self.bus.disconnects();
        loop {
            let attempt = tokio::select! {
                attempt = self.stand_by_and_run() => attempt,
                _ = disconnects.changed() => Ok(End::Lost),
            };
            self.pin = None;
            match attempt {
                Ok(End::Closed) => return,
                Ok(End::Lost) => {}
                Err(error) => tracing::debug!(partition = %self.partition, %error, "feed"),
            }
            if self.events.send(FeedEvent::Lost(self.partition)).await.is_err() {
                return;
            }
            // An order that was meant for the run that has just ended must not begin another.
            while self.orders.try_recv().is_ok() {}
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn stand_by_and_run(&mut self) -> Result<End, BusError> {
        if !self.stand_by().await? {
            return Ok(End::Closed);
        }
        // What was ordered before this pin was not meant for it.
        while self.orders.try_recv().is_ok() {}
        let told = self.events.send(FeedEvent::Pinned(self.partition)).await;
        let mut order = if told.is_ok() { self.orders.recv().await } else { None };
        loop {
            order = match order {
                // Pinned while the process was about to end.
                None => {
                    self.give_back().await?;
                    return Ok(End::Closed);
                }
                Some(Order::StandBy) => return Ok(End::Lost),
                Some(Order::Release) => {
                    self.give_back().await?;
                    return Ok(End::Lost);
                }
                Some(Order::Start(start)) => match self.run(start).await? {
                    RunEnd::Ordered(order) => order,
                    RunEnd::Lost => return Ok(End::Lost),
                    RunEnd::Closed => return Ok(End::Closed),
                },
            };
        }
    }

    /// Waits until the broker pins this feed. What it delivers meanwhile is read again by the run.
    async fn stand_by(&mut self) -> Result<bool, BusError> {
        let mut inbox = self.inbox().await?;
        loop {
            self.pull(&inbox.subject, 1).await?;
            loop {
                let message = tokio::select! {
                    message = inbox.subscriber.next() => message,
                    () = self.events.closed() => {
                        self.leave(inbox).await?;
                        return Ok(false);
                    }
                };
                let Some(message) = message else { return Ok(false) };
                if message.reply.as_deref().and_then(Place::parse).is_some() {
                    self.pin = self.pinned().await?;
                    return Ok(true);
                }
                match message.status.map(|status| status.as_u16()) {
                    None => continue,
                    Some(404 | 408 | 409 | 423) => {}
                    Some(503) => self.await_consumer().await?,
                    Some(_) => tokio::time::sleep(PAUSE).await,
                }
                break;
            }
        }
    }

    /// Waits until the last pull has ended: what may still be on its way pins a process that is
    /// about to end.
    async fn leave(&self, mut inbox: Inbox) -> Result<(), BusError> {
        while let Some(message) = inbox.subscriber.next().await {
            if message.reply.as_deref().and_then(Place::parse).is_some() {
                return self.give_back().await;
            }
            if message.status.is_some_and(|status| PULL_ENDS.contains(&status.as_u16())) {
                break;
            }
        }
        Ok(())
    }

    /// Gives the partition back, so that another process is pinned at once.
    async fn give_back(&self) -> Result<(), BusError> {
        self.release().await?;
        // The next command pins whoever waits for the partition; this is one.
        self.bus.publish(self.names.wake(self.partition), Bytes::new()).await
    }

    /// Nobody answers for the consumer. One server keeps nothing of it when it is restarted; several
    /// may be choosing a leader for it.
    async fn await_consumer(&self) -> Result<(), BusError> {
        let stream = self.names.command_stream();
        let stream =
            self.bus.jetstream.get_stream_no_info(stream).await.map_err(BusError::request)?;
        match stream.consumer_info(Names::consumer(self.partition)).await {
            Ok(_) => tokio::time::sleep(PAUSE).await,
            Err(error) if matches!(error.kind(), ConsumerInfoErrorKind::NotFound) => {
                Provision::owner(&self.bus, &self.names, self.partition).await?;
            }
            Err(error) => return Err(BusError::request(error)),
        }
        Ok(())
    }

    /// Who is pinned. A delivery says so in a header too, but beside those that its sender made.
    async fn pinned(&self) -> Result<Option<String>, BusError> {
        let stream = self.names.command_stream();
        let stream =
            self.bus.jetstream.get_stream_no_info(stream).await.map_err(BusError::request)?;
        let info = stream.consumer_info(Names::consumer(self.partition)).await;
        let groups = info.map_err(BusError::request)?.priority_groups;
        Ok(groups.into_iter().find_map(|group| group.pinned_client_id))
    }

    async fn run(&mut self, start: Start) -> Result<RunEnd, BusError> {
        self.reset(start.after).await?;
        let mut inbox = self.inbox().await?;
        let mut expected = 1;
        let mut asked = 0_usize;
        loop {
            if asked < PULL_BATCH / 2 {
                self.pull(&inbox.subject, PULL_BATCH).await?;
                asked += PULL_BATCH;
            }
            let message = tokio::select! {
                biased;
                order = self.orders.recv() => return Ok(RunEnd::Ordered(order)),
                message = inbox.subscriber.next() => message,
            };
            let Some(message) = message else { return Ok(RunEnd::Closed) };
            // By its reply, not its status: that may be in the headers that its sender made.
            let Some(place) = message.reply.as_deref().and_then(Place::parse) else {
                match message.status.map(|status| status.as_u16()) {
                    // A pull has expired; others may be under way.
                    Some(404 | 408 | 409) => asked = asked.saturating_sub(left(message.headers)),
                    // Another is pinned, or the consumer has moved to another server.
                    Some(_) => return Ok(RunEnd::Lost),
                    None => {}
                }
                continue;
            };
            asked = asked.saturating_sub(1);
            if place.consumer_sequence != expected {
                // Pinned again at once, the run begins anew from the position in the log.
                self.release().await?;
                return Ok(RunEnd::Lost);
            }
            expected += 1;
            let delivery = Delivery {
                partition: self.partition,
                run: start.run,
                position: place.position,
                again: place.position.nanoseconds <= start.handled_until,
                subject: message.subject.to_string(),
                headers: IncomingHeaders::new(message.headers),
                body: message.payload,
            };
            if self.events.send(FeedEvent::Delivered(delivery)).await.is_err() {
                return Ok(RunEnd::Ordered(None));
            }
        }
    }

    /// Makes the broker deliver everything behind a position, in order.
    async fn reset(&self, after: CommandPosition) -> Result<(), BusError> {
        let stream = self
            .bus
            .jetstream
            .get_stream(self.names.command_stream())
            .await
            .map_err(BusError::request)?;
        let state = &stream.cached_info().state;
        // After a crash the broker may have lost the end of the commands and use their sequences
        // again. Then everything that is left is read once more: what was handled is known by id.
        let intact = after.sequence < state.first_sequence
            || match stream.get_raw_message(after.sequence).await {
                Ok(message) => message.time.timestamp_nanos_opt() == Some(after.nanoseconds),
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                    after.sequence <= state.last_sequence
                }
                Err(error) => return Err(BusError::request(error)),
            };
        let from = if intact { after.sequence + 1 } else { state.first_sequence.max(1) };
        let mut consumer: PullConsumer = stream
            .get_consumer(&Names::consumer(self.partition))
            .await
            .map_err(BusError::request)?;
        consumer.reset(Some(from)).await.map_err(BusError::request)?;
        Ok(())
    }

    /// Lets the broker pin another process at once.
    async fn release(&self) -> Result<(), BusError> {
        let stream = self
            .bus
            .jetstream
            .get_stream_no_info(self.names.command_stream())
            .await
            .map_err(BusError::request)?;
        stream
            .unpin_consumer(&Names::consumer(self.partition), OWNERS)
            .await
            .map_err(BusError::request)
    }

    async fn inbox(&self) -> Result<Inbox, BusError> {
        let subject = self.bus.client.new_inbox();
        let subscriber = self.bus.subscribe(subject.clone(), None).await?;
        Ok(Inbox { subject, subscriber })
    }

    async fn pull(&self, inbox: &str, batch: usize) -> Result<(), BusError> {
        let request = serde_json::json!({
            "batch": batch,
            "expires": PULL_EXPIRES.as_nanos() as u64,
            "group": OWNERS,
            "id": self.pin.as_deref().unwrap_or_default(),
        });
        let subject = format!(
            "$JS.API.CONSUMER.MSG.NEXT.{}.{}",
            self.names.command_stream(),
            Names::consumer(self.partition)
        );
        self.bus
            .client
            .publish_with_reply(subject, inbox.to_owned(), request.to_string().into())
            .await
            .map_err(BusError::request)
    }
}

/// How many messages an expired pull still had to get.
fn left(headers: Option<HeaderMap>) -> usize {
    let left = IncomingHeaders::new(headers).get("Nats-Pending-Messages").map(str::parse);
    left.and_then(Result::ok).unwrap_or(usize::MAX)
}

enum RunEnd {
    Ordered(Option<Order>),
    Lost,
    Closed,
}

struct Inbox {
    subject: String,
    subscriber: Subscriber,
}

/// What the reply subject of a delivery says:
/// `$JS.ACK.{stream}.{consumer}.{deliveries}.{stream seq}.{consumer seq}.{time}.{pending}`, with
/// two more tokens in front of the stream in some set-ups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its place among the commands.
    pub position: CommandPosition,
    /// How many the consumer had delivered with it.
    pub consumer_sequence: u64,
}

impl Place {
    /// Reads a reply subject.
    #[must_use]
    pub fn parse(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.split('.').collect();
        let offset = match tokens.len() {
            9 => 0,
            11.. => 2,
            _ => return None,
        };
        let number = |index: usize| tokens.get(offset + index)?.parse::<u64>().ok();
        Some(Self {
            position: CommandPosition {
                sequence: number(5)?,
                nanoseconds: i64::try_from(number(7)?).ok()?,
            },
            consumer_sequence: number(6)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_reply_subjects() {
        let place = Place::parse("$JS.ACK.CMD.p11.1.11.2.1795238171345842070.0").expect("a place");
        assert_eq!(place.position.sequence, 11);
        assert_eq!(place.position.nanoseconds, 1_795_238_171_345_842_070);
        assert_eq!(place.consumer_sequence, 2);
        assert!(Place::parse("_INBOX.x").is_none());
    }
}
