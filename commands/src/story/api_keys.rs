//! API keys, by the dice.

use echolog_events::{TokenHash, Uuid};
use serde_json::json;

use super::dice::{Roll, Sent, USERS};
use super::{Story, id};
use crate::auth::{Check, Findings, NewKey};
use crate::{Actor, Key, State};

/// The names of the commands that are rolled here.
pub(super) const NAMES: [&str; 3] = ["create_api_key", "record_api_key_use", "revoke_api_key"];

impl Story {
    /// One of these commands, as [`Story::roll`].
    pub(super) fn roll_api_key(&self, name: &str, roll: Roll) -> Sent {
        let user = id(1 + u16::from(roll.user) % USERS);
        let number = u16::try_from(self.past.len()).expect("not so many");
        let key = self.api_key(user, roll).unwrap_or(id(1));
        let (actor, body) = match name {
            "create_api_key" => {
                let scopes = [json!(["messages"]), json!(["users", "messages"])];
                let expires_at = roll.choice.is_multiple_of(3).then_some("1971-01-01T00:00:00Z");
                let body = json!({
                    "api_key_id": id(30_000 + number), "name": format!("key {}", roll.message % 3),
                    "scopes": scopes[usize::from(roll.choice % 2)], "expires_at": expires_at,
                });
                (Actor::User(user), body)
            }
            "record_api_key_use" => {
                let body = json!({
                    "api_key_id": key, "count": 1 + u32::from(roll.choice),
                    "last_used_at": "1970-01-01T00:00:00Z",
                });
                (Actor::Service("svc-echolog".to_owned()), body)
            }
            _ => (Actor::User(user), json!({ "api_key_id": key })),
        };
        let api_key = (name == "create_api_key").then(|| NewKey {
            key_hash: TokenHash::new(format!("api key {number}")),
            key_prefix: format!("ek_{number}"),
        });
        let command = super::dice::command("auth", name, &body);
        let password = Some(if roll.message < 16 { Check::Wrong } else { Check::Right });
        let second_factor = self.shown(user, roll);
        let findings = Findings { api_key, password, second_factor, ..Findings::default() };
        Sent { actor, target: user, command, findings }
    }

    fn api_key(&self, user: Uuid, roll: Roll) -> Option<Uuid> {
        let State::Credentials(credentials) = self.state(&Key::Credentials(user)) else {
            return None;
        };
        let open = credentials.api_keys.open;
        open.keys().copied().nth(usize::from(roll.message) % open.len().max(1))
    }
}
