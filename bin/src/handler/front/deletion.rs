//! What an account has that is to be deleted: found out before its owner decides.

use echolog_commands::auth::{DeleteUser, Findings, Holdings};
use echolog_commands::fields::{Email, PhoneNumber, Username};
use echolog_commands::{Actor, ClaimId, Rejection, fields};
use echolog_events::{
    AuthEvent, Body, ClaimKind, Event, Stream, StreamKey, UserRegistered, Uuid, partition_of,
};
use echolog_nats::{BusError, CommandSubject, EventLog};

use super::Front;
use super::login::{Found, is_torn, unreadable};

impl Front {
    /// Finds out which names an account has, from its own events. Whoever wants to delete their own
    /// shows the password once more.
    pub(super) async fn deletion(
        &self,
        subject: &CommandSubject,
        command: &mut DeleteUser,
    ) -> Result<Found, Rejection> {
        let account = fields::parse_id(&subject.target)
            .map_err(|message| Rejection::invalid("target", message))?;
        let log = self.handler.log();
        let (names, version) = names(&log, account).await?;
        let key = &self.handler.settings.claim_key;
        let claims = names.iter().map(|(kind, name)| (*kind, ClaimId::new(key, *kind, name).0));
        let claims = claims.collect();
        let password = command.password.take();
        let own = Actor::parse(&subject.actor) == Some(Actor::User(account));
        let checked = self.check(account, password.filter(|_| own)).await?;
        let holdings = Some(Holdings { claims, version });
        let findings = Findings { holdings, ..checked };
        Ok(Found { findings, ..Found::default() })
    }
}

/// The names of an account in their comparable form, and the last of its events that say so.
async fn names(
    log: &EventLog,
    account: Uuid,
) -> Result<(Vec<(ClaimKind, String)>, u64), Rejection> {
    let key = StreamKey::of(Stream::User, account);
    let (mut names, mut version) = (Vec::new(), 0);
    while let Some(event) = next(log, &key, version).await.map_err(unreadable)? {
        version = event.seq;
        if is_torn(log, Some(&event)).await.map_err(unreadable)? {
            continue;
        }
        match &event.body {
            Body::Known(Event::Auth(AuthEvent::UserRegistered(e))) => names = registered(e),
            Body::Known(
                Event::Auth(
                    AuthEvent::IdentifierClaimed(_)
                    | AuthEvent::IdentifierReleased(_)
                    | AuthEvent::AdminRosterChanged(_),
                )
                | Event::Accounts(_)
                | Event::Sessions(_)
                | Event::Credentials(_)
                | Event::Passwords(_)
                | Event::Codes(_)
                | Event::Users(_)
                | Event::Audit(_)
                | Event::Messages(_)
                | Event::System(_),
            ) => {}
            Body::Unreadable(_) => {
                return Err(Rejection::unavailable("A newer build has to tell what this has."));
            }
        }
    }
    Ok((names, version))
}

async fn next(
    log: &EventLog,
    key: &StreamKey,
    after: u64,
) -> Result<Option<echolog_events::Recorded>, BusError> {
    log.first(partition_of(&key.id), key, after + 1).await
}

fn registered(event: &UserRegistered) -> Vec<(ClaimKind, String)> {
    let username = event.username.clone().and_then(|name| Username::try_from(name).ok());
    let email = event.email.clone().and_then(|email| Email::try_from(email).ok());
    let phone = event.phone_number.clone().and_then(|phone| PhoneNumber::try_from(phone).ok());
    let names = [
        (ClaimKind::Username, username.map(|name| name.canonical())),
        (ClaimKind::Email, email.map(Email::into_string)),
        (ClaimKind::PhoneNumber, phone.map(PhoneNumber::into_string)),
    ];
    names.into_iter().filter_map(|(kind, name)| Some((kind, name?))).collect()
}
