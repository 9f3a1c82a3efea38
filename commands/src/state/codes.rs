use std::collections::{BTreeMap, VecDeque};

use chrono::TimeDelta;
use echolog_events::{
    CodeEvent, CodeHash, Event, IdentifierType, OtpPurpose, OtpRequested, Time, TokenHash, Uuid,
};
use serde::{Deserialize, Serialize};

/// How many codes are good at once at most: an account has few names and there are few purposes, but
/// names that nobody has share an account.
const OPEN: usize = 64;

/// How many requests are remembered at most.
const REQUESTS: usize = 256;

/// How often a name may ask for a code: so many in so long.
const LIMITS: [(usize, TimeDelta); 3] =
    [(1, TimeDelta::minutes(1)), (5, TimeDelta::hours(1)), (10, TimeDelta::days(1))];

/// For how long after it was shown a code proves something.
const PROOF: TimeDelta = TimeDelta::minutes(15);

/// What decisions remember of an account's one-time codes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Codes {
    /// Those that are good, or were a moment ago.
    pub open: BTreeMap<Uuid, Code>,
    /// Who asked lately, the earliest first.
    pub requests: VecDeque<Request>,
    /// The token that stands for the password, if one was asked for.
    #[serde(default)]
    pub reset: Option<Reset>,
}

/// A code that was given out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// The name that it was sent to; a keyed hash where nobody has it.
    #[serde(default)]
    pub identifier: String,
    /// Of the same.
    pub identifier_hash: String,
    /// What kind of name.
    pub identifier_type: IdentifierType,
    /// What it is for.
    pub purpose: OtpPurpose,
    /// What is kept of it.
    pub hash: CodeHash,
    /// How many wrong ones were shown.
    pub attempts: u32,
    /// How many may be.
    pub max_attempts: u32,
    /// How long it is good.
    pub expires_at: Time,
    /// When it was shown.
    pub verified_at: Option<Time>,
    /// Of the token that proves it.
    pub proof_hash: Option<TokenHash>,
}

/// A token that stands for a password which was lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reset {
    /// Its id.
    pub id: Uuid,
    /// Of the name that it was sent to.
    #[serde(default)]
    pub identifier_hash: String,
    /// What is kept of it.
    pub hash: TokenHash,
    /// How long it is good.
    pub expires_at: Time,
}

/// Somebody asked for a code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Of the code.
    pub otp_id: Uuid,
    /// The beginning of the name's hash.
    pub name: u64,
    /// When.
    pub at: Time,
}

impl Code {
    /// Whether it can still be shown.
    #[must_use]
    pub fn is_good(&self, now: Time) -> bool {
        self.expires_at > now && self.verified_at.is_none() && self.attempts < self.max_attempts
    }

    /// Whether it was shown and proves something still.
    #[must_use]
    pub fn is_proven(&self, now: Time) -> bool {
        self.verified_at.is_some_and(|at| at + PROOF > now)
    }
}

impl Reset {
    /// Its id, while it is good.
    pub(crate) fn good_id(&self, now: Time) -> Option<Uuid> {
        (self.expires_at > now).then_some(self.id)
    }
}

impl Codes {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { open: BTreeMap::new(), requests: VecDeque::new(), reset: None }
    }

    /// Whether a name has asked for as many codes as it may.
    #[must_use]
    pub fn is_too_often(&self, identifier_hash: &str, now: Time) -> bool {
        let name = short(identifier_hash);
        LIMITS.iter().any(|(most, span)| {
            let lately = |request: &&Request| request.name == name && request.at + *span > now;
            self.requests.iter().filter(lately).count() >= *most
        })
    }

    /// Whether so many were asked for lately that no more can be remembered.
    #[must_use]
    pub fn is_worn(&self, now: Time) -> bool {
        let open = self.open.values().filter(|code| code.expires_at > now || code.is_proven(now));
        let first = self.requests.front().filter(|_| self.requests.len() >= REQUESTS);
        open.count() >= OPEN || first.is_some_and(|first| first.at + Self::MEMORY > now)
    }

    /// Whether there was a code with this id lately.
    #[must_use]
    pub fn was_used(&self, otp_id: Uuid) -> bool {
        self.open.contains_key(&otp_id)
            || self.requests.iter().any(|request| request.otp_id == otp_id)
    }

    /// The code that another one for the same would take the place of; one whose time is over has
    /// ended by itself.
    #[must_use]
    pub fn replaced_by(
        &self,
        identifier_hash: &str,
        purpose: OtpPurpose,
        now: Time,
    ) -> Option<Uuid> {
        let same = |code: &Code| {
            code.identifier_hash == identifier_hash
                && code.purpose == purpose
                && code.verified_at.is_none()
                && code.expires_at > now
        };
        self.open.iter().find(|(_, code)| same(code)).map(|(id, _)| *id)
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        let Event::Codes(event) = event else { return };
        match event {
            CodeEvent::OtpRequested(e) => self.request(e),
            CodeEvent::OtpVerified(e) => {
                if let Some(code) = self.open.get_mut(&e.otp_id) {
                    code.verified_at = Some(e.verified_at);
                    code.proof_hash = e.proof_hash.clone();
                }
            }
            CodeEvent::OtpAttemptFailed(e) => {
                if let Some(code) = self.open.get_mut(&e.otp_id) {
                    code.attempts = e.attempts;
                }
            }
            CodeEvent::PasswordResetRequested(e) => {
                self.note(e.reset_id, &e.identifier_hash, e.requested_at);
                self.reset = Some(Reset {
                    id: e.reset_id,
                    identifier_hash: e.identifier_hash.clone(),
                    hash: e.token_hash.clone(),
                    expires_at: e.expires_at,
                });
            }
            CodeEvent::PasswordResetCompleted(_) => self.reset = None,
        }
    }

    fn request(&mut self, e: &OtpRequested) {
        let now = e.requested_at;
        if let Some(replaced) = e.replaces {
            self.open.remove(&replaced);
        }
        self.open.retain(|_, code| code.expires_at > now || code.is_proven(now));
        self.note(e.otp_id, &e.identifier_hash, now);
        let code = Code {
            identifier: e.identifier.clone(),
            identifier_hash: e.identifier_hash.clone(),
            identifier_type: e.identifier_type,
            purpose: e.purpose,
            hash: e.otp_hash.clone(),
            attempts: 0,
            max_attempts: e.max_attempts,
            expires_at: e.expires_at,
            verified_at: None,
            proof_hash: None,
        };
        self.open.insert(e.otp_id, code);
    }

    /// Remembers that somebody asked.
    fn note(&mut self, otp_id: Uuid, identifier_hash: &str, at: Time) {
        self.requests.retain(|request| request.at + TimeDelta::days(1) > at);
        while self.requests.len() >= REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(Request { otp_id, name: short(identifier_hash), at });
    }

    /// How much older than another the id of a new code may be: what clocks may differ by, and more.
    const MEMORY: TimeDelta = TimeDelta::minutes(10);
}

/// Enough of a name's hash to tell it from the few others of an account.
fn short(identifier_hash: &str) -> u64 {
    let digits = identifier_hash.get(..16).unwrap_or(identifier_hash);
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use echolog_events::Origin;

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(seconds, 0).expect("a time")
    }

    fn requested(number: u128, name: u64, seconds: i64) -> Event {
        let codes = OtpRequested {
            account_id: Uuid::nil(),
            user_id: None,
            otp_id: Uuid::from_u128(number),
            identifier: "unknown:5eed".to_owned(),
            identifier_type: IdentifierType::Email,
            identifier_hash: format!("{name:064x}").chars().rev().collect(),
            purpose: OtpPurpose::Login,
            otp_hash: CodeHash::new("hash"),
            max_attempts: 5,
            requested_at: at(seconds),
            expires_at: at(seconds + 600),
            replaces: None,
            origin: Origin::default(),
        };
        Event::Codes(CodeEvent::OtpRequested(Box::new(codes)))
    }

    #[test]
    fn a_name_asks_now_and_then() {
        let mut codes = Codes::default();
        let name: String = format!("{:064x}", 7).chars().rev().collect();
        let mut accepted = Vec::new();
        for seconds in (0..2 * 86_400).step_by(30) {
            if !codes.is_too_often(&name, at(seconds)) {
                codes.evolve(&requested(u128::from(seconds.unsigned_abs()), 7, seconds));
                accepted.push(seconds);
            }
        }
        assert_eq!(accepted[..6], [0, 60, 120, 180, 240, 3600]);
        assert_eq!(accepted.iter().filter(|it| **it < 86_400).count(), 10);
        assert!(accepted.len() > 15, "another day, another ten");
    }

    #[test]
    fn it_stays_small() {
        let mut codes = Codes::default();
        let mut refused = 0;
        for number in 0..10_000_i64 {
            // One a second, each of another name.
            if codes.is_worn(at(number)) {
                refused += 1;
            } else {
                codes.evolve(&requested(
                    number.unsigned_abs().into(),
                    number.unsigned_abs(),
                    number,
                ));
            }
            assert!(codes.open.len() <= OPEN && codes.requests.len() <= REQUESTS);
        }
        assert!(refused > 1_000 && refused < 9_900, "{refused}");
    }
}
