//! Random histories. Commands are decided as they are in earnest, so all of them can happen.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use echolog_commands::story::{Roll, Sent, Story, beginning};
use echolog_events::{
    AuthEvent, Body, DateTime, Event, OwnershipTaken, StreamKey, SystemEvent, Time, Uuid,
    partition_of,
};
use proptest::prelude::*;

use super::logins::{Logins, Turn};
use crate::support::sessions::keyed;
use crate::support::{Log, id};

/// What may happen next: a command, how many hours after the one before, and who logs in or out then.
/// The clocks of two handlers may differ, so time may also go back.
pub(super) type Step = (Roll, i8, Option<Turn>);

/// Any steps.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let roll = any::<[u8; 6]>().prop_map(Roll::from);
    let turn = prop::option::of(any::<Turn>());
    prop::collection::vec((roll, -2_i8..24, turn), 20..130)
}

/// What happened.
pub(super) struct History {
    pub(super) log: Log,
    /// The same as decisions see it.
    pub(super) story: Story,
    /// The commands that led to events, and where those are in the log.
    pub(super) commands: Vec<(Range<usize>, String)>,
    logins: Logins,
    now: Time,
    /// How many commands each client has sent: what it takes for ids, so two clients use the same.
    sent: BTreeMap<(String, Uuid), u128>,
}

impl History {
    /// Users and a group to begin with, then what the steps say, as far as it is accepted. Now and
    /// then another handler takes a partition over.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut history = Self {
            log: Log::default(),
            story: Story::new(),
            commands: Vec::new(),
            logins: Logins::default(),
            now: DateTime::from_timestamp(1_767_225_600, 0).expect("2026"),
            sent: BTreeMap::new(),
        };
        for sent in beginning() {
            history.take(sent, 1);
        }
        assert_eq!(history.commands.len(), beginning().len(), "the beginning is accepted");
        for (roll, hours, turn) in steps {
            let sent = history.story.roll(*roll);
            if *hours == 0 {
                let taken = OwnershipTaken { owner: "another".to_owned() };
                let partition = partition_of(&sent.target.to_string());
                history.log.system(partition, SystemEvent::OwnershipTaken(taken));
            }
            history.take(sent, *hours);
            if let Some(turn) = turn {
                history.log_in(*turn, *hours);
            }
        }
        history
    }

    fn take(&mut self, sent: Sent, hours: i8) {
        let events = self.story.send(&sent).unwrap_or_default();
        if events.is_empty() {
            return;
        }
        self.now += chrono::TimeDelta::hours(hours.into());
        let Sent { actor, target, command } = sent;
        let told = format!("{actor} on {target}: {command:?}");
        let events = events.into_iter().map(|new| (new.key, new.event)).collect();
        self.append(&actor.to_string(), target, events, hours, told);
    }

    /// No command makes these events yet, so they are rolled as such.
    fn log_in(&mut self, turn: Turn, hours: i8) {
        let registered = self.log.events.iter().filter_map(|event| match &event.body {
            Body::Known(Event::Auth(AuthEvent::UserRegistered(e))) => Some(e.user_id),
            Body::Known(_) | Body::Unreadable(_) => None,
        });
        let users: Vec<Uuid> = registered.collect();
        let events = self.logins.turn(turn, &users, self.now);
        let account = events[0].account_id();
        let told = format!("{account}: {events:?}");
        let events = events.into_iter().map(keyed).collect();
        self.append(&account.to_string(), account, events, hours, told);
    }

    fn append(
        &mut self,
        actor: &str,
        target: Uuid,
        events: Vec<(StreamKey, Event)>,
        hours: i8,
        told: String,
    ) {
        let number = self.sent.entry((actor.to_owned(), target)).or_insert(0xc000_0000);
        *number += 1;
        let command = id(*number);
        let from = self.log.events.len();
        self.log.append(actor, command, events);
        for event in &mut self.log.events[from..] {
            event.meta.time = self.now;
            event.meta.session_id = (hours % 2 == 0).then(|| id(0x5e55));
        }
        self.commands.push((from..self.log.events.len(), told));
    }
}

/// The commands, for who wants to know how it came to a failure.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (events, told) in &self.commands {
            writeln!(f, "{}..{}: {told}", events.start + 1, events.end)?;
        }
        Ok(())
    }
}
