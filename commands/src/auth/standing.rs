//! Whether somebody may be connected: what the auth callout asks the owner of an account. It is no
//! command, since nothing changes.

use echolog_events::{
    AccountEvent, AccountStatus, AuthEvent, CredentialEvent, Event, Scope, SessionEvent, Time,
    TokenHash, Uuid,
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::{Key, Needs, World};

/// A question to the owner of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Whose account.
    pub user_id: Uuid,
    /// Under what right.
    pub right: Right,
    /// What was shown to prove it; nothing where a connection is there already.
    pub shown: Option<TokenHash>,
}

/// Under what right somebody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// A session.
    Session(Uuid),
    /// An API key.
    ApiKey(Uuid),
}

/// Somebody may be connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Until then, if nothing happens before.
    pub expires_at: Option<Time>,
    /// Whose commands may be sent; `None`: those of all domains.
    pub scopes: Option<Vec<Scope>>,
}

impl Ask {
    /// Asks for the states that the answer rests on.
    pub fn needs(&self, needs: &mut Needs) {
        needs.want(Key::User(self.user_id));
        match self.right {
            Right::Session(_) => needs.want(Key::Sessions(self.user_id)),
            Right::ApiKey(_) => needs.want(Key::Credentials(self.user_id)),
        }
    }

    /// The answer; `None` if not, whatever the reason.
    #[must_use]
    pub fn standing(&self, world: &World, now: Time) -> Option<Standing> {
        let (hash, standing) = match self.right {
            Right::Session(id) => {
                let session = world.sessions(self.user_id).live(id, now)?;
                let expires_at = Some(session.expires_at);
                (&session.token_hash, Standing { expires_at, scopes: None })
            }
            Right::ApiKey(id) => {
                let key = world.credentials(self.user_id).api_keys.live(id, now)?;
                let scopes = Some(key.scopes.clone());
                (&key.key_hash, Standing { expires_at: key.expires_at, scopes })
            }
        };
        let proved = self.shown.as_ref().is_none_or(|shown| is_same(shown, hash));
        let may = match world.user(self.user_id)?.status_at(now) {
            // Who has to verify a contact does so as oneself.
            AccountStatus::Active | AccountStatus::Pending => true,
            AccountStatus::Suspended | AccountStatus::Banned | AccountStatus::Deleted => false,
        };
        (proved && may).then_some(standing)
    }
}

/// In a time that does not tell how much of them is.
fn is_same(one: &TokenHash, other: &TokenHash) -> bool {
    one.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
}

/// Why connections have to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// A right to be connected, and whose.
    Right(Uuid, Right),
    /// Every right of this account, for now or for ever.
    Account(Uuid),
}

impl Ended {
    /// What an event ends, if it ends anything.
    #[must_use]
    pub fn by(event: &Event) -> Option<Self> {
        match event {
            Event::Sessions(SessionEvent::SessionRevoked(e)) => {
                Some(Self::Right(e.user_id, Right::Session(e.session_id)))
            }
            Event::Sessions(SessionEvent::SessionExpired(e)) => {
                Some(Self::Right(e.user_id, Right::Session(e.session_id)))
            }
            Event::Accounts(
                stops @ (AccountEvent::UserSuspended(_)
                | AccountEvent::UserBanned(_)
                | AccountEvent::UserDeleted(_)),
            ) => Some(Self::Account(stops.user_id())),
            Event::Credentials(CredentialEvent::ApiKeyRevoked(e)) => {
                Some(Self::Right(e.user_id, Right::ApiKey(e.api_key_id)))
            }
            Event::Sessions(
                SessionEvent::LoginSucceeded(_)
                | SessionEvent::LoginFailed(_)
                | SessionEvent::UserLocked(_)
                | SessionEvent::UserUnlocked(_)
                | SessionEvent::SessionStarted(_)
                // Whoever is connected stays so.
                | SessionEvent::SessionRefreshed(_)
                | SessionEvent::RefreshTokenReused(_)
                | SessionEvent::SessionActivityRecorded(_)
                | SessionEvent::RetentionApplied(_),
            )
            | Event::Credentials(
                CredentialEvent::TwoFactorBegun(_)
                | CredentialEvent::TwoFactorEnabled(_)
                | CredentialEvent::TwoFactorDisabled(_)
                | CredentialEvent::TotpUsed(_)
                | CredentialEvent::RecoveryCodesGenerated(_)
                | CredentialEvent::RecoveryCodeUsed(_)
                | CredentialEvent::ApiKeyCreated(_)
                | CredentialEvent::ApiKeyUsed(_)
                | CredentialEvent::OauthProviderLinked(_)
                // Whoever is connected has a session.
                | CredentialEvent::OauthProviderUnlinked(_)
                | CredentialEvent::OauthTokenRefreshed(_),
            )
            | Event::Auth(
                AuthEvent::UserRegistered(_)
                | AuthEvent::IdentifierClaimed(_)
                | AuthEvent::IdentifierReleased(_)
                | AuthEvent::AdminRosterChanged(_),
            )
            | Event::Accounts(
                AccountEvent::UserReinstated(_)
                | AccountEvent::UserRoleChanged(_)
                | AccountEvent::EmailChanged(_)
                | AccountEvent::PhoneChanged(_)
                | AccountEvent::EmailVerified(_)
                | AccountEvent::PhoneVerified(_),
            )
            // Whoever changes a password ends sessions by name.
            | Event::Passwords(_)
            | Event::Codes(_)
            | Event::Audit(_)
            | Event::Users(_)
            | Event::Messages(_)
            | Event::System(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::tests::{logged_in, session, story, tokens};
    use super::super::{RevokeSession, ends};
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, Settings};
    use echolog_events::RevokedReason;

    fn ask(user: u16, number: u16, shown: Option<TokenHash>) -> Ask {
        Ask { user_id: id(user), right: Right::Session(session(number)), shown }
    }

    fn shown(number: u16) -> Option<TokenHash> {
        Some(tokens(number, 0).token_hash)
    }

    /// The answer, from a world of what was asked for.
    fn answer(story: &Story, ask: &Ask, after: TimeDelta) -> Option<Standing> {
        let (mut needs, mut world) = (Needs::default(), World::default());
        ask.needs(&mut needs);
        for key in needs.into_keys() {
            let state = story.state(&key);
            world.insert(key, state);
        }
        ask.standing(&world, Time::default() + after)
    }

    #[test]
    fn the_present_token_of_a_live_session_is_right() {
        let story = logged_in(story(), 1);
        let lifetime = Settings::default().session_lifetime;
        let expires_at = Some(Time::default() + lifetime);
        let stands = Some(Standing { expires_at, scopes: None });
        let now = TimeDelta::zero();
        for right in [ask(1, 1, shown(1)), ask(1, 1, None)] {
            assert_eq!(answer(&story, &right, now), stands);
            assert_eq!(answer(&story, &right, lifetime), None, "its time is over");
        }
        let other = TokenHash::new("another");
        for wrong in [
            ask(1, 1, shown(2)),
            ask(1, 1, Some(other)),
            ask(1, 2, shown(1)),
            ask(2, 1, shown(1)),
            ask(9, 1, shown(1)),
            ask(9, 1, None),
        ] {
            assert_eq!(answer(&story, &wrong, now), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_ended_stands_no_more() {
        let revoke = RevokeSession { session_id: session(1).into() };
        let story = logged_in(logged_in(story(), 1), 2).done(&Actor::User(id(1)), id(1), revoke);
        assert_eq!(answer(&story, &ask(1, 1, shown(1)), TimeDelta::zero()), None);
        assert_eq!(answer(&story, &ask(1, 1, None), TimeDelta::zero()), None);
        assert!(answer(&story, &ask(1, 2, shown(2)), TimeDelta::zero()).is_some());
        let ended = Event::Sessions(ends(id(1), session(1), RevokedReason::Logout, None));
        let right = Ended::Right(id(1), Right::Session(session(1)));
        assert_eq!(Ended::by(&ended), Some(right));
    }
}
