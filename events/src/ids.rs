//! Partitions and event ids.

use uuid::Uuid;

/// How many partitions a tenant has. Sixteen is for ever: the number is part of every subject.
pub const PARTITIONS: u8 = 16;

/// One of the sixteen partitions of a tenant: what one owner decides and one fence protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u8);

impl Partition {
    /// The partition with this number, if there is one.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (number < PARTITIONS).then_some(Self(number))
    }

    /// All partitions in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..PARTITIONS).map(Self)
    }

    /// The number, 0 to 15.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The number as an index into an array of [`PARTITIONS`] things.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Two digits, as in subjects.
impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// The partition of an id: the 32-bit FNV-1a hash that NATS's own `partition()` computes, so that
/// a command and its events meet in the same one.
#[must_use]
pub fn partition_of(id: &str) -> Partition {
    let hash = id
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Partition((hash % u32::from(PARTITIONS)) as u8)
}

/// Namespace of the ids made by [`event_id`]; a constant of the storage format.
const EVENT_IDS: Uuid = Uuid::from_u128(0x9d6c_2c4e_0a55_5c0e_9f5e_6563_686f_6c67);

/// The id of the `index`-th event of a command: a UUIDv5, so a command decided twice would name
/// its events alike.
#[must_use]
pub fn event_id(actor: &str, target: &str, command: Uuid, index: usize) -> Uuid {
    let name = format!("{actor}\n{target}\n{command}\n{index}");
    Uuid::new_v5(&EVENT_IDS, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_the_broker() {
        // Read off nats-server 2.15.1 with `{{partition(16,5)}}`.
        assert_eq!(partition_of("0190").number(), 11);
    }

    #[test]
    fn event_ids_tell_commands_apart() {
        let command = Uuid::from_u128(7);
        assert_eq!(event_id("a", "b", command, 0), event_id("a", "b", command, 0));
        assert_ne!(event_id("a", "b", command, 0), event_id("a", "b", command, 1));
        assert_ne!(event_id("a", "b", command, 0), event_id("b", "a", command, 0));
    }
}
