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
}

impl Owner {
    /// Lets any event of the partition move the position, and its system events the epoch.
    /// Returns whether it changed anything.
    pub fn evolve(&mut self, event: &Recorded) -> bool {
        let before = *self;
        if let Body::Known(Event::System(
            SystemEvent::OwnershipTaken(_) | SystemEvent::PositionRecorded(_),
        )) = &event.body
        {
            self.epoch = event.seq;
        }
        if let Some(position) = event.meta.position {
            self.position = position;
            self.handled_until = self.handled_until.max(position.nanoseconds);
        }
        before != *self
    }
}
