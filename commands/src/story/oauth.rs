//! Identities at other providers, by the dice.

use echolog_events::{JsonMap, OauthProvider, Uuid};
use serde_json::{Value, json};

use super::dice::{Roll, Sent, USERS};
use super::{Story, id};
use crate::auth::{Check, Findings, Identity, Vouched};
use crate::{Actor, Key, State};

/// The names of the commands that are rolled here.
pub(super) const NAMES: [&str; 2] = ["link_oauth_provider", "unlink_oauth_provider"];

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
        } else {
            Findings::default()
        };
        let operator = Actor::Service("svc-operator".to_owned());
        let by_operator = name == "unlink_oauth_provider" && roll.choice.is_multiple_of(3);
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
        }))
    }
}
