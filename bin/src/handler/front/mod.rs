//! The request path: commands that carry a secret, and any other that a client would rather ask.
//!
//! Any handler takes such a request, turns the secret into what may rest, and hands the command to
//! the owner of its partition, who alone decides.

mod codes;
mod deletion;
mod factors;
mod login;
mod oauth;
mod password;
mod passwords;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use echolog_commands::auth::Findings;
use echolog_commands::{
    Actor, Command, CommandType, ContentType, Outcome, Rejection, Status, fields,
};
use echolog_events::{Origin, Uuid};
use echolog_nats::{
    CommandSubject, HeaderMap, Incoming, IncomingHeaders, Requester, USERS, header,
};
use serde_json::Value;
use tokio::sync::watch;

use self::login::Found;
use self::passwords::Passwords;
use super::limits::{Limiter, RateLimit, customer};
use super::{Handler, HandlerError};
use crate::callout;
use crate::outbox::{Channel, Letter};
use crate::owners::{self, Patience, Question};
use crate::requests::{self, Place};

pub use self::passwords::HashingLimits;

/// How long the owner may take, before it is looked for again.
const OWNER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the owner is looked for.
const PATIENCE: Duration = Duration::from_secs(8);

/// How many codes and tokens one actor, or one address, may have sent by a process: twenty an hour. Each
/// costs somebody money, and somebody else their peace.
const LETTERS: RateLimit = RateLimit { per_second: 20.0 / 3600.0, burst: 20.0 };

/// How often providers are asked on behalf of one actor, or one address: each question takes one of the few
/// places that a provider has.
const QUESTIONS: RateLimit = RateLimit { per_second: 0.2, burst: 60.0 };

/// What there is behind a name must not be told by the time that an answer takes, which differs by where
/// the broker keeps what is asked for: such answers wait for the next beat. Most are known in half of one.
const BEAT: Duration = Duration::from_millis(100);

struct Front {
    handler: Handler,
    passwords: Passwords,
    limiter: Mutex<Limiter>,
    /// Of those who have codes and tokens sent.
    letters: Mutex<Limiter>,
    /// Of those about whom providers are asked.
    questions: Mutex<Limiter>,
}

/// Listens for requests; the future that it returns takes them until `stop` turns true, and then
/// finishes those that have come.
pub(super) async fn listen(
    handler: Handler,
    stop: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send, HandlerError> {
    let requests = handler.bus.subscribe(handler.names.requests(), Some("handlers")).await?;
    let passwords = Passwords::new(handler.limits.hashing).map_err(HandlerError::Hashing)?;
    let limiter = Mutex::new(Limiter::new(handler.limits.rate));
    let letters = Mutex::new(Limiter::new(LETTERS));
    let questions = Mutex::new(Limiter::new(QUESTIONS));
    let front = Arc::new(Front { handler, passwords, limiter, letters, questions });
    Ok(requests::take_all(requests, stop, move |incoming, place| {
        let front = Arc::clone(&front);
        async move { front.take(incoming, place).await }
    }))
}

impl Front {
    async fn take(&self, incoming: Incoming, place: Place) {
        let Some(reply) = incoming.reply.clone() else { return };
        let answer = match self.hand_over(&incoming, place).await {
            Ok(answer) => answer,
            Err(rejection) => {
                let content_type = ContentType::parse(incoming.headers.get(header::CONTENT_TYPE))
                    .unwrap_or_default();
                let id = incoming.headers.get(header::COMMAND_ID);
                let id = id.and_then(|id| fields::parse_id(id).ok());
                content_type.encode(&Outcome::refused(id, rejection)).into()
            }
        };
        if let Err(error) = self.handler.bus.publish(reply, answer).await {
            tracing::warn!(%error, "an answer could not be sent");
        }
    }

    async fn hand_over(&self, incoming: &Incoming, place: Place) -> Result<Bytes, Rejection> {
        let subject = CommandSubject::parse(&incoming.subject).ok_or_else(|| {
            Rejection::invalid("", "The subject has tokens that are too long or empty.")
        })?;
        Requester::of(&incoming.headers)
            .map_err(|_| Rejection::invalid("", "The headers cannot be read."))?;
        let (domain, name) = (&subject.domain, &subject.command);
        let command_type = CommandType::find(domain, name).ok_or_else(|| {
            Rejection::invalid("command", format!("There is no command `{domain}.{name}`."))
        })?;
        let content_type = ContentType::parse(incoming.headers.get(header::CONTENT_TYPE))?;
        let command = Command::decode(command_type, content_type, &incoming.body)?;
        if command.carries_secret() {
            self.check_rate(&subject.actor)?;
        }
        let asks_for_letter =
            matches!(command, Command::RequestOtp(_) | Command::RequestPasswordReset(_));
        if asks_for_letter {
            self.check_letters(&subject.actor, &origin(&incoming.headers))?;
        }
        if command.asks_provider() {
            self.check_questions(&subject.actor, &origin(&incoming.headers))?;
        }
        let (begun, names_somebody) = (Instant::now(), command.names_somebody());
        if names_somebody && incoming.headers.get(header::EXPECTED_VERSION).is_some() {
            let message = "What version an account has is not told to whoever knows a name of it.";
            return Err(Rejection::invalid(header::EXPECTED_VERSION, message));
        }
        let answer = self.find_out(incoming, subject, content_type, command).await;
        // Whoever gets in, or has the right code, may know so at once.
        let is_yes = |answer: &Bytes| {
            let outcome = content_type.decode_outcome(answer);
            outcome.is_ok_and(|outcome| outcome.status == Status::Accepted)
        };
        if names_somebody && (asks_for_letter || !answer.as_ref().is_ok_and(is_yes)) {
            drop(place);
            next_beat(begun).await;
        }
        answer
    }

    /// Finds out what only this process can, and asks the owner.
    async fn find_out(
        &self,
        incoming: &Incoming,
        subject: CommandSubject,
        content_type: ContentType,
        mut command: Command,
    ) -> Result<Bytes, Rejection> {
        let mut headers = passed_on(incoming);
        let found = if let Command::LogIn(log_in) = &mut command {
            self.log_in(&subject, log_in).await?
        } else if let Command::RefreshSession(refresh) = &mut command {
            self.refresh(&subject, refresh)?
        } else if let Command::DeleteUser(delete) = &mut command {
            self.deletion(&subject, delete).await?
        } else if let Command::BeginTwoFactor(begin) = &mut command {
            self.begin_two_factor(&subject, begin).await?
        } else if let Command::EnableTwoFactor(enable) = &mut command {
            self.enable_two_factor(&subject, enable).await?
        } else if let Command::DisableTwoFactor(disable) = &mut command {
            self.disable_two_factor(&subject, disable).await?
        } else if let Command::GenerateRecoveryCodes(generate) = &mut command {
            self.generate_recovery_codes(&subject, generate).await?
        } else if let Command::RequestOtp(request) = &mut command {
            self.request_otp(&subject, request).await?
        } else if let Command::VerifyOtp(verify) = &mut command {
            self.verify_otp(&subject, verify).await?
        } else if let Command::RequestPasswordReset(request) = &mut command {
            self.request_password_reset(&subject, request).await?
        } else if let Command::CompletePasswordReset(complete) = &mut command {
            self.complete_password_reset(&subject, complete).await?
        } else if let Command::ChangePassword(change) = &mut command {
            self.change_password(&subject, change).await?
        } else if let Command::CreateApiKey(create) = &mut command {
            self.new_api_key(&subject, create).await?
        } else if let Command::LinkOauthProvider(link) = &mut command {
            self.link_oauth_provider(&subject, link).await?
        } else if let Command::ChangeEmail(change) = &mut command {
            self.change_email(&subject, change).await?
        } else if let Command::ChangePhone(change) = &mut command {
            self.change_phone(&subject, change).await?
        } else if let Command::RegisterUser(register) = &mut command {
            if let Some(hash) = self.first_password(&subject, register).await? {
                headers.insert(header::PASSWORD_HASH, hash);
            }
            let oauth = self.first_identity(&subject, register).await?;
            let found = codes::first_contacts(register)?;
            Found { findings: Findings { oauth, ..found.findings }, ..found }
        } else if let Command::RefreshOauthToken(refresh) = &command {
            let answer = self.ask_owner(&subject, headers.clone(), command.encode().into()).await?;
            let found = self.refresh_oauth_token(&subject, refresh, (content_type, &answer)).await;
            let Some(found) = found? else { return Ok(answer) };
            found
        } else {
            return self.ask_owner(&subject, headers, command.encode().into()).await;
        };
        let Found { mut findings, told, letter, home } = found;
        findings.origin = origin(&incoming.headers);
        let home = CommandSubject {
            target: home.map_or_else(|| subject.target.clone(), |home| home.to_string()),
            ..subject
        };
        headers.insert(header::SUBJECT, self.handler.names.request(&home));
        let findings = serde_json::to_string(&findings)
            .map_err(|_| Rejection::internal("What was found out cannot be passed on."))?;
        headers.insert(header::FINDINGS, findings);
        let answer = self.ask_owner(&home, headers, command.encode().into()).await?;
        self.hand_out(content_type, answer, told, letter)
    }

    /// Before anything is done that costs more than a decision.
    fn check_rate(&self, actor: &str) -> Result<(), Rejection> {
        let limited = !matches!(Actor::parse(actor), Some(Actor::Service(_)));
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        if limited && !limiter.allows(actor, Instant::now()) {
            return Err(Rejection::rate_limited("You send commands faster than is allowed."));
        }
        Ok(())
    }

    /// Before anything is sent. The limits of each address and number count on their own.
    fn check_letters(&self, actor: &str, origin: &Origin) -> Result<(), Rejection> {
        let allowed = is_allowed(&self.letters, actor, origin);
        allowed
            .ok_or_else(|| Rejection::rate_limited("Too many codes were asked for; wait a while."))
    }

    /// Before a provider is asked about anybody.
    fn check_questions(&self, actor: &str, origin: &Origin) -> Result<(), Rejection> {
        let allowed = is_allowed(&self.questions, actor, origin);
        allowed
            .ok_or_else(|| Rejection::rate_limited("Providers were asked too often; wait a while."))
    }

    /// Asks the partition's owner.
    async fn ask_owner(
        &self,
        subject: &CommandSubject,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, Rejection> {
        let Handler { bus, names, .. } = &self.handler;
        let partition = subject.partition();
        let question = Question { partition, subject: names.own(partition), body };
        // An outcome that waits for the tables takes as long as that may take.
        let waits = headers.get(header::AWAIT).is_some();
        let each = if waits { 6 * OWNER_TIMEOUT } else { OWNER_TIMEOUT };
        let patience = Patience { each, all: PATIENCE };
        owners::ask(bus, names, question, &headers, patience).await.ok_or_else(|| {
            Rejection::unavailable("Nobody decides about this now; retry with the same id.")
        })
    }

    /// Tells what only this process knows. The owner says what it is for if it said yes to this very
    /// thing; to a command that it knows already it said yes to another.
    fn hand_out(
        &self,
        content_type: ContentType,
        answer: Bytes,
        told: Vec<(&'static str, Value)>,
        letter: Option<(Channel, Letter)>,
    ) -> Result<Bytes, Rejection> {
        if told.is_empty() && letter.is_none() {
            return Ok(answer);
        }
        let mut outcome = content_type.decode_outcome(&answer)?;
        let Some(Value::Object(data)) = &mut outcome.data else { return Ok(answer) };
        if outcome.status != Status::Accepted {
            return Ok(answer);
        }
        if let Some((channel, letter)) = letter {
            self.handler.outbox.send(channel, letter);
        }
        data.extend(told.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Ok(content_type.encode(&outcome).into())
    }
}

/// What a command is about.
fn target(subject: &CommandSubject) -> Result<Uuid, Rejection> {
    fields::parse_id(&subject.target).map_err(|message| Rejection::invalid("target", message))
}

/// Waits until whole beats have gone since then.
async fn next_beat(begun: Instant) {
    let gone = begun.elapsed().as_nanos() / BEAT.as_nanos();
    let beats = u32::try_from(gone + 1).unwrap_or(1);
    tokio::time::sleep_until((begun + BEAT * beats).into()).await;
}

/// What a client says about its command, and the broker about the client, that the owner has to know.
fn passed_on(incoming: &Incoming) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in [
        header::COMMAND_ID,
        header::CONTENT_TYPE,
        header::CORRELATION,
        header::TRACEPARENT,
        header::EXPECTED_VERSION,
        header::AWAIT,
    ] {
        if let Some(value) = incoming.headers.get(name) {
            headers.insert(name, value);
        }
    }
    headers.insert(header::SUBJECT, incoming.subject.as_str());
    if let Some(session) = session(&incoming.headers) {
        headers.insert(header::SESSION, session.to_string());
    }
    headers
}

/// Whether somebody may do such a thing once more. Where the asker's address is known, a new anonymous actor
/// is nobody new.
fn is_allowed(limiter: &Mutex<Limiter>, actor: &str, origin: &Origin) -> Option<()> {
    let (by_actor, by_address) = match (Actor::parse(actor), origin.ip_address) {
        (Some(Actor::Service(_)), _) => (None, None),
        (Some(Actor::Anonymous(_)), Some(address)) => (None, Some(customer(address))),
        (_, address) => (Some(actor.to_owned()), address.map(customer)),
    };
    let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
    let mut askers = by_actor.into_iter().chain(by_address);
    askers.all(|asker| limiter.allows(&asker, Instant::now())).then_some(())
}

/// Where a request of an end user comes from, as the broker says. Of whom a backend speaks for, it says
/// nothing.
fn origin(headers: &IncomingHeaders) -> Origin {
    let ip_address = end_user(headers).and_then(|requester| requester.host.parse().ok());
    Origin { ip_address, user_agent: None }
}

/// The session that the end user is connected with, as the broker says; a program with an API key has
/// none.
fn session(headers: &IncomingHeaders) -> Option<Uuid> {
    end_user(headers)?.tags.iter().find_map(|tag| callout::session_of(tag))
}

fn end_user(headers: &IncomingHeaders) -> Option<Requester> {
    Requester::of(headers).ok()?.filter(|requester| requester.account == USERS)
}
