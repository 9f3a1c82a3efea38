use std::collections::BTreeSet;

use echolog_events::{AuthEvent, Event, Uuid};

/// Who the administrators are, as the last event of that stream tells it. Like a claim it is not
/// stored but read from the log, and whoever changes it names the last event that they know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    /// The administrators who may act.
    pub admins: BTreeSet<Uuid>,
    /// The sequence of the last event of the stream, 0 for none: what an append expects.
    pub seq: u64,
}

impl Roster {
    /// Lets an event of the stream change it.
    pub fn evolve(&mut self, event: &Event, seq: u64) {
        self.seq = seq;
        if let Event::Auth(AuthEvent::AdminRosterChanged(e)) = event {
            self.admins = e.admins.iter().copied().collect();
        }
    }
}
