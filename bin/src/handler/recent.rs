//! Ids of the last minutes: they tell what is surely new, without asking PostgreSQL.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use chrono::TimeDelta;
use echolog_commands::fields::made;
use echolog_events::{Body, Event, MessagesEvent, Recorded, Stream, Time, Uuid};
use echolog_nats::{BusError, EventLog};

/// How long ids are kept, where there is room.
pub(super) const KEEP: TimeDelta = TimeDelta::minutes(4);

/// How many ids of a kind are kept at most; about 16 bytes each.
const CAPACITY: usize = 4_000_000;

/// How far a client's clock and the broker's may disagree without costing a look into PostgreSQL.
const SKEW: TimeDelta = TimeDelta::minutes(3);

/// Messages of the log that are asked for at once.
const PAGE: usize = 2_000;

/// How long the past rests after each page, in times of what the page took.
const LEISURE: u32 = 4;

/// How long one set takes ids in.
const AGE: TimeDelta = TimeDelta::minutes(1);

/// Everything of one kind that came into the log since a moment. An id that is a UUIDv7, is younger
/// than that by far and is not here is new: ids from the future are refused.
#[derive(Debug, Default)]
struct Kind {
    /// By age: the ids, and the broker's time that none of them is younger than.
    ages: VecDeque<(Time, HashSet<u64>)>,
    since: Option<Time>,
    count: usize,
}

impl Kind {
    fn insert(&mut self, id: u64, stored: Time) {
        if self.ages.back().is_none_or(|(until, _)| stored > *until) {
            self.ages.push_back((stored + AGE, HashSet::new()));
        }
        if let Some((_, ids)) = self.ages.back_mut() {
            self.count += usize::from(ids.insert(id));
        }
    }

    fn is_new(&self, id: u64, made: Option<Time>) -> bool {
        let young = |made: Time| self.since.is_some_and(|since| made > since + SKEW);
        made.is_some_and(young) && !self.ages.iter().any(|(_, ids)| ids.contains(&id))
    }

    fn trim(&mut self, now: Time) {
        while let Some((until, ids)) = self.ages.front() {
            if *until + KEEP > now && self.count <= CAPACITY {
                break;
            }
            self.count -= ids.len();
            self.since = self.since.max(Some(*until));
            self.ages.pop_front();
        }
    }
}

/// The commands and messages of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    commands: Kind,
    messages: Kind,
    begun: Option<Time>,
}

impl Recent {
    /// Everything that is stored after `since` is noted from now on.
    pub(super) fn begin(&mut self, since: Time) {
        self.begun = Some(since);
        (self.commands.since, self.messages.since) = (self.begun, self.begun);
    }

    /// Whether it has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Notes a command.
    pub(super) fn note_command(&mut self, key: Uuid, stored: Time) {
        self.commands.insert(fold(key), stored);
    }

    /// Notes a message, if that is what an event is about.
    pub(super) fn note_message(&mut self, event: &Event, stored: Time) {
        if let Event::Messages(MessagesEvent::MessageSent(sent)) = event {
            self.messages.insert(message(sent.conversation_id, sent.message_id), stored);
        }
    }

    /// Notes what an event of the log says about messages. One of a newer build may have made any:
    /// then nothing that could be in it is surely new.
    pub(super) fn read_message(&mut self, event: &Recorded, stored: Time) {
        match &event.body {
            Body::Known(known) => self.note_message(known, stored),
            Body::Unreadable(_) if event.key.stream == Stream::Message => {
                self.messages.since = self.messages.since.max(Some(stored));
            }
            Body::Unreadable(_) => {}
        }
    }

    /// Whether a command was surely never accepted.
    pub(super) fn is_new_command(&self, key: Uuid, id: Uuid) -> bool {
        self.commands.is_new(fold(key), made(id))
    }

    /// Whether there surely is no such message.
    pub(super) fn is_new_message(&self, conversation: Uuid, id: Uuid) -> bool {
        self.messages.is_new(message(conversation, id), made(id))
    }

    /// How far back every id of both kinds is known.
    pub(super) fn reach(&self, now: Time) -> TimeDelta {
        let since = self.commands.since.zip(self.messages.since);
        since.map_or(TimeDelta::zero(), |(commands, messages)| now - commands.max(messages))
    }

    /// Drops what is old.
    pub(super) fn trim(&mut self, now: Time) {
        self.commands.trim(now);
        self.messages.trim(now);
    }

    /// Takes in what came before this began.
    pub(super) fn learn(&mut self, before: Self) {
        let (begun, before_begun) = (self.begun, before.begun);
        for (kind, mut before) in
            [(&mut self.commands, before.commands), (&mut self.messages, before.messages)]
        {
            // Otherwise something is missing in between already.
            if kind.since == begun {
                kind.since = before.since;
                kind.count += before.count;
                before.ages.append(&mut kind.ages);
                kind.ages = before.ages;
            }
        }
        self.begun = self.begun.or(before_begun);
    }

    /// What came into the log in the minutes before `until`, a sequence.
    pub(super) async fn read(log: &EventLog, until: u64) -> Result<Self, BusError> {
        let since = log.time().await? - KEEP;
        let mut recent = Self::default();
        recent.begin(since);
        let mut reader = log.read_since(since).await?;
        loop {
            let begun = Instant::now();
            let page = reader.next(PAGE).await?;
            for event in &page.events {
                if let Some(command) = event.first_of_command() {
                    recent.note_command(command.key(), page.stored);
                }
                recent.read_message(event, page.stored);
            }
            // For room only.
            recent.trim(since);
            if page.events.last().is_some_and(|last| last.seq >= until) {
                return Ok(recent);
            }
            // Nobody waits for this, and others have work to do.
            tokio::time::sleep(begun.elapsed() * LEISURE).await;
        }
    }
}

/// Two ids may fold into one number: then PostgreSQL is asked in vain.
fn fold(id: Uuid) -> u64 {
    let (high, low) = id.as_u64_pair();
    high.rotate_left(32) ^ low
}

fn message(conversation: Uuid, id: Uuid) -> u64 {
    fold(conversation) ^ fold(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(seconds, 0).expect("a time")
    }

    #[test]
    fn what_is_young_and_not_here_is_new() {
        let mut kind = Kind::default();
        assert!(!kind.is_new(1, Some(at(1_000))), "nobody knows what was before");
        kind.since = Some(at(0));
        kind.insert(1, at(900));
        assert!(!kind.is_new(1, Some(at(1_000))));
        assert!(kind.is_new(2, Some(at(1_000))));
        assert!(!kind.is_new(2, Some(at(100))), "it may be older than what is here");
        assert!(!kind.is_new(2, None));
    }

    #[test]
    fn what_is_dropped_is_new_no_more() {
        let mut kind = Kind { since: Some(at(0)), ..Kind::default() };
        for second in 0..1_000 {
            kind.insert(second, at(second.cast_signed()));
            kind.trim(at(second.cast_signed()));
        }
        let since = kind.since.expect("a beginning");
        assert!(since > at(500) && since < at(800), "{since}");
        let kept = |second: u64| kind.ages.iter().any(|(_, ids)| ids.contains(&second));
        for second in 0..1_000_u64 {
            assert!(at(second.cast_signed()) <= since || kept(second), "{second}");
        }
    }

    /// A UUIDv7 of that time.
    fn made(seconds: u64, last: u8) -> Uuid {
        let random = [last; 10];
        uuid::Builder::from_unix_timestamp_millis(seconds * 1_000, &random).into_uuid()
    }

    #[test]
    fn what_was_before_is_learned() {
        let (mut recent, mut before) = (Recent::default(), Recent::default());
        let (known, unknown) = (made(1_000, 1), made(1_000, 2));
        recent.begin(at(990));
        assert!(!recent.is_new_command(unknown, unknown), "it may be older than that");
        before.begin(at(700));
        before.note_command(known, at(980));
        recent.learn(before);
        assert!(recent.is_new_command(unknown, unknown));
        assert!(!recent.is_new_command(known, known));
    }

    #[test]
    fn what_does_not_join_is_not_learned() {
        let (mut recent, mut before) = (Recent::default(), Recent::default());
        recent.begin(at(0));
        for second in 0..600 {
            recent.note_command(made(second, 1), at(second.cast_signed()));
        }
        recent.trim(at(600));
        before.begin(at(-300));
        recent.learn(before);
        let id = made(200, 2);
        assert!(!recent.is_new_command(id, id), "what came in between is dropped");
    }
}
