//! One-time codes, by the dice.

use echolog_events::{CodeHash, OtpPurpose, PasswordHash, TokenHash, Uuid};
use serde_json::json;

use super::dice::{Roll, Sent, USERS, command};
use super::{Story, id};
use crate::auth::{Findings, NewCode, NewReset, Reset, ShownCode, is_for_users};
use crate::state::Codes;
use crate::{Actor, Key, State};

/// The names of the commands that are rolled here.
pub(super) const NAMES: [&str; 4] =
    ["request_otp", "verify_otp", "request_password_reset", "complete_password_reset"];

/// The account of names that nobody has.
pub(super) const STAND_IN: u16 = 91;

impl Story {
    /// One of these commands, of a user or under a name that nobody has.
    pub(super) fn roll_code(&self, name: &str, roll: Roll) -> Sent {
        let known = !roll.user.is_multiple_of(4);
        let account = if known { id(1 + u16::from(roll.user) % USERS) } else { id(STAND_IN) };
        let anyone = Actor::Anonymous("anon-1".to_owned());
        let user_id = known.then_some(account);
        let number = u16::try_from(self.past.len()).expect("not so many");
        if name.ends_with("password_reset") {
            return self.roll_reset(name, roll, account, user_id);
        }
        if name == "request_otp" {
            let purpose = OtpPurpose::ALL[usize::from(roll.choice) % OtpPurpose::ALL.len()];
            let actor = if is_for_users(purpose) { Actor::User(account) } else { anyone };
            let place = roll.message % 3;
            let to = match purpose {
                OtpPurpose::EmailVerification => format!("ada{place}@example.org"),
                OtpPurpose::Registration
                | OtpPurpose::Login
                | OtpPurpose::PasswordReset
                | OtpPurpose::TwoFactor
                | OtpPurpose::PhoneChange => format!("+44207183875{place}"),
            };
            let body = json!({ "purpose": purpose.name(), "identifier": to });
            let new_code = NewCode {
                otp_id: id(30_000 + number),
                user_id,
                identifier: if known { to } else { "unknown:5eed".to_owned() },
                // In a story no time passes: a name asks once.
                identifier_hash: format!("{number:016x}"),
                hash: CodeHash::new(format!("code {number}")),
            };
            let findings = Findings { new_code: Some(new_code), ..Findings::default() };
            return Sent {
                actor,
                target: account,
                command: command("auth", name, &body),
                findings,
            };
        }
        let codes = self.codes(account);
        let open = codes.open.iter().nth(usize::from(roll.message) % codes.open.len().max(1));
        let (otp_id, code) = match open {
            Some((otp_id, code)) => (*otp_id, Some(code)),
            None => (id(1), None),
        };
        let actor = match code {
            Some(code) if is_for_users(code.purpose) => Actor::User(account),
            Some(_) | None => anyone,
        };
        let right = code.filter(|_| !roll.choice.is_multiple_of(3)).map(|code| code.hash.clone());
        let shown_code = ShownCode {
            otp_id,
            user_id,
            hash: right.unwrap_or(CodeHash::new("a guess")),
            proof_hash: TokenHash::new(format!("proof {number}")),
        };
        let findings = Findings { shown_code: Some(shown_code), ..Findings::default() };
        Sent { actor, target: account, command: command("auth", name, &json!({})), findings }
    }

    /// A token for a password that was lost, asked for or shown.
    fn roll_reset(&self, name: &str, roll: Roll, account: Uuid, user_id: Option<Uuid>) -> Sent {
        let anyone = Actor::Anonymous("anon-1".to_owned());
        let number = u16::try_from(self.past.len()).expect("not so many");
        if name == "request_password_reset" {
            let new_reset = NewReset {
                reset_id: id(40_000 + number),
                user_id,
                identifier_hash: format!("{number:016x}"),
                hash: TokenHash::new(format!("reset {number}")),
            };
            let body = json!({ "identifier": "ada@example.org" });
            let findings = Findings { new_reset: Some(new_reset), ..Findings::default() };
            let command = command("auth", name, &body);
            return Sent { actor: anyone, target: account, command, findings };
        }
        // Mostly of an account that has asked.
        let asked = (1..=USERS).map(id).find(|user| self.codes(*user).reset.is_some());
        let account = asked.filter(|_| !roll.message.is_multiple_of(4)).unwrap_or(account);
        let reset = self.codes(account).reset.map(|reset| Reset {
            reset_id: reset.id,
            hash: if roll.choice.is_multiple_of(8) { TokenHash::new("none") } else { reset.hash },
            password: self.sessions(account).password,
            password_hash: PasswordHash::new(format!("$argon2id$reset {number}")),
        });
        let findings = Findings { reset, ..Findings::default() };
        let command = command("auth", name, &json!({}));
        Sent { actor: anyone, target: account, command, findings }
    }

    fn codes(&self, account: Uuid) -> Codes {
        let State::Codes(codes) = self.state(&Key::Codes(account)) else { return Codes::default() };
        codes
    }
}
