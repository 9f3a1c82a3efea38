//! What goes out to people: mails and text messages with codes.
//!
//! Nothing of it is stored. A message that cannot be delivered is tried again until its code is of no use
//! any more; what a process has not delivered when it ends is lost, and has to be asked for again.

mod files;
mod sms;
mod smtp;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use echolog_commands::auth::NameType;
use echolog_events::{Time, Uuid};
use prometheus::IntCounterVec;
use tokio::sync::{Semaphore, mpsc};

use self::files::Files;
use self::sms::Sms;
use self::smtp::Smtp;
use crate::clock;
use crate::retry::Retry;

/// How many messages wait in a channel at most.
const QUEUE: usize = 1000;

/// How many of a channel are on their way at once.
const CONCURRENCY: usize = 8;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How mails and text messages go out; without it, none do.
#[derive(Clone, Default, clap::Args)]
#[group(skip)]
pub struct Options {
    /// The server that takes mails, with credentials: smtps://user:password@host, or
    /// smtp://user:password@host:587?tls=required
    #[arg(long, env = "ECHOLOG_SMTP_URL", hide_env_values = true, global = true)]
    pub smtp_url: Option<String>,
    /// Whom mails are from: Echolog <noreply@example.org>
    #[arg(long, env = "ECHOLOG_MAIL_FROM", global = true)]
    pub mail_from: Option<String>,
    /// Where text messages are posted to, as JSON with `to`, `text` and `id`.
    #[arg(long, env = "ECHOLOG_SMS_URL", hide_env_values = true, global = true)]
    pub sms_url: Option<String>,
    /// The bearer token that goes with them.
    #[arg(long, env = "ECHOLOG_SMS_TOKEN", hide_env_values = true, global = true)]
    pub sms_token: Option<String>,
    /// Write what has no server to go to into files here. For trials.
    #[arg(long, env = "ECHOLOG_OUTBOX_DIR", global = true)]
    pub outbox_dir: Option<PathBuf>,
}

/// Without addresses, which carry credentials.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("mail_from", &self.mail_from).finish_non_exhaustive()
    }
}

/// The ways to reach somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Mails.
    Email,
    /// Text messages.
    Sms,
}

impl Channel {
    /// The one that leads to a name of this kind.
    #[must_use]
    pub fn to(kind: NameType) -> Option<Self> {
        match kind {
            NameType::Email => Some(Self::Email),
            NameType::Phone => Some(Self::Sms),
            NameType::Username => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }
}

/// A message to somebody. It is not shown: it carries a secret.
pub struct Letter {
    /// What names it; the same however often it is sent.
    pub id: Uuid,
    /// An e-mail address or a phone number.
    pub to: String,
    /// What a mail is about.
    pub subject: &'static str,
    /// What it says.
    pub text: String,
    /// When it is of no use any more.
    pub expires_at: Time,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a message was not taken. The texts of servers are left out: they repeat who it is for.
#[derive(Debug, PartialEq, thiserror::Error)]
enum Undelivered {
    #[error("the server refuses it ({0})")]
    Refused(u16),
    #[error("{0}")]
    Failed(&'static str),
}

/// Takes messages to where they go.
enum Carrier {
    Smtp(Box<Smtp>),
    Sms(Sms),
    Files(Files),
}

impl Carrier {
    async fn carry(&self, letter: &Letter) -> Result<(), Undelivered> {
        let carried = async {
            match self {
                Self::Smtp(smtp) => smtp.carry(letter).await,
                Self::Sms(sms) => sms.carry(letter).await,
                Self::Files(files) => files.carry(letter).await,
            }
        };
        let late = |_| Err(Undelivered::Failed("the server does not answer in time"));
        tokio::time::timeout(PATIENCE, carried).await.unwrap_or_else(late)
    }
}

/// Where messages wait for their turn.
#[derive(Clone, Debug)]
pub struct Outbox {
    email: Option<mpsc::Sender<Letter>>,
    sms: Option<mpsc::Sender<Letter>>,
    deliveries: IntCounterVec,
}

impl Outbox {
    /// Begins to deliver.
    ///
    /// # Errors
    /// Addresses that are none.
    pub fn start(options: &Options, deliveries: IntCounterVec) -> anyhow::Result<Self> {
        let files = options.outbox_dir.as_ref().map(|place| Files::new(place)).transpose()?;
        let email = match Smtp::new(options)? {
            Some(smtp) => Some(Carrier::Smtp(Box::new(smtp))),
            None => files.clone().map(Carrier::Files),
        };
        let sms = Sms::new(options)?.map(Carrier::Sms).or(files.map(Carrier::Files));
        let open = |channel, carrier: Option<Carrier>| {
            carrier.map(|carrier| deliver(channel, carrier, deliveries.clone()))
        };
        let (email, sms) = (open(Channel::Email, email), open(Channel::Sms, sms));
        Ok(Self { email, sms, deliveries })
    }

    fn queue(&self, channel: Channel) -> Option<&mpsc::Sender<Letter>> {
        match channel {
            Channel::Email => self.email.as_ref(),
            Channel::Sms => self.sms.as_ref(),
        }
    }

    /// Whether anything goes out this way.
    #[must_use]
    pub fn carries(&self, channel: Channel) -> bool {
        self.queue(channel).is_some()
    }

    /// Hands a message over. Where too many wait already it is dropped.
    pub fn send(&self, channel: Channel, letter: Letter) {
        let sent = self.queue(channel).map(|queue| queue.try_send(letter));
        if !matches!(sent, Some(Ok(()))) {
            tracing::warn!(channel = channel.name(), "too many messages wait; one is dropped");
            self.deliveries.with_label_values(&[channel.name(), "dropped"]).inc();
        }
    }
}

/// Takes what comes, several at once.
fn deliver(channel: Channel, carrier: Carrier, counter: IntCounterVec) -> mpsc::Sender<Letter> {
    let (sender, mut letters) = mpsc::channel::<Letter>(QUEUE);
    let (carrier, slots) = (Arc::new(carrier), Arc::new(Semaphore::new(CONCURRENCY)));
    tokio::spawn(async move {
        while let Some(letter) = letters.recv().await {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
            let (carrier, counter) = (Arc::clone(&carrier), counter.clone());
            tokio::spawn(async move {
                let result = until_expired(channel, &carrier, &letter).await;
                counter.with_label_values(&[channel.name(), result]).inc();
                drop(slot);
            });
        }
    });
    sender
}

/// Tries as long as it makes sense.
async fn until_expired(channel: Channel, carrier: &Carrier, letter: &Letter) -> &'static str {
    let mut retry = Retry::default();
    let (channel, id) = (channel.name(), letter.id);
    while clock::now() < letter.expires_at {
        match carrier.carry(letter).await {
            Ok(()) => return "delivered",
            Err(error @ Undelivered::Refused(_)) => {
                tracing::warn!(channel, %id, %error, "a message was not delivered");
                return "refused";
            }
            Err(error @ Undelivered::Failed(_)) => {
                tracing::debug!(channel, %id, %error, "a message is sent again");
            }
        }
        retry.pause().await;
    }
    tracing::warn!(channel, %id, "a message could not be delivered in time");
    "expired"
}
