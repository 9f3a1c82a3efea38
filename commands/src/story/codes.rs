//! One-time codes, by the dice.

use echolog_events::{
    AccountEvent, AuthEvent, ClaimKind, CodeHash, Event, OtpPurpose, PasswordHash, TokenHash, Uuid,
};
use serde_json::json;

use super::dice::{Roll, Sent, USERS, command};
use super::{Story, id};
use crate::auth::{
    Check, Findings, NewCode, NewReset, Reset, SentCode, ShownCode, ShownProof, ShownReset,
    is_for_users,
};
use crate::state::{Code, Codes};
use crate::{Actor, ClaimId, Key, State};

/// The names of the commands that are rolled here.
pub(super) const NAMES: [&str; 6] = [
    "request_otp",
    "verify_otp",
    "request_password_reset",
    "complete_password_reset",
    "change_email",
    "change_phone",
];

/// The account of names that nobody has.
pub(super) const STAND_IN: u16 = 91;

impl Story {
    /// One of these commands, of a user or under a name that nobody has.
    pub(super) fn roll_code(&self, name: &str, roll: Roll) -> Sent {
        let known = !roll.user.is_multiple_of(4);
        let account = if known { id(1 + u16::from(roll.user) % USERS) } else { id(STAND_IN) };
        let user_id = known.then_some(account);
        if name.ends_with("password_reset") {
            return self.roll_reset(name, roll, account, user_id);
        }
        if name == "request_otp" {
            let purpose = OtpPurpose::ALL[usize::from(roll.choice) % OtpPurpose::ALL.len()];
            return self.roll_request(roll, purpose, account, user_id);
        }
        if name.starts_with("change_") {
            return self.roll_contact(name, roll);
        }
        let codes = self.codes(account);
        let mut open = codes.open.iter();
        let open = open.nth(usize::from(roll.message) % codes.open.len().max(1));
        self.roll_shown(roll, account, open)
    }

    /// A code of an account that somebody shows, mostly as it was sent.
    fn roll_shown(&self, roll: Roll, account: Uuid, open: Option<(&Uuid, &Code)>) -> Sent {
        let (otp_id, code) = match open {
            Some((otp_id, code)) => (*otp_id, Some(code)),
            None => (id(1), None),
        };
        let actor = match code {
            Some(code) if is_for_users(code.purpose) => Actor::User(account),
            Some(_) | None => Actor::Anonymous("anon-1".to_owned()),
        };
        let right = code.filter(|_| !roll.choice.is_multiple_of(3)).map(|code| code.hash.clone());
        let shown_code = ShownCode {
            otp_id,
            identifier_hash: None,
            hash: right.unwrap_or(CodeHash::new("a guess")),
            proof_hash: TokenHash::new(format!("proof {}", self.past.len())),
        };
        let findings = Findings { shown_code: Some(shown_code), ..Findings::default() };
        let command = command("auth", "verify_otp", &json!({}));
        Sent { actor, target: account, command, findings }
    }

    /// A code, at times for a name that the user has.
    fn roll_request(
        &self,
        roll: Roll,
        purpose: OtpPurpose,
        account: Uuid,
        user_id: Option<Uuid>,
    ) -> Sent {
        let number = self.past.len();
        let actor = match is_for_users(purpose) {
            true => Actor::User(account),
            false => Actor::Anonymous("anon-1".to_owned()),
        };
        let by_mail = match purpose {
            OtpPurpose::EmailVerification => true,
            OtpPurpose::PhoneChange => false,
            OtpPurpose::Registration
            | OtpPurpose::Login
            | OtpPurpose::PasswordReset
            | OtpPurpose::TwoFactor => roll.message.is_multiple_of(2),
        };
        // In a story no time passes: a name asks once.
        let (kind, new) = match by_mail {
            true => (ClaimKind::Email, format!("ada{number}@example.org")),
            false => (ClaimKind::PhoneNumber, format!("+44207{number:07}")),
        };
        let own = self.contact(account, kind).filter(|_| !roll.message.is_multiple_of(3));
        let to = own.unwrap_or(new);
        let body = json!({ "purpose": purpose.name(), "identifier": to });
        let new_code = NewCode {
            otp_id: id(30_000 + u16::try_from(number).expect("not so many")),
            user_id,
            identifier_hash: ClaimId::new(&self.settings.claim_key, kind, &to).0,
            identifier: if user_id.is_some() { to } else { "unknown:5eed".to_owned() },
            hash: CodeHash::new(format!("code {number}")),
        };
        let findings = Findings { new_code: Some(new_code), ..Findings::default() };
        let command = command("auth", "request_otp", &body);
        Sent { actor, target: account, command, findings }
    }

    /// The address or number that a user has now.
    fn contact(&self, user: Uuid, kind: ClaimKind) -> Option<String> {
        let mut contact = None;
        for (_, event) in &self.past {
            match (event, kind) {
                (Event::Auth(AuthEvent::UserRegistered(e)), ClaimKind::Email)
                    if e.user_id == user =>
                {
                    contact.clone_from(&e.email);
                }
                (Event::Auth(AuthEvent::UserRegistered(e)), ClaimKind::PhoneNumber)
                    if e.user_id == user =>
                {
                    contact.clone_from(&e.phone_number);
                }
                (Event::Accounts(AccountEvent::EmailChanged(e)), ClaimKind::Email)
                    if e.user_id == user =>
                {
                    contact = Some(e.email.clone());
                }
                (Event::Accounts(AccountEvent::PhoneChanged(e)), ClaimKind::PhoneNumber)
                    if e.user_id == user =>
                {
                    contact = Some(e.phone_number.clone());
                }
                _ => {}
            }
        }
        contact
    }

    /// Another contact, or what leads to it: a code, and showing it.
    fn roll_contact(&self, name: &str, roll: Roll) -> Sent {
        let purpose = match name {
            "change_email" => OtpPurpose::EmailVerification,
            _ => OtpPurpose::PhoneChange,
        };
        let asked = (1..=USERS).map(id).find_map(|user| {
            let mut codes = self.codes(user).open.into_iter();
            let (otp_id, code) = codes.find(|(_, code)| code.purpose == purpose)?;
            Some((user, otp_id, code))
        });
        let Some((user, otp_id, code)) = asked else {
            let user = id(1 + u16::from(roll.user) % USERS);
            return self.roll_request(roll, purpose, user, Some(user));
        };
        let Some(hash) = code.proof_hash.clone() else {
            return self.roll_shown(roll, user, Some((&otp_id, &code)));
        };
        let hash = if roll.choice.is_multiple_of(8) { TokenHash::new("none") } else { hash };
        let proof = Some(ShownProof { account: user, otp_id, hash });
        let mut findings = Findings {
            password: Some(if roll.choice < 16 { Check::Wrong } else { Check::Right }),
            password_number: self.sessions(user).password,
            second_factor: self.shown(user, roll),
            holdings: Some(self.holdings(user)),
            ..Findings::default()
        };
        let body = if name == "change_email" {
            findings.email_proof = proof;
            json!({ "email": code.identifier })
        } else {
            findings.phone_proof = proof;
            json!({ "phone_number": code.identifier })
        };
        let command = command("auth", name, &body);
        Sent { actor: Actor::User(user), target: user, command, findings }
    }

    /// A code of an account that could be shown for this, by its id; mostly as it was sent.
    pub(super) fn sent_code(
        &self,
        account: Uuid,
        roll: Roll,
        fits: impl Fn(&Code) -> bool,
    ) -> Option<SentCode> {
        let now = self.now();
        let codes = self.codes(account).open.into_iter();
        let (otp_id, code) =
            codes.filter(|(_, code)| code.is_good(now)).find(|(_, code)| fits(code))?;
        let hash = if roll.choice.is_multiple_of(8) { CodeHash::new("a guess") } else { code.hash };
        Some(SentCode { otp_id, hash })
    }

    /// A token for a password that was lost, asked for or shown.
    fn roll_reset(&self, name: &str, roll: Roll, account: Uuid, user_id: Option<Uuid>) -> Sent {
        let anyone = Actor::Anonymous("anon-1".to_owned());
        let number = u16::try_from(self.past.len()).expect("not so many");
        if name == "request_password_reset" {
            // Mostly to a name of the account: others are good for nothing.
            let kinds = [ClaimKind::Email, ClaimKind::PhoneNumber];
            let own = kinds.into_iter().find_map(|kind| {
                let name = self.contact(account, kind)?;
                Some(ClaimId::new(&self.settings.claim_key, kind, &name).0)
            });
            let own = own.filter(|_| !roll.choice.is_multiple_of(8));
            let new_reset = NewReset {
                reset_id: id(40_000 + number),
                user_id,
                identifier_hash: own.unwrap_or(format!("{number:016x}")),
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
        let for_reset = |code: &Code| code.purpose == OtpPurpose::PasswordReset;
        let by_code = (1..=USERS).map(id).find_map(|user| {
            let code = self.sent_code(user, roll, for_reset)?;
            Some((user, code.otp_id, ShownReset::Code(code.hash)))
        });
        let by_token = self.codes(account).reset.map(|reset| {
            let wrong = roll.choice.is_multiple_of(8);
            let hash = if wrong { TokenHash::new("none") } else { reset.hash };
            (account, reset.id, ShownReset::Token(hash))
        });
        let by_code = by_code.filter(|_| roll.user.is_multiple_of(2));
        let shown = by_code.or(by_token);
        let account = shown.as_ref().map_or(account, |(account, ..)| *account);
        let reset = shown.map(|(account, reset_id, shown)| Reset {
            reset_id,
            shown,
            identifier_hash: None,
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
