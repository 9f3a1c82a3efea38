use echolog_events::{Body, CommandPosition, Event, Recorded, SystemEvent};
use serde::{Deserialize, Serialize};

/// What is known about the ownership of a partition: what a new owner starts from. Kept in
/// `projection.deciders` under stream `owner` and the partition's two digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    /// Sequence of the last event on the owner subject: the fence.
    pub epoch: u64,
    /// How far the commands of the partition have been handled.
    pub position: CommandPosition,
    /// The broker's time of the youngest command ever handled, in nanoseconds since 1970. Younger
    /// than the position while commands are read again after the broker lost the end of them.
    pub handled_until: i64,
    /// How many owners there were since the position last moved.
    pub takeovers: u32,
    /// The command that owners tried last since then with that in mind.
    pub attempted: CommandPosition,
    /// How often they tried it.
    pub attempts: u32,
}

impl Owner {
    /// Lets any event of the partition move the position, and its system events the epoch.
    /// Returns whether it changed anything.
    pub fn evolve(&mut self, event: &Recorded) -> bool {
        let before = *self;
        if let Body::Known(Event::System(system)) = &event.body {
            self.epoch = event.seq;
            match system {
                SystemEvent::OwnershipTaken(_) => self.takeovers += 1,
                SystemEvent::PositionRecorded(_) => self.takeovers = 0,
                SystemEvent::AttemptRecorded(attempt) => self.attempt(attempt.command),
            }
        }
        if let Some(position) = event.meta.position {
            if position != self.position {
                (self.takeovers, self.attempts) = (0, 0);
            }
            self.position = position;
            self.handled_until = self.handled_until.max(position.nanoseconds);
        }
        before != *self
    }

    fn attempt(&mut self, command: CommandPosition) {
        if command != self.attempted {
            self.attempts = 0;
        }
        self.attempted = command;
        self.attempts += 1;
    }

    /// How often this command was tried by owners that got no further, knowing that they might not.
    #[must_use]
    pub fn attempts(&self, command: CommandPosition) -> u32 {
        if command == self.attempted { self.attempts } else { 0 }
    }
}
