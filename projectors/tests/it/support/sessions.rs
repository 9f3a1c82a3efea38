//! Logs of who logs in, written by hand.

use echolog_events::{
    CodeHash, CredentialEvent, DateTime, DeviceType, Event, IdentifierType, JsonMap, LoginFailed,
    LoginFailure, LoginMethod, LoginSucceeded, Origin, Platform, RecoveryCode,
    RecoveryCodesGenerated, RefreshTokenReused, RevokedReason, SessionActivityRecorded,
    SessionEvent, SessionExpired, SessionRefreshed, SessionRevoked, SessionStarted, Stream,
    StreamKey, Time, TokenHash, TwoFactorBegun, TwoFactorEnabled, TwoFactorMethod, UnlockedBy,
    UserLocked, UserUnlocked, Uuid,
};

use super::{Log, id};

impl Log {
    /// Appends events of an account as one command of its own.
    pub(crate) fn account(&mut self, events: Vec<SessionEvent>) -> Uuid {
        let actor = events[0].account_id();
        let events = events.into_iter().map(keyed).collect();
        self.command(actor, events)
    }

    /// A user takes an authenticator into use.
    pub(crate) fn two_factor(&mut self, user_id: Uuid) -> Uuid {
        let factor_id = id(user_id.as_u128() << 16);
        let code = |n: u128| RecoveryCode {
            id: id((user_id.as_u128() << 16) + n),
            hash: CodeHash::new(format!("code-{n}")),
        };
        let begun = CredentialEvent::TwoFactorBegun(TwoFactorBegun {
            user_id,
            factor_id,
            salt: "salt".to_owned(),
            expires_at: day(1),
        });
        let enabled = CredentialEvent::TwoFactorEnabled(TwoFactorEnabled {
            user_id,
            method: TwoFactorMethod::Totp,
            factor_id: Some(factor_id),
            step: Some(7),
        });
        let codes = CredentialEvent::RecoveryCodesGenerated(RecoveryCodesGenerated {
            user_id,
            set_id: id((user_id.as_u128() << 16) + 99),
            codes: (1..=10).map(code).collect(),
        });
        let key = StreamKey::of(Stream::Credential, user_id);
        let events = [begun, enabled, codes].map(|it| (key.clone(), Event::Credentials(it)));
        self.command(user_id, events.into())
    }

    /// A user logs in on a device.
    pub(crate) fn log_in(&mut self, user: Uuid, session: Uuid, device: &str) {
        self.account(vec![started(user, session, device), succeeded(user, session, device)]);
    }
}

/// An event under its key.
pub(crate) fn keyed(event: SessionEvent) -> (StreamKey, Event) {
    (StreamKey::of(Stream::Session, event.account_id()), Event::Sessions(event))
}

/// Midnight of a day of 2026.
pub(crate) fn day(n: i64) -> Time {
    let start = DateTime::from_timestamp(1_767_225_600, 0).expect("2026");
    start + chrono::TimeDelta::days(n)
}

/// The id of a session's refresh token.
pub(crate) fn refresh_id(user: Uuid, session: Uuid, generation: u32) -> Uuid {
    id((user.as_u128() << 32) + (session.as_u128() << 8) + u128::from(generation))
}

fn hash(kind: &str, user: Uuid, session: Uuid, generation: u32) -> TokenHash {
    TokenHash::new(format!("{kind}-{}-{}-{generation}", user.as_u128(), session.as_u128()))
}

/// From somewhere.
pub(crate) fn origin(address: &str) -> Origin {
    let user_agent = Some(format!("agent at {address}"));
    Origin { ip_address: Some(address.parse().expect("an address")), user_agent }
}

pub(crate) fn started(user_id: Uuid, session_id: Uuid, device: &str) -> SessionEvent {
    SessionEvent::SessionStarted(Box::new(SessionStarted {
        user_id,
        session_id,
        token_hash: hash("s", user_id, session_id, 0),
        refresh_id: refresh_id(user_id, session_id, 0),
        refresh_hash: hash("r", user_id, session_id, 0),
        device_id: device.to_owned(),
        device_name: Some("Ada's".to_owned()),
        device_type: Some(DeviceType::Mobile),
        platform: Platform::Ios,
        device_fingerprint: Some("f".to_owned()),
        device_metadata: JsonMap::from_iter([("os".to_owned(), "9".into())]),
        fcm_token: Some("push".to_owned()),
        origin: origin("192.0.2.1"),
        expires_at: day(30),
    }))
}

/// The next tokens: `generation` is that of the new ones.
pub(crate) fn refreshed(user_id: Uuid, session_id: Uuid, generation: u32) -> SessionRefreshed {
    SessionRefreshed {
        user_id,
        session_id,
        token_hash: hash("s", user_id, session_id, generation),
        old_refresh_id: refresh_id(user_id, session_id, generation - 1),
        refresh_id: refresh_id(user_id, session_id, generation),
        refresh_hash: hash("r", user_id, session_id, generation),
        generation,
        refreshed_at: day(i64::from(generation)),
        expires_at: day(30 + i64::from(generation)),
        device_name: None,
        device_metadata: None,
        fcm_token: None,
        origin: Origin::default(),
    }
}

pub(crate) fn refresh(user: Uuid, session: Uuid, generation: u32) -> SessionEvent {
    SessionEvent::SessionRefreshed(Box::new(refreshed(user, session, generation)))
}

pub(crate) fn revoked(user_id: Uuid, session_id: Uuid, reason: RevokedReason) -> SessionEvent {
    let by_user_id = (reason == RevokedReason::Logout).then_some(user_id);
    SessionEvent::SessionRevoked(SessionRevoked { user_id, session_id, reason, by_user_id })
}

/// Its time was over on this day.
pub(crate) fn expired(user_id: Uuid, session_id: Uuid, on: i64) -> SessionEvent {
    let expired_at = day(on);
    SessionEvent::SessionExpired(SessionExpired { user_id, session_id, expired_at })
}

/// It was in use on this day.
pub(crate) fn active(user_id: Uuid, session_id: Uuid, on: i64) -> SessionEvent {
    let active_at = day(on);
    let active = SessionActivityRecorded { user_id, session_id, active_at };
    SessionEvent::SessionActivityRecorded(active)
}

pub(crate) fn succeeded(user_id: Uuid, session_id: Uuid, device: &str) -> SessionEvent {
    SessionEvent::LoginSucceeded(LoginSucceeded {
        user_id,
        session_id,
        identifier: format!("user{}", user_id.as_u128()),
        identifier_type: IdentifierType::Username,
        method: LoginMethod::Password,
        origin: origin("192.0.2.1"),
        device_id: device.to_owned(),
    })
}

/// An attempt on an account; without a user, under a name that nobody has.
pub(crate) fn failed(account_id: Uuid, user_id: Option<Uuid>, counts: bool) -> SessionEvent {
    let known = user_id.is_some();
    SessionEvent::LoginFailed(LoginFailed {
        account_id,
        user_id,
        identifier: if known { "ada@example.org" } else { "unknown:5eed" }.to_owned(),
        identifier_type: IdentifierType::Email,
        reason: match (known, counts) {
            (false, _) => LoginFailure::UnknownIdentifier,
            (true, true) => LoginFailure::WrongPassword,
            (true, false) => LoginFailure::Locked,
        },
        counts,
        origin: origin("2001:db8::1"),
        device_id: None,
    })
}

pub(crate) fn locked(account_id: Uuid, user_id: Option<Uuid>, locked_until: Time) -> SessionEvent {
    let failed_attempts = 5;
    SessionEvent::UserLocked(UserLocked {
        account_id,
        user_id,
        locked_until,
        failed_attempts,
        origin: Origin::default(),
    })
}

pub(crate) fn unlocked(user_id: Uuid, by: UnlockedBy) -> SessionEvent {
    SessionEvent::UserUnlocked(UserUnlocked { user_id, by, by_user_id: None })
}

/// A refresh token of long ago is shown.
pub(crate) fn reused(user_id: Uuid, session_id: Uuid, generation: u32) -> SessionEvent {
    SessionEvent::RefreshTokenReused(RefreshTokenReused {
        user_id,
        session_id,
        generation,
        origin: origin("198.51.100.7"),
    })
}
