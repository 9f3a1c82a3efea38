//! What an account has that is to be deleted: found out before its owner decides.

use echolog_commands::auth::{DeleteUser, Findings, Holdings};
use echolog_commands::fields::{Email, PhoneNumber, Username};
use echolog_commands::{Actor, ClaimId, Rejection};
use echolog_events::{AuthEvent, Body, ClaimKind, Event, Stream, StreamKey, UserRegistered, Uuid};
use echolog_nats::CommandSubject;

use super::factors::Shown;
use super::login::{Found, unreadable};
use super::password::first_whole;
use super::{Front, target};

impl Front {
    /// Finds out which names an account has, from its own events. Whoever wants to delete their own
    /// shows the password once more.
    pub(super) async fn deletion(
        &self,
        subject: &CommandSubject,
        command: &mut DeleteUser,
    ) -> Result<Found, Rejection> {
        let account = target(subject)?;
        let second_factor = self.second_factor(
            account,
            Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take()),
        )?;
        let holdings = Some(self.holdings(account).await?);
        let password = command.password.take();
        let own = Actor::parse(&subject.actor) == Some(Actor::User(account));
        let checked = self.check(account, password.filter(|_| own)).await?;
        let findings = Findings { holdings, second_factor, ..checked };
        Ok(Found { findings, ..Found::default() })
    }

    /// What an account has had from its beginning, by the log itself.
    pub(super) async fn holdings(&self, account: Uuid) -> Result<Holdings, Rejection> {
        let first = StreamKey::of(Stream::User, account);
        let first = first_whole(&self.handler.log(), &first).await.map_err(unreadable)?;
        let names = match first.map(|first| first.body) {
            Some(Body::Known(Event::Auth(AuthEvent::UserRegistered(e)))) => registered(&e),
            Some(Body::Unreadable(_)) => {
                return Err(Rejection::unavailable("A newer build has to tell what this has."));
            }
            Some(Body::Known(_)) | None => Vec::new(),
        };
        let key = &self.handler.settings.claim_key;
        let claim = |(kind, name): &(ClaimKind, String)| (*kind, ClaimId::new(key, *kind, name).0);
        Ok(Holdings { claims: names.iter().map(claim).collect() })
    }
}

/// The names of an account in their comparable form.
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
