//! Second factors, by the dice.

use chrono::TimeDelta;
use echolog_events::{OtpPurpose, RecoveryCode, Uuid};
use serde_json::{Value, json};

use super::dice::{Roll, Sent, USERS};
use super::{Story, id};
use crate::auth::{Check, Findings, NewAuthenticator, NewRecoveryCodes, SecondFactor, factors};
use crate::state::{Code, Credentials};
use crate::{Actor, Key, State};

/// The names of the commands that are rolled here.
pub(super) const NAMES: [&str; 4] =
    ["begin_two_factor", "enable_two_factor", "disable_two_factor", "generate_recovery_codes"];

impl Story {
    /// One of these commands: mostly one user, whom few others log in as, does it to the own account.
    pub(super) fn roll_factor(&self, name: &str, roll: Roll) -> Sent {
        let user = if roll.user.is_multiple_of(8) { id(1) } else { id(USERS - 1) };
        let number = u16::try_from(self.past.len()).expect("not so many");
        let check = if roll.choice < 32 { Check::Wrong } else { Check::Right };
        let codes = (0..10).map(|code| RecoveryCode {
            id: id(30_000 + 10 * number + code),
            hash: factors::code_hash(b"", user, &format!("code {number} {code}")),
        });
        let mut findings = Findings {
            password: Some(check),
            authenticator: Some(NewAuthenticator {
                factor_id: id(28_000 + number),
                salt: format!("salt {number}"),
            }),
            second_factor: self.shown(user, roll),
            recovery_codes: Some(NewRecoveryCodes {
                set_id: id(29_000 + number),
                codes: codes.collect(),
            }),
            ..Findings::default()
        };
        if name == "enable_two_factor" {
            let sent = |code: &Code| code.purpose == OtpPurpose::TwoFactor;
            let sent = self.sent_code(user, roll, sent).map(SecondFactor::Sent);
            let begun = self.shown_first(user, roll);
            let first = if roll.choice.is_multiple_of(2) { sent.or(begun) } else { begun };
            findings.second_factor = first;
            findings.password_number = self.sessions(user).password;
        } else if roll.choice.is_multiple_of(16) {
            findings.second_factor = None;
        }
        let operator = name == "disable_two_factor" && roll.message.is_multiple_of(4);
        let actor = match operator {
            true => Actor::Service("svc-operator".to_owned()),
            false => Actor::User(user),
        };
        let body: Value = match name {
            "disable_two_factor" if operator => json!({ "reason": "lost" }),
            _ => json!({}),
        };
        let command = super::dice::command("auth", name, &body);
        Sent { actor, target: user, command, findings }
    }

    /// A second factor that a user shows: mostly one that is good now.
    pub(super) fn shown(&self, user: Uuid, roll: Roll) -> Option<SecondFactor> {
        let State::Credentials(credentials) = self.state(&Key::Credentials(user)) else {
            return None;
        };
        let Credentials { authenticator, sent, recovery_codes, .. } = credentials;
        if let Some(by) = sent {
            let to = by.identifier_type();
            let serves = |code: &Code| {
                matches!(code.purpose, OtpPurpose::Login | OtpPurpose::TwoFactor)
                    && code.identifier_type == to
            };
            let recovery = recovery_codes.into_values().next().map(SecondFactor::RecoveryCode);
            let sent = self.sent_code(user, roll, serves).map(SecondFactor::Sent);
            return if roll.choice.is_multiple_of(3) {
                recovery.or(sent)
            } else {
                sent.or(recovery)
            };
        }
        let authenticator = authenticator?;
        let recovery = recovery_codes.into_values().next();
        match (roll.choice % 8, recovery) {
            (0..=2, Some(hash)) => Some(SecondFactor::RecoveryCode(hash)),
            (3, _) => Some(SecondFactor::Totp(factors::code_hash(b"", user, "000000"))),
            _ => Some(self.code(user, authenticator.id, &authenticator.salt, roll)),
        }
    }

    /// The first code of an authenticator.
    fn shown_first(&self, user: Uuid, roll: Roll) -> Option<SecondFactor> {
        let State::Credentials(credentials) = self.state(&Key::Credentials(user)) else {
            return None;
        };
        let begun = credentials.begun?;
        Some(self.code(user, begun.id, &begun.salt, roll))
    }

    /// What an authenticator shows now or half a minute later.
    fn code(&self, user: Uuid, factor: Uuid, salt: &str, roll: Roll) -> SecondFactor {
        let later = TimeDelta::seconds(30 * i64::from(roll.choice / 8 % 2));
        let code = factors::shown_at(factors::secret(b"", user, factor, salt), self.now() + later);
        SecondFactor::Totp(factors::code_hash(b"", user, &code))
    }
}
