//! What operators do about accounts, by the dice.

use echolog_events::{AccountStatus, AuthEvent, ClaimKind, ConversationType, Event, Uuid};
use serde_json::json;

use super::dice::{CONVERSATIONS, Roll, Sent, USERS};
use super::{Story, id};
use crate::auth::{Findings, Holdings};
use crate::{Actor, Key, State};

/// The names of the commands that are rolled here.
pub(super) const NAMES: [&str; 7] = [
    "suspend_user",
    "ban_user",
    "reinstate_user",
    "change_user_role",
    "delete_user",
    "remove_deleted_member",
    "record_sensitive_access",
];

impl Story {
    /// One of these commands. It is about the last two users, so that the others go on.
    pub(super) fn roll_operator(&self, name: &str, roll: Roll) -> Sent {
        let target = id(USERS - u16::from(roll.user) % 2);
        let actor = Actor::Service("svc-operator".to_owned());
        if name == "remove_deleted_member" {
            let (target, user) = self.ghost().unwrap_or((id(CONVERSATIONS[0]), target));
            let body = json!({ "user_id": user });
            let command = super::dice::command("messages", name, &body);
            return Sent { actor, target, command, findings: Findings::default() };
        }
        if name == "record_sensitive_access" {
            let body = json!({ "data_type": "account", "access_type": "read", "purpose": "help" });
            let command = super::dice::command("audit", name, &body);
            return Sent { actor, target, command, findings: Findings::default() };
        }
        let body = match name {
            "suspend_user" => match roll.choice % 3 {
                0 => json!({ "reason": "spam" }),
                1 => json!({ "reason": "spam", "until": "2036-01-01T00:00:00Z" }),
                _ => json!({ "reason": "more spam", "until": "2036-01-02T00:00:00+01:00" }),
            },
            "change_user_role" => {
                let role = ["user", "creator", "moderator", "admin"][usize::from(roll.choice) % 4];
                json!({ "role": role })
            }
            "delete_user" => json!({ "reason": "no use for it" }),
            "ban_user" => json!({ "reason": format!("reason {}", roll.choice % 3) }),
            _ => json!({ "reason": roll.choice.is_multiple_of(2).then_some("a mistake") }),
        };
        let command = super::dice::command("auth", name, &body);
        let holdings = (name == "delete_user").then(|| self.holdings(target));
        Sent { actor, target, command, findings: Findings { holdings, ..Findings::default() } }
    }

    /// A conversation with somebody in it whose account is deleted.
    fn ghost(&self) -> Option<(Uuid, Uuid)> {
        let gone = |user: &Uuid| {
            let State::User(user) = self.state(&Key::User(*user)) else { return false };
            user.is_some_and(|user| user.status == AccountStatus::Deleted)
        };
        CONVERSATIONS.iter().find_map(|number| {
            let State::Conversation(Some(it)) = self.state(&Key::Conversation(id(*number))) else {
                return None;
            };
            let direct = it.conversation_type == ConversationType::Direct;
            let user = it.members.keys().copied().filter(|_| !direct).find(gone)?;
            Some((id(*number), user))
        })
    }

    /// What the request path would find of an account.
    pub(super) fn holdings(&self, user: Uuid) -> Holdings {
        let mut claims: Vec<(ClaimKind, String)> = Vec::new();
        for (key, event) in &self.past {
            // Those of its beginning: one of each kind.
            if let Event::Auth(AuthEvent::IdentifierClaimed(e)) = event
                && e.owner_id == user
                && claims.iter().all(|(kind, _)| *kind != e.kind)
            {
                claims.push((e.kind, key.id.clone()));
            }
        }
        Holdings { claims }
    }
}
