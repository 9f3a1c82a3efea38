//! Logs of one-time codes and passwords, written by hand.

use echolog_events::{
    CodeEvent, CodeHash, Event, IdentifierType, OtpAttemptFailed, OtpPurpose, OtpRequested,
    OtpVerified, PasswordChange, PasswordChanged, PasswordEvent, PasswordHash, PasswordRehashed,
    PasswordResetCompleted, PasswordResetRequested, Stream, StreamKey, TokenHash, Uuid,
};

use super::Log;
use super::sessions::{day, origin};

impl Log {
    /// Appends events of an account's codes as one command of its own.
    pub(crate) fn codes(&mut self, events: Vec<CodeEvent>) -> Uuid {
        let account = events[0].account_id();
        let key = StreamKey::of(Stream::Code, account);
        let events = events.into_iter().map(|event| (key.clone(), Event::Codes(event)));
        self.command(account, events.collect())
    }

    /// Appends an event of a user's password as one command of its own.
    pub(crate) fn password(&mut self, event: PasswordEvent) -> Uuid {
        let user = event.user_id();
        self.command(user, vec![(StreamKey::of(Stream::Password, user), Event::Passwords(event))])
    }
}

pub(crate) fn requested(
    account_id: Uuid,
    user_id: Option<Uuid>,
    otp_id: Uuid,
    replaces: Option<Uuid>,
) -> CodeEvent {
    let known = user_id.is_some();
    CodeEvent::OtpRequested(Box::new(OtpRequested {
        account_id,
        user_id,
        otp_id,
        identifier: if known { "ada@example.org" } else { "unknown:5eed" }.to_owned(),
        identifier_type: IdentifierType::Email,
        identifier_hash: "5eed".to_owned(),
        purpose: OtpPurpose::Login,
        otp_hash: CodeHash::new("hash"),
        max_attempts: 5,
        requested_at: day(1),
        expires_at: day(2),
        replaces,
        origin: origin("192.0.2.1"),
    }))
}

pub(crate) fn guessed(account_id: Uuid, otp_id: Uuid, attempts: u32) -> CodeEvent {
    CodeEvent::OtpAttemptFailed(OtpAttemptFailed {
        account_id,
        user_id: Some(account_id),
        otp_id,
        attempts,
        origin: origin("198.51.100.7"),
    })
}

pub(crate) fn verified(account_id: Uuid, otp_id: Uuid) -> CodeEvent {
    CodeEvent::OtpVerified(OtpVerified {
        account_id,
        user_id: Some(account_id),
        otp_id,
        verified_at: day(1),
        proof_hash: Some(TokenHash::new("proof")),
        origin: origin("192.0.2.1"),
    })
}

pub(crate) fn changed(user_id: Uuid, number: u32, hash: &str) -> PasswordEvent {
    PasswordEvent::PasswordChanged(PasswordChanged {
        user_id,
        number,
        password_hash: PasswordHash::new(hash),
        how: PasswordChange::Change,
        origin: origin("192.0.2.1"),
    })
}

pub(crate) fn rehashed(user_id: Uuid, number: u32, hash: &str) -> PasswordEvent {
    let password_hash = PasswordHash::new(hash);
    PasswordEvent::PasswordRehashed(PasswordRehashed { user_id, number, password_hash })
}

/// A user has lost the password.
pub(crate) fn reset_requested(user: Uuid, reset_id: Uuid, replaces: Option<Uuid>) -> CodeEvent {
    CodeEvent::PasswordResetRequested(Box::new(PasswordResetRequested {
        account_id: user,
        user_id: Some(user),
        reset_id,
        identifier_hash: "5eed".to_owned(),
        token_hash: TokenHash::new(format!("token {reset_id}")),
        requested_at: day(1),
        expires_at: day(2),
        replaces,
        origin: origin("192.0.2.1"),
    }))
}

pub(crate) fn reset_completed(user_id: Uuid, reset_id: Uuid) -> CodeEvent {
    let (replaces, origin) = (None, origin("192.0.2.1"));
    let completed = PasswordResetCompleted { user_id, reset_id, replaces, origin };
    CodeEvent::PasswordResetCompleted(completed)
}
