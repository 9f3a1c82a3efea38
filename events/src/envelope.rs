//! An event with everything that is known about it.

use uuid::Uuid;

use crate::{Event, Partition, StreamKey, Time, event_id};

/// Names of the headers of a stored event: CloudEvents 1.0, binary mode, and ours.
pub mod header {
    /// Always `1.0`.
    pub const SPEC_VERSION: &str = "ce-specversion";
    /// [`crate::event_id`].
    pub const ID: &str = "ce-id";
    /// `echolog/{tenant}`.
    pub const SOURCE: &str = "ce-source";
    /// `{domain}.{event}`.
    pub const TYPE: &str = "ce-type";
    /// RFC 3339 with microseconds: when it was decided.
    pub const TIME: &str = "ce-time";
    /// Who sent the command.
    pub const ACTOR: &str = "ce-actor";
    /// The command's id.
    pub const COMMAND: &str = "ce-command";
    /// The actor's session.
    pub const SESSION: &str = "ce-session";
    /// What the client said it belongs to.
    pub const CORRELATION: &str = "ce-correlation";
    /// Version of the payload's shape.
    pub const SCHEMA: &str = "ce-schema";
    /// Always `application/msgpack`.
    pub const CONTENT_TYPE: &str = "content-type";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// A fingerprint of the command's content, on its first event, in hex.
    pub const DIGEST: &str = "echolog-digest";
    /// How far the owner of the partition has read the commands, on the first event of a group:
    /// `{sequence}.{nanoseconds}` of the last one.
    pub const POSITION: &str = "echolog-position";
}

/// What identifies a command for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandKey {
    /// Who sent it.
    pub actor: String,
    /// What it acts on.
    pub target: String,
    /// The id that the client gave it.
    pub id: Uuid,
}

impl CommandKey {
    /// What names it in the ledger: the id of its first event.
    #[must_use]
    pub fn key(&self) -> Uuid {
        event_id(&self.actor, &self.target, self.id, 0)
    }
}

/// What is known about an event besides its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// Its id, [`crate::event_id`].
    pub event_id: Uuid,
    /// When it was decided.
    pub time: Time,
    /// Who sent the command: a user's id, `anon-…` or `svc-…`. `None` for events of the system.
    pub actor: Option<String>,
    /// The command that led to it. `None` for events of the system.
    pub command_id: Option<Uuid>,
    /// The actor's session, where known.
    pub session_id: Option<Uuid>,
    /// What the client said it belongs to.
    pub correlation_id: Option<String>,
    /// W3C trace context of the command.
    pub traceparent: Option<String>,
    /// Fingerprint of the command's content; on a command's first event only.
    pub digest: Option<u64>,
    /// The owner's position among the commands; on a group's first event only.
    pub position: Option<CommandPosition>,
}

impl Meta {
    /// The actor, if it is a user.
    #[must_use]
    pub fn actor_user_id(&self) -> Option<Uuid> {
        self.actor.as_deref().and_then(|actor| Uuid::try_parse(actor).ok())
    }
}

/// A place in the stream of commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CommandPosition {
    /// The stream sequence of the last command handled.
    pub sequence: u64,
    /// The broker's time of that command, nanoseconds since 1970: after a crash the broker may use
    /// a sequence again, for another command.
    pub nanoseconds: i64,
}

impl std::fmt::Display for CommandPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.sequence, self.nanoseconds)
    }
}

impl std::str::FromStr for CommandPosition {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sequence, nanoseconds) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self { sequence: sequence.parse()?, nanoseconds: nanoseconds.parse()? })
    }
}

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its sequence in the log.
    pub seq: u64,
    /// Its partition.
    pub partition: Partition,
    /// Its stream.
    pub key: StreamKey,
    /// What is known about it.
    pub meta: Meta,
    /// What it says.
    pub body: Body,
}

impl Recorded {
    /// The last part of its type, whether this build knows it or not.
    #[must_use]
    pub fn short_name(&self) -> &str {
        match &self.body {
            Body::Known(known) => known.event_type().short(),
            Body::Unreadable(Unreadable { name, .. }) => {
                name.split_once('.').map_or(name, |(_, short)| short)
            }
        }
    }

    /// What identifies the command that it is the first event of.
    ///
    /// A command's first event is always in the stream of the command's own target, so the
    /// stream's id is the target.
    #[must_use]
    pub fn first_of_command(&self) -> Option<CommandKey> {
        let (Some(actor), Some(id), Some(_)) =
            (&self.meta.actor, self.meta.command_id, self.meta.digest)
        else {
            return None;
        };
        Some(CommandKey { actor: actor.clone(), target: self.key.id.clone(), id })
    }
}

/// The content of a stored event.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// An event that this build knows.
    Known(Event),
    /// Something else: written by a newer build, or by hand.
    Unreadable(Unreadable),
}

/// Why an event cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The type that it claims to have.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}
