//! The list of all projections.

use echolog_events::{Recorded, Stream};
use sqlx::PgConnection;

use crate::audit::Audit;
use crate::auth::Auth;
use crate::deciders::Deciders;
use crate::ledger::Ledger;
use crate::messages::{self, Messages};
use crate::sql::Sql;
use crate::users::Users;
use crate::{ProjectionError, Target};

/// A named set of tables with its own checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Projection {
    /// Accounts, sessions, who tried to log in.
    Auth,
    /// Profiles, settings, blocking.
    Users,
    /// Conversations, members, messages, reactions.
    Messages,
    /// Who changed what.
    Audit,
    /// What became of every command.
    Ledger,
    /// What decisions remember.
    Deciders,
}

impl Projection {
    /// Every projection.
    pub const ALL: [Self; 6] =
        [Self::Auth, Self::Users, Self::Messages, Self::Audit, Self::Ledger, Self::Deciders];

    /// Its name, as in `projection.checkpoints` and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Users => "users",
            Self::Messages => "messages",
            Self::Audit => "audit",
            Self::Ledger => "ledger",
            Self::Deciders => "deciders",
        }
    }

    /// The projection of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|projection| projection.name() == name)
    }

    /// The schema of its tables.
    #[must_use]
    pub fn schema(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Users => "users",
            Self::Messages => "messages",
            Self::Audit => "audit",
            Self::Ledger | Self::Deciders => "projection",
        }
    }

    /// Its tables.
    #[must_use]
    pub fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Auth => &[
                "users",
                "sessions",
                "refresh_tokens",
                "otp_verifications",
                "password_reset_tokens",
                "two_factor_factors",
                "recovery_codes",
                "api_keys",
                "oauth_providers",
                "login_history",
                "security_events",
            ],
            Self::Users => &["profiles", "settings", "blocked_users", "activity_log"],
            Self::Messages => &[
                "conversations",
                "members",
                "membership_periods",
                "messages",
                "cursor_moves",
                "message_reactions",
                "message_edits",
                "pinned_messages",
                "threads",
                "participant_history",
            ],
            Self::Audit => {
                &["record_changes", "auth_events", "admin_actions", "sensitive_data_access"]
            }
            Self::Ledger => &["ledger"],
            Self::Deciders => &["deciders"],
        }
    }

    /// The version of the code that folds. Raise it with every change that makes other rows of the
    /// same events; the tables are then rebuilt with `echolog replay`.
    #[must_use]
    pub fn version(self) -> i32 {
        match self {
            Self::Messages | Self::Audit | Self::Ledger => 1,
            Self::Auth | Self::Users | Self::Deciders => 2,
        }
    }

    /// Whether a row may come of the events of several partitions, so that one projector has to
    /// take all of them, in the order of the log: a command may write to several partitions.
    #[must_use]
    pub fn is_single_lane(self) -> bool {
        match self {
            Self::Ledger => true,
            Self::Auth | Self::Users | Self::Messages | Self::Audit | Self::Deciders => false,
        }
    }

    /// From when on a copy that is being filled has this key or index.
    pub(crate) fn keys(self, name: &str) -> Keys {
        match self {
            Self::Messages => messages::keys(name),
            Self::Auth | Self::Users | Self::Audit | Self::Ledger | Self::Deciders => Keys::Always,
        }
    }

    /// What completes the rows of a copy when it gets its keys of kind [`Keys::Lookup`].
    pub(crate) fn settle(self, target: &Target) -> Option<Sql> {
        match self {
            Self::Messages => Some(Messages::settle(target)),
            Self::Auth | Self::Users | Self::Audit | Self::Ledger | Self::Deciders => None,
        }
    }

    /// Whether an event of this stream may concern it. Asked for events that cannot be read, whose
    /// type says nothing; the ledger reads no content.
    pub(crate) fn concerns(self, stream: Stream) -> bool {
        match self {
            Self::Auth => matches!(
                stream,
                Stream::User
                    | Stream::Block
                    | Stream::Session
                    | Stream::Password
                    | Stream::Credential
                    | Stream::Code
            ),
            Self::Users => matches!(stream, Stream::User | Stream::Block | Stream::Session),
            Self::Messages => matches!(stream, Stream::Conversation | Stream::Message),
            Self::Audit => !matches!(stream, Stream::Claim | Stream::Owner),
            Self::Ledger => false,
            Self::Deciders => {
                matches!(
                    stream,
                    Stream::User
                        | Stream::Block
                        | Stream::Conversation
                        | Stream::Session
                        | Stream::Password
                        | Stream::Credential
                        | Stream::Code
                )
            }
        }
    }

    /// Whether an id of this projection can be set aside. Every command has to be found in the
    /// ledger, so what it cannot take it passes over.
    pub(crate) fn parks(self) -> bool {
        match self {
            Self::Ledger => false,
            Self::Auth | Self::Users | Self::Messages | Self::Audit | Self::Deciders => true,
        }
    }
}

/// From when on a copy that is being filled has a key or an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// From the start: every batch needs it.
    Always,
    /// From the first batch on that asks for rows of earlier ones.
    Lookup,
    /// Once the copy is complete: only readers need it.
    Last,
}

/// A projection with its statements for one target.
#[derive(Debug)]
pub(crate) enum Writer {
    Auth(Box<Auth>),
    Users(Users),
    Messages(Box<Messages>),
    Audit(Audit),
    Ledger(Ledger),
    Deciders(Deciders),
}

impl Writer {
    /// Builds the statements.
    pub(crate) fn new(target: &Target) -> Self {
        match target.projection() {
            Projection::Auth => Self::Auth(Box::new(Auth::new(target))),
            Projection::Users => Self::Users(Users::new(target)),
            Projection::Messages => Self::Messages(Box::new(Messages::new(target))),
            Projection::Audit => Self::Audit(Audit::new(target)),
            Projection::Ledger => Self::Ledger(Ledger::new(target)),
            Projection::Deciders => Self::Deciders(Deciders::new(target)),
        }
    }

    /// Whether these events need keys of kind [`Keys::Lookup`].
    pub(crate) fn looks_up(&self, events: &[Recorded]) -> bool {
        match self {
            Self::Messages(_) => Messages::looks_up(events),
            Self::Auth(_)
            | Self::Users(_)
            | Self::Audit(_)
            | Self::Ledger(_)
            | Self::Deciders(_) => false,
        }
    }

    /// Whether keys of kind [`Keys::Lookup`] are missing.
    pub(crate) fn set_bare(&mut self, bare: bool) {
        match self {
            Self::Messages(messages) => messages.set_bare(bare),
            Self::Auth(_)
            | Self::Users(_)
            | Self::Audit(_)
            | Self::Ledger(_)
            | Self::Deciders(_) => {}
        }
    }

    /// Folds events, in the order of the log, into the tables. The caller commits. `aside` are
    /// those of the same batch whose content is set aside or given up.
    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
        aside: &[&Recorded],
    ) -> Result<(), ProjectionError> {
        if events.is_empty() && aside.is_empty() {
            return Ok(());
        }
        match self {
            Self::Auth(auth) => auth.write(connection, events).await,
            Self::Users(users) => users.write(connection, events).await,
            Self::Messages(messages) => messages.write(connection, events).await,
            Self::Audit(audit) => audit.write(connection, events).await,
            Self::Ledger(ledger) => ledger.write(connection, events).await,
            Self::Deciders(deciders) => deciders.write(connection, events, aside).await,
        }
    }
}
