use echolog_events::{AuthEvent, Event, Uuid};

/// A claim to a unique value, as the last event of its stream tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Claim {
    /// Whose the value is; `None`: it is free.
    pub owner: Option<Uuid>,
    /// The sequence of the last event of the claim's stream, 0 for none: what an append expects.
    pub seq: u64,
}

impl Claim {
    pub(super) fn evolve(&mut self, event: &Event, seq: u64) {
        self.seq = seq;
        self.owner = if let Event::Auth(AuthEvent::IdentifierClaimed(e)) = event {
            Some(e.owner_id)
        } else {
            None
        };
    }
}
