//! What an account has that is to be deleted: found out before its owner decides.

use echolog_commands::auth::{DeleteUser, Findings, Holdings};
use echolog_commands::fields::{Email, PhoneNumber, Username};
use echolog_commands::{Actor, ClaimId, Rejection, fields};
use echolog_events::{
    AuthEvent, Body, ClaimKind, Event, Stream, StreamKey, UserRegistered, Uuid, partition_of,
};
use echolog_nats::{CommandSubject, EventLog};

use super::Front;
use super::login::{Found, unreadable};
use super::password::first_whole;

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
        let (totp, recovery_code) = (command.totp.take(), command.recovery_code.take());
        let second_factor = self.second_factor(account, totp, recovery_code)?;
        let log = self.handler.log();
        let (names, version) = names(&log, account).await?;
        let key = &self.handler.settings.claim_key;
        let claims = names.iter().map(|(kind, name)| (*kind, ClaimId::new(key, *kind, name).0));
        let claims = claims.collect();
        let password = command.password.take();
        let own = Actor::parse(&subject.actor) == Some(Actor::User(account));
        let checked = self.check(account, password.filter(|_| own)).await?;
        let holdings = Some(Holdings { claims, version });
        let findings = Findings { holdings, second_factor, ..checked };
        Ok(Found { findings, ..Found::default() })
    }
}

/// The names of an account in their comparable form, which it got when it was registered, and the last of
/// its events.
async fn names(
    log: &EventLog,
    account: Uuid,
) -> Result<(Vec<(ClaimKind, String)>, u64), Rejection> {
    let key = StreamKey::of(Stream::User, account);
    let partition = partition_of(&key.id);
    let Some(last) = log.last(partition, &key).await.map_err(unreadable)? else {
        return Ok((Vec::new(), 0));
    };
    let first = first_whole(log, &key).await.map_err(unreadable)?;
    let names = match first.map(|first| first.body) {
        Some(Body::Known(Event::Auth(AuthEvent::UserRegistered(e)))) => registered(&e),
        Some(Body::Unreadable(_)) => {
            return Err(Rejection::unavailable("A newer build has to tell what this has."));
        }
        Some(Body::Known(_)) | None => Vec::new(),
    };
    Ok((names, last.seq))
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
