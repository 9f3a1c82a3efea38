//! Events about the write side itself: who owns a partition and how far it has read.

use serde::{Deserialize, Serialize};

use crate::CommandPosition;

/// What happens on the owner stream of a partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SystemEvent {
    /// A handler took the partition over.
    OwnershipTaken(OwnershipTaken),
    /// The owner has handled commands that left no other event.
    PositionRecorded(PositionRecorded),
    /// The owner is about to handle a command that earlier owners may not have survived.
    AttemptRecorded(AttemptRecorded),
}

/// A handler took a partition over. Its sequence in the log is the new epoch: every group of
/// events that names an older one is refused by the broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnershipTaken {
    /// The process that took over, for people to read.
    pub owner: String,
}

/// The owner has read commands that changed nothing; the position is in the header
/// `echolog-position` of this event, as in every group of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionRecorded {}

/// Several owners came and went without getting any further: this one handles the next commands one
/// by one, and says here which is the next, in case it does not survive it either.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptRecorded {
    /// The command.
    pub command: CommandPosition,
}
