//! From a message to a command: everything that can be said without any state.

use std::sync::Arc;

use chrono::TimeDelta;
use echolog_commands::auth::Findings;
use echolog_commands::{Actor, Command, CommandType, ContentType, Outcome, Rejection, fields};
use echolog_events::{CommandPosition, Partition, Time, Uuid, event_id};
use echolog_nats::{CommandSubject, Delivery, Incoming, IncomingHeaders, header};

/// How far ahead of the broker's clock an id may be.
const AHEAD: TimeDelta = TimeDelta::minutes(2);

/// Where a command came from, and so where its outcome goes.
#[derive(Debug)]
pub(super) enum Source {
    /// From the queue; its outcome is published.
    Queue {
        /// The run that delivered it.
        run: u64,
        /// Its place among the commands.
        position: CommandPosition,
        /// Whether it may have been handled before the broker lost the end of the queue.
        again: bool,
    },
    /// From the request path; its outcome is the answer.
    Request {
        /// Where the answer goes.
        reply: Option<String>,
    },
}

/// Who sent a message and how they want to be answered: known even where nothing else is.
#[derive(Clone, Debug)]
pub(super) struct Addressee {
    /// The actor's token.
    pub(super) actor: String,
    /// The command's id, if it is a UUID.
    pub(super) command_id: Option<Uuid>,
    /// The encoding of the outcome.
    pub(super) content_type: ContentType,
}

/// A command with everything that is known about it before any state is read.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) partition: Partition,
    pub(super) addressee: Addressee,
    pub(super) source: Source,
    pub(super) actor: Actor,
    pub(super) target: Uuid,
    pub(super) command_id: Uuid,
    /// What names it in the window and in the ledger.
    pub(super) key: Uuid,
    pub(super) command: Arc<Command>,
    pub(super) digest: u64,
    /// What the request path found out.
    pub(super) findings: Findings,
    /// The session that the client is connected with, where that is known.
    pub(super) session_id: Option<Uuid>,
    pub(super) correlation_id: Option<String>,
    pub(super) traceparent: Option<String>,
    pub(super) expected_version: Option<u64>,
    pub(super) await_projected: bool,
    /// When the broker got it.
    pub(super) received: Time,
}

/// A message that is answered without any state.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) partition: Partition,
    pub(super) addressee: Addressee,
    pub(super) source: Source,
    pub(super) command_type: Option<CommandType>,
    pub(super) received: Time,
    pub(super) rejection: Rejection,
    /// It carries a secret where none may rest.
    pub(super) erase: bool,
}

impl Refused {
    pub(super) fn outcome(&self) -> Outcome {
        Outcome::refused(self.addressee.command_id, self.rejection.clone())
    }
}

/// What a message turned out to be.
#[derive(Debug)]
pub(super) enum Admission {
    Command(Box<Admitted>),
    Refused(Box<Refused>),
    /// It only wakes the owner.
    Wake,
}

/// Reads a command from the queue.
pub(super) fn from_queue(delivery: Delivery) -> Admission {
    let Delivery { partition, run, position, again, subject, headers, body } = delivery;
    let received = Time::from_timestamp_nanos(position.nanoseconds);
    let source = Source::Queue { run, position, again };
    match CommandSubject::parse(&subject) {
        Some(subject) if !subject.is_wake() => {
            read(partition, &subject, &headers, &body, source, received)
        }
        Some(_) | None => Admission::Wake,
    }
}

/// What becomes of a message before any state is read, for those who try to break it: the digest of
/// its command, or the outcome that refuses it. `None` if it only wakes the owner.
#[must_use]
pub fn admit(delivery: Delivery) -> Option<Result<u64, Outcome>> {
    match from_queue(delivery) {
        Admission::Command(admitted) => Some(Ok(admitted.digest)),
        Admission::Refused(refused) => Some(Err(refused.outcome())),
        Admission::Wake => None,
    }
}

/// Whether a message of the queue only wakes the owner.
pub(super) fn is_wake(delivery: &Delivery) -> bool {
    CommandSubject::parse(&delivery.subject).is_none_or(|subject| subject.is_wake())
}

/// Answers a command that brought its handlers down, or seemed to; without a look at its body, which
/// may be what did it.
pub(super) fn passed_over(delivery: Delivery) -> Admission {
    let Delivery { partition, run, position, again, subject, headers, .. } = delivery;
    let Some(subject) = CommandSubject::parse(&subject) else { return Admission::Wake };
    let received = Time::from_timestamp_nanos(position.nanoseconds);
    let command_type = CommandType::find(&subject.domain, &subject.command);
    Admission::Refused(Box::new(Refused {
        partition,
        addressee: Addressee {
            actor: subject.actor,
            command_id: command_id(&headers, received).ok(),
            content_type: ContentType::parse(headers.get(header::CONTENT_TYPE)).unwrap_or_default(),
        },
        source: Source::Queue { run, position, again },
        command_type,
        received,
        rejection: Rejection::internal("This command could not be handled; it was passed over."),
        erase: command_type.is_some_and(CommandType::may_carry_secret),
    }))
}

/// Reads a command that the request path handed over: its body is MessagePack, its secret hashed.
pub(super) fn from_request(
    partition: Partition,
    incoming: Incoming,
    now: Time,
) -> Option<Admission> {
    let Incoming { reply, headers, body, .. } = incoming;
    let subject = CommandSubject::parse(headers.get(header::SUBJECT)?)?;
    if subject.partition() != partition {
        return None;
    }
    Some(read(partition, &subject, &headers, &body, Source::Request { reply }, now))
}

fn read(
    partition: Partition,
    subject: &CommandSubject,
    headers: &IncomingHeaders,
    body: &[u8],
    source: Source,
    received: Time,
) -> Admission {
    let command_type = CommandType::find(&subject.domain, &subject.command);
    let content_type = ContentType::parse(headers.get(header::CONTENT_TYPE));
    let mut addressee = Addressee {
        actor: subject.actor.clone(),
        command_id: None,
        content_type: content_type.clone().unwrap_or_default(),
    };
    let mut erase = false;
    let read = (|| {
        let command_id = command_id(headers, received)?;
        addressee.command_id = Some(command_id);
        let encoding = match source {
            Source::Queue { .. } => content_type?,
            Source::Request { .. } => ContentType::MessagePack,
        };
        let actor = Actor::parse(&subject.actor).ok_or_else(|| {
            Rejection::invalid("actor", "The actor is no user id, `anon-…` or `svc-…`.")
        })?;
        let target = fields::parse_id(&subject.target).map_err(|_| {
            Rejection::invalid("target", "The target is no UUID in lower-case, hyphenated text.")
        })?;
        let command_type = command_type.ok_or_else(|| {
            Rejection::invalid(
                "command",
                format!("There is no command `{}.{}`.", subject.domain, subject.command),
            )
        })?;
        let mut command = Command::decode(command_type, encoding, body)?;
        command.new_message().map_or(Ok(()), |id| not_ahead(id, "message_id", received))?;
        match source {
            Source::Queue { .. } if command.carries_secret() => {
                erase = true;
                return Err(Rejection::invalid(
                    "",
                    "This command carries a secret: send it as a request to `req.…`.",
                ));
            }
            Source::Request { .. } => {
                if let Some(hash) = headers.get(header::PASSWORD_HASH) {
                    command.set_password_hash(hash.to_owned());
                }
            }
            Source::Queue { .. } => {}
        }
        let findings = findings(&source, headers)?;
        Ok(Box::new(Admitted {
            partition,
            addressee: addressee.clone(),
            source: Source::Request { reply: None },
            actor,
            target,
            command_id,
            key: event_id(&subject.actor, &subject.target, command_id, 0),
            digest: digest(&command, &findings),
            command: Arc::new(command),
            findings,
            session_id: session(&source, headers),
            correlation_id: text(headers, header::CORRELATION)?,
            traceparent: text(headers, header::TRACEPARENT)?,
            expected_version: expected_version(headers)?,
            await_projected: await_projected(headers)?,
            received,
        }))
    })();
    match read {
        Ok(mut admitted) => {
            admitted.source = source;
            Admission::Command(admitted)
        }
        Err(rejection) => Admission::Refused(Box::new(Refused {
            partition,
            addressee,
            source,
            command_type,
            received,
            // A secret is no less secret for being malformed.
            erase: erase || command_type.is_some_and(CommandType::may_carry_secret),
            rejection,
        })),
    }
}

/// What the request path found out. Nobody else can send it.
fn findings(source: &Source, headers: &IncomingHeaders) -> Result<Findings, Rejection> {
    let text = match source {
        Source::Queue { .. } => None,
        Source::Request { .. } => headers.get(header::FINDINGS),
    };
    let Some(text) = text else { return Ok(Findings::default()) };
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "what the request path found out cannot be read");
        Rejection::internal("The command got lost on its way to its owner.")
    })
}

/// The client's session, as the request path knows it from the broker. On its way through the queue a
/// command says nothing that can be relied on.
fn session(source: &Source, headers: &IncomingHeaders) -> Option<Uuid> {
    match source {
        Source::Queue { .. } => None,
        Source::Request { .. } => fields::parse_id(headers.get(header::SESSION)?).ok(),
    }
}

/// A fingerprint of what was asked for. Where the target is not the client's own, what that named
/// is part of it.
fn digest(command: &Command, findings: &Findings) -> u64 {
    let named = findings.named().map_or(0, |named| {
        let (high, low) = named.as_u64_pair();
        high.rotate_left(32) ^ low
    });
    command.digest() ^ named
}

fn command_id(headers: &IncomingHeaders, received: Time) -> Result<Uuid, Rejection> {
    let invalid = |message: &str| Rejection::invalid(header::COMMAND_ID, message);
    let text = headers
        .get(header::COMMAND_ID)
        .ok_or_else(|| invalid("The header `Nats-Msg-Id` with the command's id is missing."))?;
    let id = fields::parse_id(text)
        .map_err(|_| invalid("The command's id is no UUID in lower-case, hyphenated text."))?;
    not_ahead(id, header::COMMAND_ID, received)?;
    Ok(id)
}

/// What an id's time tells about its age is only worth something if it is not from the future.
fn not_ahead(id: Uuid, field: &str, received: Time) -> Result<(), Rejection> {
    let made = fields::made(id).ok_or_else(|| Rejection::invalid(field, "The id is no UUIDv7."))?;
    if made > received + AHEAD {
        return Err(Rejection::invalid(field, "The id's time is more than 2 minutes ahead."));
    }
    Ok(())
}

fn text(headers: &IncomingHeaders, name: &str) -> Result<Option<String>, Rejection> {
    match headers.get(name) {
        Some(text) if text.len() > 256 => {
            Err(Rejection::too_large(name, "The header is longer than 256 bytes."))
        }
        Some(text) => Ok(Some(text.to_owned())),
        None => Ok(None),
    }
}

fn expected_version(headers: &IncomingHeaders) -> Result<Option<u64>, Rejection> {
    headers.get(header::EXPECTED_VERSION).map(str::parse).transpose().map_err(|_| {
        Rejection::invalid(header::EXPECTED_VERSION, "The expected version is no whole number.")
    })
}

fn await_projected(headers: &IncomingHeaders) -> Result<bool, Rejection> {
    match headers.get(header::AWAIT) {
        None | Some("accepted") => Ok(false),
        Some("projected") => Ok(true),
        Some(_) => {
            Err(Rejection::invalid(header::AWAIT, "`Echolog-Await` is `accepted` or `projected`."))
        }
    }
}
