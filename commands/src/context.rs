//! Everything about a command except its content: who, on what, when, under which settings.

use chrono::TimeDelta;
use echolog_events::{Time, Uuid};

use crate::auth::Findings;
use crate::{Rejection, fields};

/// Who a command comes from. The broker's permissions make sure that it is true.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A user, by id.
    User(Uuid),
    /// Someone before login: `anon-…`.
    Anonymous(String),
    /// A service that acts for itself: `svc-…`.
    Service(String),
}

impl Actor {
    /// Echolog's own workers: what they do follows from what others did, or from time.
    pub const WORKER: &str = "svc-echolog";

    /// Reads the actor's token of a subject.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        if token.strip_prefix("anon-").is_some_and(|rest| !rest.is_empty()) {
            Some(Self::Anonymous(token.to_owned()))
        } else if token.strip_prefix("svc-").is_some_and(|rest| !rest.is_empty()) {
            Some(Self::Service(token.to_owned()))
        } else {
            fields::parse_id(token).ok().map(Self::User)
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "{id}"),
            Self::Anonymous(token) | Self::Service(token) => f.write_str(token),
        }
    }
}

/// What an operator decides for a tenant.
#[derive(Clone)]
pub struct Settings {
    /// The key under which unique values are hashed into claim ids.
    pub claim_key: Vec<u8>,
    /// The key of what second factors are derived from and hashed with.
    pub factor_key: Vec<u8>,
    /// Whether a new account waits for a verified contact.
    pub require_verified_contact: bool,
    /// Whether whoever registers an address or number has to prove to have it. Nobody learns otherwise
    /// who has an account.
    pub require_contact_proof: bool,
    /// Whether e-mails, and text messages, get to anybody: otherwise an address, or a number, is no way
    /// to log in.
    pub sends_emails: bool,
    /// See [`sends_emails`](Self::sends_emails).
    pub sends_texts: bool,
    /// The most members that a conversation may have.
    pub max_members: usize,
    /// How many attempts to log in may fail before nobody can for a while.
    pub login_attempts: u32,
    /// How long nobody can.
    pub login_lock: TimeDelta,
    /// How long a session lasts that is not refreshed.
    pub session_lifetime: TimeDelta,
    /// Whether what providers give for calls in a user's name is kept.
    pub keep_oauth_tokens: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            claim_key: Vec::new(),
            factor_key: Vec::new(),
            require_verified_contact: false,
            require_contact_proof: false,
            sends_emails: true,
            sends_texts: true,
            max_members: 10_000,
            login_attempts: 5,
            login_lock: TimeDelta::minutes(15),
            session_lifetime: TimeDelta::days(30),
            keep_oauth_tokens: false,
        }
    }
}

/// Without the keys.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("require_verified_contact", &self.require_verified_contact)
            .field("require_contact_proof", &self.require_contact_proof)
            .field("sends_emails", &self.sends_emails)
            .field("sends_texts", &self.sends_texts)
            .field("max_members", &self.max_members)
            .field("login_attempts", &self.login_attempts)
            .field("login_lock", &self.login_lock)
            .field("session_lifetime", &self.session_lifetime)
            .field("keep_oauth_tokens", &self.keep_oauth_tokens)
            .finish_non_exhaustive()
    }
}

/// The circumstances of one command.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Who sends it.
    pub actor: &'a Actor,
    /// What it acts on.
    pub target: Uuid,
    /// When it is decided.
    pub time: Time,
    /// Under which settings.
    pub settings: &'a Settings,
    /// What the request path found out.
    pub findings: &'a Findings,
}

impl Context<'_> {
    /// The user who acts.
    ///
    /// # Errors
    /// `unauthenticated` for someone who has not logged in, and for a service.
    pub fn user(&self) -> Result<Uuid, Rejection> {
        match self.actor {
            Actor::User(id) => Ok(*id),
            Actor::Anonymous(_) | Actor::Service(_) => {
                Err(Rejection::unauthenticated("This command needs a user; the actor is none."))
            }
        }
    }

    /// The user who acts on nobody but themselves.
    ///
    /// # Errors
    /// `unauthenticated` as [`Self::user`], `forbidden` if the target is another.
    pub fn own_user(&self) -> Result<Uuid, Rejection> {
        let user = self.user()?;
        if user == self.target {
            Ok(user)
        } else {
            Err(Rejection::forbidden("The target of this command is your own user id."))
        }
    }
}
