//! What can go wrong while the log is folded into tables.

use echolog_commands::state::UnreadableState;
use echolog_events::Recorded;

/// Why a batch was not applied. Nothing of it is in the tables then.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// An event that cannot be applied; [`crate::Runner`] sets its id aside and goes on.
    #[error("{reason}")]
    Data {
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else has moved the checkpoint, or exchanged the tables.
    #[error("projection {0} has moved under this projector")]
    Fenced(String),
    /// The rows were made by another version of the fold. By an earlier one: a rebuild is all that is
    /// needed, and whoever waits for it goes on. By a later one: a newer build is at work.
    #[error(
        "projection {projection} was made by version {stored} of its fold, this build has version {current}; rebuild it with `echolog replay {projection}`"
    )]
    OtherFold {
        /// The projection.
        projection: String,
        /// The version that made the rows.
        stored: i32,
        /// The version of this build.
        current: i32,
    },
    /// A stored state that this build cannot read.
    #[error(transparent)]
    State(#[from] UnreadableState),
    /// A stored ownership that this build cannot read.
    #[error(
        "the stored ownership of a partition cannot be read ({0}); rebuild it with `echolog replay deciders`"
    )]
    Owner(String),
    /// A projection whose rows come of several partitions was to be run for some of them.
    #[error("projection {0} needs all partitions in one projector")]
    Divided(&'static str),
    /// PostgreSQL, or the way to it.
    #[error("PostgreSQL: {0}")]
    Database(#[source] sqlx::Error),
}

/// What to do about a [`ProjectionError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Apply the same batch again after a while: a deadlock, a full disk.
    Again,
    /// Start a new [`crate::Runner`]: this one has lost its connection or its place.
    Restart,
    /// An operator has to do something first.
    Stop,
}

impl ProjectionError {
    /// An event that does not fit what the tables hold.
    pub(crate) fn data(event: &Recorded, reason: impl std::fmt::Display) -> Self {
        Self::Data { reason: format!("event {}: {reason}", event.seq) }
    }

    /// What to do about it.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::OtherFold { stored, current, .. } if stored < current => Recovery::Restart,
            Self::Data { .. }
            | Self::OtherFold { .. }
            | Self::State(_)
            | Self::Owner(_)
            | Self::Divided(_) => Recovery::Stop,
            Self::Fenced(_) => Recovery::Restart,
            Self::Database(sqlx::Error::Database(error)) => match error.code().as_deref() {
                // The server ends this connection: shut down, or told to by an administrator.
                Some(code) if code.starts_with("57P") => Recovery::Restart,
                Some(_) | None => Recovery::Again,
            },
            Self::Database(_) => Recovery::Restart,
        }
    }
}

impl From<sqlx::Error> for ProjectionError {
    fn from(error: sqlx::Error) -> Self {
        let database = error.as_database_error();
        match database.and_then(|error| Some((error.code()?, error.message()))) {
            Some((code, message)) if is_data(&code) => Self::Data { reason: message.to_owned() },
            Some(_) | None => Self::Database(error),
        }
    }
}

/// Whether an SQLSTATE says that a value is wrong: class 22, data, class 23, integrity, or class
/// 54, too large (for an index, say). Two of class 22 say that our own encoding is wrong, which no
/// event is to blame for.
fn is_data(code: &str) -> bool {
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
        && !matches!(code, "22P03" | "22P04")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_are_told_from_trouble() {
        assert!(is_data("23505"));
        assert!(is_data("22021"));
        assert!(is_data("54000"), "a text that no index takes");
        assert!(!is_data("22P03"), "our encoding");
        assert!(!is_data("53100"), "a full disk");
        assert!(!is_data("40P01"), "a deadlock");
    }
}
