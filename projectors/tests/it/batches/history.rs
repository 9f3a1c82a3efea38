//! Random histories. Commands are decided as they are in earnest, so all of them can happen.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use echolog_commands::story::{Roll, Sent, Story, beginning};
use echolog_events::{DateTime, OwnershipTaken, SystemEvent, Time, Uuid, partition_of};
use proptest::prelude::*;

use crate::support::{Log, id};

/// What may happen next: a command, and how many hours after the one before. The clocks of two
/// handlers may differ, so time may also go back.
pub(super) type Step = (Roll, i8);

/// Any steps.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let roll = any::<[u8; 6]>().prop_map(Roll::from);
    prop::collection::vec((roll, -2_i8..24), 20..130)
}

/// What happened.
pub(super) struct History {
    pub(super) log: Log,
    /// The same as decisions see it.
    pub(super) story: Story,
    /// The commands that led to events, and where those are in the log.
    pub(super) commands: Vec<(Range<usize>, Sent)>,
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
            story: Story::of_dice(),
            commands: Vec::new(),
            now: DateTime::from_timestamp(1_767_225_600, 0).expect("2026"),
            sent: BTreeMap::new(),
        };
        for sent in beginning() {
            history.take(sent, 1);
        }
        assert_eq!(history.commands.len(), beginning().len(), "the beginning is accepted");
        for (roll, hours) in steps {
            let sent = history.story.roll(*roll);
            if *hours == 0 {
                let taken = OwnershipTaken { owner: "another".to_owned() };
                let partition = partition_of(&sent.target.to_string());
                history.log.system(partition, SystemEvent::OwnershipTaken(taken));
            }
            history.take(sent, *hours);
        }
        history
    }

    fn take(&mut self, sent: Sent, hours: i8) {
        let events = match self.story.send(&sent) {
            Ok(events) => events,
            Err(no) => no.events.into_vec(),
        };
        if events.is_empty() {
            return;
        }
        let actor = sent.actor.to_string();
        let number = self.sent.entry((actor.clone(), sent.target)).or_insert(0xc000_0000);
        *number += 1;
        let command = id(*number);
        let from = self.log.events.len();
        let events = events.into_iter().map(|new| (new.key, new.event)).collect();
        self.log.append(&actor, command, events);
        self.now += chrono::TimeDelta::hours(hours.into());
        for event in &mut self.log.events[from..] {
            event.meta.time = self.now;
            event.meta.session_id = (hours % 2 == 0).then(|| id(0x5e55));
        }
        self.commands.push((from..self.log.events.len(), sent));
    }
}

/// The commands, for who wants to know how it came to a failure.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (events, Sent { actor, target, command, findings: _ }) in &self.commands {
            writeln!(f, "{}..{}: {actor} on {target}: {command:?}", events.start + 1, events.end)?;
        }
        Ok(())
    }
}
