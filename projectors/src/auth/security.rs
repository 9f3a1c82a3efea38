//! Table `auth.security_events`: what the owner of an account ought to hear of.

use echolog_events::{
    AccountEvent, CredentialEvent, Meta, Origin, PasswordChanged, PasswordResetCompleted,
    PasswordResetRequested, Recorded, RefreshTokenReused, UserBlocked, UserLocked, UserUnlocked,
    Uuid,
};
use serde_json::{Value, json};

use super::users::role;
use crate::rows::Rows;
use crate::{ids, times};

/// Of `security_events`.
pub(super) const COLUMNS: &str = "id uuid, user_id uuid, session_id uuid, event_type text,
    severity text, ip_address inet, user_agent text, metadata jsonb, created_at timestamptz,
    updated_at timestamptz";

/// A number that tells these rows from others of one event; part of their ids, so it never changes.
const ORDINAL: u8 = 1;

/// What a row says.
struct Notice<'a> {
    user: Uuid,
    session: Option<Uuid>,
    name: &'a str,
    severity: &'a str,
    origin: &'a Origin,
    metadata: Value,
}

pub(super) fn locked(meta: &Meta, user: Uuid, event: &UserLocked, rows: &mut Rows) {
    let notice = Notice {
        user,
        session: meta.session_id,
        name: "user_locked",
        severity: "warning",
        origin: &event.origin,
        metadata: json!({
            "locked_until": times::json(event.locked_until),
            "failed_attempts": event.failed_attempts,
        }),
    };
    notice.put(meta, rows);
}

pub(super) fn unlocked(meta: &Meta, event: &UserUnlocked, rows: &mut Rows) {
    let notice = Notice {
        user: event.user_id,
        session: meta.session_id,
        name: "user_unlocked",
        severity: "info",
        origin: &Origin::default(),
        metadata: json!({ "by": event.by.name(), "by_user_id": event.by_user_id }),
    };
    notice.put(meta, rows);
}

pub(super) fn reused(meta: &Meta, event: &RefreshTokenReused, rows: &mut Rows) {
    let notice = Notice {
        user: event.user_id,
        session: Some(event.session_id),
        name: "refresh_token_reused",
        severity: "critical",
        origin: &event.origin,
        metadata: json!({ "generation": event.generation }),
    };
    notice.put(meta, rows);
}

pub(super) fn account(meta: &Meta, event: &AccountEvent, rows: &mut Rows) {
    let mut origin = Origin::default();
    let (name, severity, metadata) = match event {
        AccountEvent::UserSuspended(e) => {
            let until = e.until.map(times::json);
            let metadata =
                json!({ "reason": e.reason, "until": until, "by_user_id": e.by_user_id });
            ("user_suspended", "critical", metadata)
        }
        AccountEvent::UserBanned(e) => {
            let metadata = json!({ "reason": e.reason, "by_user_id": e.by_user_id });
            ("user_banned", "critical", metadata)
        }
        AccountEvent::UserReinstated(e) => {
            ("user_reinstated", "info", json!({ "by_user_id": e.by_user_id }))
        }
        AccountEvent::UserRoleChanged(e) => {
            let metadata = json!({
                "old_role": role(e.old_role), "new_role": role(e.new_role),
                "by_user_id": e.by_user_id,
            });
            ("user_role_changed", "warning", metadata)
        }
        AccountEvent::EmailChanged(e) => {
            origin = e.origin.clone();
            ("email_changed", "warning", json!({ "email": e.email }))
        }
        AccountEvent::PhoneChanged(e) => {
            origin = e.origin.clone();
            ("phone_changed", "warning", json!({ "phone_number": e.phone_number }))
        }
        // Nobody is left to tell.
        AccountEvent::UserDeleted(_)
        // By its owner, who knows.
        | AccountEvent::EmailVerified(_)
        | AccountEvent::PhoneVerified(_) => return,
    };
    let (user, session, origin) = (event.user_id(), meta.session_id, &origin);
    Notice { user, session, name, severity, origin, metadata }.put(meta, rows);
}

pub(super) fn blocked(meta: &Meta, event: &UserBlocked, rows: &mut Rows) {
    let notice = Notice {
        user: event.user_id,
        session: meta.session_id,
        name: "user_blocked",
        severity: "info",
        origin: &Origin::default(),
        metadata: json!({ "blocked_user_id": event.blocked_user_id }),
    };
    notice.put(meta, rows);
}

pub(super) fn credential(event: &Recorded, known: &CredentialEvent, rows: &mut Rows) {
    let (severity, metadata) = match known {
        CredentialEvent::TwoFactorEnabled(e) => ("warning", json!({ "method": e.method.name() })),
        CredentialEvent::TwoFactorDisabled(e) => {
            ("critical", json!({ "by_user_id": e.by_user_id, "reason": e.reason }))
        }
        CredentialEvent::RecoveryCodesGenerated(_) => ("info", json!({})),
        CredentialEvent::RecoveryCodeUsed(_) => ("warning", json!({})),
        CredentialEvent::ApiKeyCreated(e) => {
            let metadata = json!({
                "api_key_id": e.api_key_id, "name": e.name, "key_prefix": e.key_prefix,
                "scopes": e.scopes, "expires_at": e.expires_at.map(times::json),
            });
            ("warning", metadata)
        }
        CredentialEvent::ApiKeyRevoked(e) => {
            ("info", json!({ "api_key_id": e.api_key_id, "by_user_id": e.by_user_id }))
        }
        CredentialEvent::OauthProviderLinked(e) => {
            let metadata = json!({
                "link_id": e.link_id, "provider": e.provider.name(),
                "provider_email": e.provider_email,
            });
            ("warning", metadata)
        }
        CredentialEvent::OauthProviderUnlinked(e) => {
            let metadata = json!({
                "link_id": e.link_id, "provider": e.provider.name(), "by_user_id": e.by_user_id,
            });
            ("warning", metadata)
        }
        CredentialEvent::TwoFactorBegun(_)
        | CredentialEvent::TotpUsed(_)
        | CredentialEvent::ApiKeyUsed(_)
        | CredentialEvent::OauthTokenRefreshed(_) => return,
    };
    let notice = Notice {
        user: known.user_id(),
        session: event.meta.session_id,
        name: event.short_name(),
        severity,
        origin: &Origin::default(),
        metadata,
    };
    notice.put(&event.meta, rows);
}

pub(super) fn password_changed(meta: &Meta, event: &PasswordChanged, rows: &mut Rows) {
    let notice = Notice {
        user: event.user_id,
        session: meta.session_id,
        name: "password_changed",
        severity: "warning",
        origin: &event.origin,
        metadata: json!({ "how": event.how.name() }),
    };
    notice.put(meta, rows);
}

pub(super) fn reset_requested(
    meta: &Meta,
    user: Uuid,
    event: &PasswordResetRequested,
    rows: &mut Rows,
) {
    let notice = Notice {
        user,
        session: meta.session_id,
        name: "password_reset_requested",
        severity: "info",
        origin: &event.origin,
        metadata: json!({ "reset_id": event.reset_id }),
    };
    notice.put(meta, rows);
}

pub(super) fn reset_completed(meta: &Meta, event: &PasswordResetCompleted, rows: &mut Rows) {
    let notice = Notice {
        user: event.user_id,
        session: meta.session_id,
        name: "password_reset_completed",
        severity: "warning",
        origin: &event.origin,
        metadata: json!({ "reset_id": event.reset_id }),
    };
    notice.put(meta, rows);
}

impl Notice<'_> {
    fn put(&self, meta: &Meta, rows: &mut Rows) {
        rows.row(&[
            &ids::of_event(meta.event_id, ORDINAL),
            &self.user,
            &self.session,
            &self.name,
            &self.severity,
            &self.origin.ip_address,
            &self.origin.user_agent,
            &self.metadata,
            &meta.time,
            &meta.time,
        ]);
    }
}
