//! Logging in and what follows, by the dice.

use chrono::TimeDelta;
use echolog_events::{Origin, OtpPurpose, PasswordHash, Time, TokenHash, Uuid};
use serde_json::{Value, json};

use super::dice::{Roll, Sent, USERS};
use super::{Story, codes, id};
use crate::auth::{Check, Findings, Login, NewPassword, NewTokens, Refresh};
use crate::state::{Code, Sessions};
use crate::{Actor, Key, State};

/// The names of the commands that are rolled here.
pub(super) const NAMES: [&str; 9] = [
    "log_in",
    "refresh_session",
    "revoke_session",
    "revoke_all_sessions",
    "unlock_user",
    "record_session_activity",
    "expire_session",
    "apply_retention",
    "change_password",
];

/// The account that counts attempts under a name that nobody has.
const STAND_IN: u16 = 90;

impl Story {
    /// One of these commands: who sends it, about which account, saying what, and what the request
    /// path finds out.
    pub(super) fn roll_login(&self, name: &str, roll: Roll) -> Sent {
        let user = id(1 + u16::from(roll.user) % USERS);
        let own = Actor::User(user);
        let anyone = Actor::Anonymous("anon-1".to_owned());
        let (actor, target, body, findings) = match name {
            "log_in" => {
                let (account, check) = attempt(user, roll.choice);
                let second_factor = self.shown(account, roll);
                let findings = Findings { second_factor, ..self.found_login(account, check, roll) };
                let by_identity = self.by_identity(account, roll);
                match by_identity.filter(|_| check == Check::Right && roll.choice % 8 < 3) {
                    Some((body, vouched)) => {
                        let findings = Findings { oauth: Some(vouched), ..findings };
                        (anyone, account, body, findings)
                    }
                    None => (anyone, account, login(roll), findings),
                }
            }
            "refresh_session" => {
                let body = match roll.choice % 3 {
                    0 => json!({}),
                    1 => json!({ "device_name": "mine", "fcm_token": "elsewhere" }),
                    _ => json!({ "device_metadata": { "os_version": roll.message.to_string() } }),
                };
                (anyone, user, body, self.found_refresh(user, roll))
            }
            "revoke_session" => {
                let body = json!({ "session_id": self.open(user, roll).unwrap_or(id(1)) });
                (own, user, body, Findings::default())
            }
            "revoke_all_sessions" => {
                let except = self.open(user, roll).filter(|_| roll.choice.is_multiple_of(2));
                let body = json!({ "except_session_id": except });
                (own, user, body, Findings::default())
            }
            "record_session_activity" | "expire_session" => {
                let actor = if name == "expire_session" { timer() } else { own };
                let body = json!({ "session_id": self.open(user, roll).unwrap_or(id(1)) });
                (actor, user, body, Findings::default())
            }
            "apply_retention" => {
                let account =
                    if roll.message.is_multiple_of(4) { id(codes::STAND_IN) } else { user };
                (timer(), account, too_old(roll), Findings::default())
            }
            "change_password" => {
                let except = self.open(user, roll).filter(|_| roll.choice.is_multiple_of(2));
                let body = json!({ "except_session_id": except });
                let operator = Actor::Service("svc-operator".to_owned());
                let actor = if roll.choice.is_multiple_of(3) { operator } else { own };
                (actor, user, body, self.found_password(user, roll))
            }
            _ => {
                let operator = Actor::Service("svc-operator".to_owned());
                let locked = if roll.choice.is_multiple_of(2) { id(1) } else { user };
                (operator, locked, json!({}), Findings::default())
            }
        };
        let command = super::dice::command("auth", name, &body);
        Sent { actor, target, command, findings }
    }

    pub(super) fn sessions(&self, user: Uuid) -> Sessions {
        let State::Sessions(sessions) = self.state(&Key::Sessions(user)) else {
            return Sessions::default();
        };
        sessions
    }

    fn open(&self, user: Uuid, roll: Roll) -> Option<Uuid> {
        let open = self.sessions(user).open;
        open.keys().copied().nth(usize::from(roll.message) % open.len().max(1))
    }

    /// Tokens that never were before.
    fn tokens(&self, generation: u32) -> NewTokens {
        let number = u16::try_from(self.past.len()).expect("not so many");
        NewTokens {
            token_hash: TokenHash::new(format!("session token {number}")),
            refresh_id: id(20_000 + number),
            refresh_hash: TokenHash::new(format!("refresh token {number}")),
            generation,
        }
    }

    fn found_login(&self, account: Uuid, check: Check, roll: Roll) -> Findings {
        let number = u16::try_from(self.past.len()).expect("not so many");
        let for_login = |code: &Code| code.purpose == OtpPurpose::Login;
        let code = self.sent_code(account, roll, for_login);
        let login = Login {
            session_id: id(10_000 + number),
            identifier: "ada".to_owned(),
            check,
            code: code.filter(|_| roll.choice.is_multiple_of(2)),
            tokens: self.tokens(0),
            device_id: format!("made up {number}"),
            password: self.sessions(account).password,
            rehashed: roll
                .message
                .is_multiple_of(5)
                .then(|| PasswordHash::new(format!("$argon2id$stronger {number}"))),
        };
        let origin = match number % 3 {
            0 => Origin::default(),
            _ => Origin {
                ip_address: format!("192.0.2.{}", number % 250).parse().ok(),
                user_agent: Some("a browser".to_owned()),
            },
        };
        Findings { origin, login: Some(login), ..Findings::default() }
    }

    /// Mostly somebody who knows the old password.
    fn found_password(&self, user: Uuid, roll: Roll) -> Findings {
        let new_password = NewPassword {
            password: self.sessions(user).password,
            check: Some(if roll.choice.is_multiple_of(2) { Check::Wrong } else { Check::Right }),
            is_same: false,
            hash: Some(PasswordHash::new(format!("$argon2id$new {}", self.past.len()))),
        };
        Findings { new_password: Some(new_password), ..Findings::default() }
    }

    /// Mostly the token that is good now, at times an earlier one.
    fn found_refresh(&self, user: Uuid, roll: Roll) -> Findings {
        let session = self.open(user, roll);
        let sessions = self.sessions(user);
        let refresh = session.and_then(|id| Some((id, sessions.open.get(&id)?)));
        let refresh = refresh.map(|(session_id, session)| {
            let hash = match roll.choice % 16 {
                0 => TokenHash::new("of long ago"),
                1 | 2 => session.previous_hash.clone().unwrap_or(session.refresh_hash.clone()),
                _ => session.refresh_hash.clone(),
            };
            let current = hash == session.refresh_hash;
            let generation = if current { session.generation } else { 0 };
            let next = if current { session.generation + 1 } else { session.generation };
            Refresh { session_id, generation, hash, tokens: self.tokens(next) }
        });
        Findings { refresh, ..Findings::default() }
    }
}

fn timer() -> Actor {
    Actor::Service(Actor::WORKER.to_owned())
}

/// Sessions of a story end in the first months of 1970, or have all ended; its codes are made from 2026
/// on in the log, some hours apart.
fn too_old(roll: Roll) -> Value {
    let sessions = Time::default() + TimeDelta::days(20 * i64::from(roll.choice % 4));
    let new_year = Time::from_timestamp(1_767_225_600, 0).expect("2026");
    let codes = new_year + TimeDelta::hours(6 * i64::from(roll.choice));
    json!({ "sessions_before": sessions, "codes_before": codes })
}

fn attempt(user: Uuid, choice: u8) -> (Uuid, Check) {
    match choice % 16 {
        0..=7 => (user, Check::Right),
        8..=12 => (id(1), Check::Wrong),
        13 => (id(2), Check::NoPassword),
        _ => (id(STAND_IN), Check::Unknown),
    }
}

fn login(roll: Roll) -> Value {
    let device = format!("device {}", roll.message % 3);
    match roll.message % 4 {
        0 => json!({ "identifier": "ada" }),
        1 => {
            json!({ "identifier": "ada", "device_id": device, "device_type": "mobile", "platform": "android" })
        }
        2 => json!({
            "identifier": "ada", "device_id": device, "device_name": "Ada's", "fcm_token": "here",
            "device_fingerprint": "f", "device_metadata": { "os": "a", "app_version": "1.0" },
        }),
        _ => json!({ "identifier": "ada@example.org", "device_id": device }),
    }
}
