//! What became of a command.

use echolog_events::Uuid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::NewEvent;

/// What became of a command, as it is sent back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The command's id; `null` if it was no UUID.
    pub command_id: Option<Uuid>,
    /// Whether it was accepted.
    pub status: Status,
    /// Sequence in the log of the last event that it led to; `null` if nothing had to change.
    pub seq: Option<u64>,
    /// Sequence in the log of the last event of the target's own stream.
    pub version: Option<u64>,
    /// The events that it led to, by name without the domain.
    pub events: Vec<String>,
    /// What else there is to say.
    pub data: Option<Value>,
    /// Why not.
    pub error: Option<CommandError>,
    /// With `Echolog-Await: projected`: whether the tables show it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projected: Option<bool>,
}

impl Outcome {
    /// The outcome of a command that the rules, or we, say no to.
    #[must_use]
    pub fn refused(command_id: Option<Uuid>, rejection: Rejection) -> Self {
        let Rejection { code, message, field, data, events: _ } = rejection;
        Self {
            command_id,
            status: code.status(),
            seq: None,
            version: None,
            events: Vec::new(),
            data,
            error: Some(CommandError { code, message, field }),
            projected: None,
        }
    }

    /// The code of its error; empty when accepted. The label of the metric.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.error.as_ref().map_or("", |error| error.code.name())
    }
}

/// Whether a command was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It holds, for good.
    Accepted,
    /// The rules say no in this state.
    Rejected,
    /// Ours, or too fast: retry with the same id.
    Failed,
}

impl Status {
    /// The name, as in outcomes and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// Why a command was not accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandError {
    /// The stable code.
    pub code: ErrorCode,
    /// An English sentence for a developer.
    pub message: String,
    /// The field that is wrong, for `invalid` and `too_large`.
    pub field: Option<String>,
}

/// The stable codes of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Shape or value; `field` names it.
    Invalid,
    /// The actor is nobody that we know, or not logged in.
    Unauthenticated,
    /// Not yours to do.
    Forbidden,
    /// No such thing.
    NotFound,
    /// The state or the version says no, or the id was used for something else.
    Conflict,
    /// It is there already.
    AlreadyExists,
    /// Expired, used or deleted.
    Gone,
    /// More than fits.
    TooLarge,
    /// Too fast.
    RateLimited,
    /// Something that is needed cannot be reached.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// Every code with what it means, for the reference.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Invalid, "The shape or a value is wrong; `field` names it."),
        (Self::Unauthenticated, "The actor is nobody that we know, or not logged in."),
        (Self::Forbidden, "The actor may not do this."),
        (Self::NotFound, "There is no such thing."),
        (
            Self::Conflict,
            "The state or the version says no, or the id was used for something else.",
        ),
        (Self::AlreadyExists, "It is there already."),
        (Self::Gone, "It has expired, was used or was deleted."),
        (Self::TooLarge, "It is more than fits; `field` names it."),
        (Self::RateLimited, "Too many commands in too short a time; retry later with the same id."),
        (Self::Unavailable, "Something that is needed cannot be reached; retry with the same id."),
        (Self::Internal, "A fault of Echolog's own; retry with the same id."),
    ];

    /// The name, as in outcomes and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::AlreadyExists => "already_exists",
            Self::Gone => "gone",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the rules say no, or something failed.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::RateLimited | Self::Unavailable | Self::Internal => Status::Failed,
            Self::Invalid
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::Conflict
            | Self::AlreadyExists
            | Self::Gone
            | Self::TooLarge => Status::Rejected,
        }
    }
}

/// A no, with its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// The stable code.
    pub code: ErrorCode,
    /// An English sentence for a developer. Never echoes a secret.
    pub message: String,
    /// The field that is wrong.
    pub field: Option<String>,
    /// What else the client may want to know.
    pub data: Option<Value>,
    /// What happened nonetheless, and has to be remembered.
    pub events: Box<[NewEvent]>,
}

macro_rules! constructors {
    ($($name:ident = $code:ident),* $(,)?) => {
        impl Rejection {
            $(
                #[doc = concat!("A rejection with the code `", stringify!($name), "`.")]
                #[must_use]
                pub fn $name(message: impl Into<String>) -> Self {
                    Self {
                        code: ErrorCode::$code,
                        message: message.into(),
                        field: None,
                        data: None,
                        events: Box::default(),
                    }
                }
            )*
        }
    };
}

constructors! {
    unauthenticated = Unauthenticated,
    forbidden = Forbidden,
    not_found = NotFound,
    conflict = Conflict,
    already_exists = AlreadyExists,
    gone = Gone,
    rate_limited = RateLimited,
    unavailable = Unavailable,
    internal = Internal,
}

impl Rejection {
    /// A value that is wrong. `field` is its path; empty for the whole body.
    #[must_use]
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::about_field(ErrorCode::Invalid, field, message)
    }

    /// A value that is more than fits.
    #[must_use]
    pub fn too_large(field: &str, message: impl Into<String>) -> Self {
        Self::about_field(ErrorCode::TooLarge, field, message)
    }

    /// The same, with more events that it leads to all the same; the first is in a stream of the
    /// command's target.
    #[must_use]
    pub fn leaving(mut self, events: impl IntoIterator<Item = NewEvent>) -> Self {
        self.events = self.events.into_iter().chain(events).collect();
        self
    }

    /// The same, with something that the client may want to know.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    fn about_field(code: ErrorCode, field: &str, message: impl Into<String>) -> Self {
        let field = (!field.is_empty()).then(|| field.to_owned());
        Self { code, message: message.into(), field, data: None, events: Box::default() }
    }
}
