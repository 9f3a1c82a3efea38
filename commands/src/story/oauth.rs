//! Identities at other providers, by the dice.

use chrono::TimeDelta;
use echolog_events::{JsonMap, OauthProvider, Sealed, Uuid};
use serde_json::{Value, json};

use super::dice::{Roll, Sent, USERS};
use super::{Story, id};
use crate::auth::{Check, Exchange, Exchanged, Findings, Identity, SealedTokens, Vouched};
use crate::{Actor, Key, State};

/// The names of the commands that are rolled here.
pub(super) const NAMES: [&str; 3] =
    ["link_oauth_provider", "unlink_oauth_provider", "refresh_oauth_token"];

impl Story {
    /// One of these commands, as [`Story::roll`].
    pub(super) fn roll_oauth(&self, name: &str, roll: Roll) -> Sent {
        let user = id(1 + u16::from(roll.user) % USERS);
        // Of few providers, so that one meets what another has done.
        let provider = OauthProvider::ALL[usize::from(roll.choice) % 2];
        let body = json!({ "provider": provider });
        let findings = if name == "link_oauth_provider" {
            let password = match roll.message % 8 {
                0 => Check::Wrong,
                1 | 2 => Check::NoPassword,
                _ => Check::Right,
            };
            let oauth = Some(self.vouched(provider, roll));
            let second_factor = self.shown(user, roll);
            Findings { oauth, password: Some(password), second_factor, ..Findings::default() }
        } else if name == "refresh_oauth_token" {
            let exchanged = self.exchanged(user, provider, roll);
            Findings { exchanged, ..Findings::default() }
        } else {
            Findings::default()
        };
        let operator = Actor::Service("svc-operator".to_owned());
        let by_operator = name != "link_oauth_provider" && roll.choice.is_multiple_of(3);
        let actor = if by_operator { operator } else { Actor::User(user) };
        let command = super::dice::command("auth", name, &body);
        Sent { actor, target: user, command, findings }
    }

    /// One of the user's identities, if there is one, and what is said to log in with it.
    pub(super) fn by_identity(&self, user: Uuid, roll: Roll) -> Option<(Value, Vouched)> {
        let State::Credentials(credentials) = self.state(&Key::Credentials(user)) else {
            return None;
        };
        let (provider, link) = credentials.oauth.of.into_iter().next()?;
        let identity = Identity {
            link_id: id(1),
            provider,
            provider_user_id: link.provider_user_id,
            email: None,
            profile: JsonMap::new(),
            tokens: self.given(roll),
        };
        let device = format!("device {}", roll.message % 3);
        let body = json!({ "oauth": { "provider": provider }, "device_id": device });
        Some((body, Vouched::For(Box::new(identity))))
    }

    /// One of a few identities, of whom providers say one thing today and another tomorrow.
    fn vouched(&self, provider: OauthProvider, roll: Roll) -> Vouched {
        if roll.message >= 250 {
            return Vouched::ForNobody;
        }
        let number = u16::try_from(self.past.len()).expect("not so many");
        let its_id = (roll.message % 6).to_string();
        let email = format!("{its_id}@example.org");
        let profile = match roll.choice % 3 {
            0 => json!({ "sub": its_id }),
            1 => json!({ "sub": its_id, "name": "Ada", "email": email }),
            _ => json!({ "sub": its_id, "picture": format!("https://example.org/{number}.png") }),
        };
        Vouched::For(Box::new(Identity {
            link_id: id(40_000 + number),
            provider,
            provider_user_id: its_id,
            email: roll.choice.is_multiple_of(2).then_some(email),
            profile: profile.as_object().cloned().unwrap_or_else(JsonMap::new),
            tokens: self.given(roll),
        }))
    }

    /// What a provider gives besides, which is not always all.
    fn given(&self, roll: Roll) -> Option<SealedTokens> {
        let sealed = |kind: &str| Sealed::new(format!("x1.{kind}-{}", self.past.len()));
        let tokens = SealedTokens {
            access_token: sealed("access"),
            refresh_token: (!roll.message.is_multiple_of(3)).then(|| sealed("refresh")),
            expires_at: roll.message.is_multiple_of(2).then(|| self.time + TimeDelta::hours(1)),
        };
        (!roll.message.is_multiple_of(5)).then_some(tokens)
    }

    /// What came of the user's refresh token, if there is one, or of one that is not theirs any more.
    fn exchanged(&self, user: Uuid, provider: OauthProvider, roll: Roll) -> Option<Exchanged> {
        let State::Credentials(credentials) = self.state(&Key::Credentials(user)) else {
            return None;
        };
        let link = credentials.oauth.of.get(&provider)?;
        let used = link.refresh_token.clone().filter(|_| roll.message < 230);
        let exchange = match self.given(roll) {
            Some(tokens) => Exchange::For(Box::new(tokens)),
            None if roll.message.is_multiple_of(2) => Exchange::Refused,
            None => Exchange::Unasked,
        };
        let used = used.unwrap_or_else(|| Sealed::new("of before"));
        Some(Exchanged { link_id: link.id, used, exchange })
    }
}
