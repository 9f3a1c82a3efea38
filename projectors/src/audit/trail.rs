//! Table `audit.auth_events`: which event is one of authentication, and what it says.

use std::net::IpAddr;

use echolog_events::{
    AccountEvent, AuthEvent, Body, CodeEvent, CredentialEvent, DeviceType, Event, LoginFailed,
    LoginSucceeded, Origin, PasswordEvent, Recorded, SessionEvent, SessionRevoked, SessionStarted,
    UserRegistered, Uuid,
};
use serde_json::{Value, json};

use crate::rows::Rows;
use crate::{ids, times};

/// Of `auth_events`.
pub(super) const COLUMNS: &str = "id uuid, user_id uuid, event_type text, success boolean,
    identifier text, session_id uuid, ip_address inet, user_agent text, details jsonb,
    created_at timestamptz, updated_at timestamptz";

/// What a row says.
struct Entry<'a> {
    user: Option<Uuid>,
    success: bool,
    identifier: Option<&'a str>,
    /// The session that it is about.
    session: Option<Uuid>,
    ip_address: Option<IpAddr>,
    user_agent: Option<&'a str>,
    details: Value,
}

/// Adds an event to the trail, if it is one of authentication.
pub(super) fn put(event: &Recorded, rows: &mut Rows) {
    let Body::Known(known) = &event.body else { return };
    let entry = match known {
        Event::Auth(AuthEvent::UserRegistered(e)) => Some(registered(e)),
        Event::Accounts(e) => account(e),
        Event::Sessions(e) => session(e),
        Event::Credentials(e) => credential(e),
        Event::Codes(e) => Some(code(e)),
        Event::Passwords(PasswordEvent::PasswordChanged(e)) => Some(
            Entry::of(Some(e.user_id), json!({ "how": e.how.name() })).from(&e.origin),
        ),
        Event::Auth(
            AuthEvent::IdentifierClaimed(_)
            | AuthEvent::IdentifierReleased(_)
            | AuthEvent::AdminRosterChanged(_),
        )
        // The same password, by somebody who has logged in: that is told.
        | Event::Passwords(PasswordEvent::PasswordRehashed(_))
        | Event::Users(_)
        | Event::Audit(_)
        | Event::Messages(_)
        | Event::System(_) => None,
    };
    let Some(entry) = entry else { return };
    let meta = &event.meta;
    rows.row(&[
        &ids::of_event(meta.event_id, 0),
        &entry.user,
        &known.event_type().short(),
        &entry.success,
        &entry.identifier,
        &entry.session.or(meta.session_id),
        &entry.ip_address,
        &entry.user_agent,
        &entry.details,
        &meta.time,
        &meta.time,
    ]);
}

impl<'a> Entry<'a> {
    fn of(user: Option<Uuid>, details: Value) -> Self {
        Self {
            user,
            success: true,
            identifier: None,
            session: None,
            ip_address: None,
            user_agent: None,
            details,
        }
    }

    fn about(self, session: Uuid) -> Self {
        Self { session: Some(session), ..self }
    }

    fn under(self, identifier: &'a str) -> Self {
        Self { identifier: Some(identifier), ..self }
    }

    fn from(self, origin: &'a Origin) -> Self {
        let Origin { ip_address, user_agent } = origin;
        Self { ip_address: *ip_address, user_agent: user_agent.as_deref(), ..self }
    }

    fn refused(self) -> Self {
        Self { success: false, ..self }
    }
}

fn registered(e: &UserRegistered) -> Entry<'_> {
    let identifier = e.username.as_ref().or(e.email.as_ref()).or(e.phone_number.as_ref());
    Entry { identifier: identifier.map(String::as_str), ..Entry::of(Some(e.user_id), json!({})) }
}

fn account(event: &AccountEvent) -> Option<Entry<'_>> {
    let user = event.user_id();
    let entry = |identifier| Entry::of(Some(user), json!({})).under(identifier);
    match event {
        AccountEvent::EmailChanged(e) => Some(entry(&e.email).from(&e.origin)),
        AccountEvent::PhoneChanged(e) => Some(entry(&e.phone_number).from(&e.origin)),
        AccountEvent::EmailVerified(e) => Some(entry(&e.email)),
        AccountEvent::PhoneVerified(e) => Some(entry(&e.phone_number)),
        // What others do about an account is for its owner in `auth.security_events`, and for others in
        // `admin_actions`.
        AccountEvent::UserSuspended(_)
        | AccountEvent::UserBanned(_)
        | AccountEvent::UserReinstated(_)
        | AccountEvent::UserRoleChanged(_)
        | AccountEvent::UserDeleted(_) => None,
    }
}

fn session(event: &SessionEvent) -> Option<Entry<'_>> {
    match event {
        SessionEvent::LoginSucceeded(e) => Some(succeeded(e)),
        SessionEvent::LoginFailed(e) => Some(failed(e)),
        SessionEvent::UserLocked(e) => {
            let details = json!({
                "locked_until": times::json(e.locked_until), "failed_attempts": e.failed_attempts,
            });
            Some(Entry::of(e.user_id, details).from(&e.origin))
        }
        SessionEvent::UserUnlocked(e) => {
            let details = json!({ "by": e.by.name(), "by_user_id": e.by_user_id });
            Some(Entry::of(Some(e.user_id), details))
        }
        SessionEvent::SessionStarted(e) => Some(started(e)),
        SessionEvent::RefreshTokenReused(e) => Some(
            Entry::of(Some(e.user_id), json!({ "generation": e.generation }))
                .about(e.session_id)
                .from(&e.origin)
                .refused(),
        ),
        SessionEvent::SessionRevoked(e) => Some(revoked(e)),
        // Time and again for each session; the row of the session and its tokens say it.
        SessionEvent::SessionRefreshed(_)
        | SessionEvent::SessionActivityRecorded(_)
        | SessionEvent::SessionExpired(_)
        | SessionEvent::RetentionApplied(_) => None,
    }
}

fn credential(event: &CredentialEvent) -> Option<Entry<'_>> {
    match event {
        CredentialEvent::TwoFactorEnabled(e) => {
            Some(Entry::of(Some(e.user_id), json!({ "method": e.method.name() })))
        }
        CredentialEvent::TwoFactorDisabled(e) => {
            let details = json!({ "by_user_id": e.by_user_id, "reason": e.reason });
            Some(Entry::of(Some(e.user_id), details))
        }
        // What comes of showing a code says its own event; the rest is among the security events.
        CredentialEvent::TwoFactorBegun(_)
        | CredentialEvent::TotpUsed(_)
        | CredentialEvent::RecoveryCodesGenerated(_)
        | CredentialEvent::RecoveryCodeUsed(_)
        | CredentialEvent::ApiKeyCreated(_)
        | CredentialEvent::ApiKeyUsed(_)
        | CredentialEvent::ApiKeyRevoked(_)
        | CredentialEvent::OauthProviderLinked(_)
        | CredentialEvent::OauthProviderUnlinked(_)
        | CredentialEvent::OauthTokenRefreshed(_) => None,
    }
}

fn code(event: &CodeEvent) -> Entry<'_> {
    match event {
        CodeEvent::OtpRequested(e) => {
            let details = json!({
                "otp_id": e.otp_id, "identifier_type": e.identifier_type.name(),
                "purpose": e.purpose.name(), "expires_at": times::json(e.expires_at),
            });
            Entry::of(e.user_id, details).under(&e.identifier).from(&e.origin)
        }
        CodeEvent::OtpVerified(e) => {
            Entry::of(e.user_id, json!({ "otp_id": e.otp_id })).from(&e.origin)
        }
        CodeEvent::OtpAttemptFailed(e) => {
            let details = json!({ "otp_id": e.otp_id, "attempts": e.attempts });
            Entry::of(e.user_id, details).from(&e.origin).refused()
        }
        CodeEvent::PasswordResetRequested(e) => {
            Entry::of(e.user_id, json!({ "reset_id": e.reset_id })).from(&e.origin)
        }
        CodeEvent::PasswordResetCompleted(e) => {
            Entry::of(Some(e.user_id), json!({ "reset_id": e.reset_id })).from(&e.origin)
        }
    }
}

fn succeeded(e: &LoginSucceeded) -> Entry<'_> {
    let details = json!({
        "identifier_type": e.identifier_type.name(), "method": e.method.name(),
        "device_id": e.device_id,
    });
    Entry::of(Some(e.user_id), details).about(e.session_id).under(&e.identifier).from(&e.origin)
}

fn failed(e: &LoginFailed) -> Entry<'_> {
    let details = json!({
        "identifier_type": e.identifier_type.name(), "reason": e.reason.name(),
        "counts": e.counts, "device_id": e.device_id,
    });
    Entry::of(e.user_id, details).under(&e.identifier).from(&e.origin).refused()
}

fn started(e: &SessionStarted) -> Entry<'_> {
    let details = json!({
        "device_id": e.device_id, "device_name": e.device_name,
        "device_type": e.device_type.map(DeviceType::name), "platform": e.platform.name(),
        "expires_at": times::json(e.expires_at),
    });
    Entry::of(Some(e.user_id), details).about(e.session_id).from(&e.origin)
}

fn revoked(e: &SessionRevoked) -> Entry<'_> {
    let details = json!({ "reason": e.reason.name(), "by_user_id": e.by_user_id });
    Entry::of(Some(e.user_id), details).about(e.session_id)
}
