//! One-time codes. What becomes of one that was forgotten, nobody is told.

use echolog_events::{CodeEvent, Origin, Recorded, Time, Uuid};
use serde_json::{Value, json};

use super::super::{at, micros};
use super::People;
use super::sessions::{Entry, time_of};

impl People {
    pub(in super::super) fn see_code(&mut self, event: &Recorded, known: &CodeEvent) {
        let time = at(event.meta.time);
        match known {
            CodeEvent::OtpRequested(e) => {
                let replaced = e.replaces.map(|replaced| (e.account_id, replaced));
                if let Some(row) = replaced.and_then(|key| self.codes.get_mut(&key)) {
                    end(row, event.meta.time);
                    row["updated_at"] = time.clone();
                }
                let row = json!({
                    "id": e.otp_id, "account_id": e.account_id, "user_id": e.user_id,
                    "identifier": e.identifier, "identifier_type": e.identifier_type,
                    "otp_code": null, "otp_hash": e.otp_hash, "purpose": e.purpose,
                    "attempts": 0, "max_attempts": e.max_attempts, "verified": false,
                    "verified_at": null, "expires_at": at(e.expires_at), "created_at": time,
                    "updated_at": time,
                });
                self.codes.insert((e.account_id, e.otp_id), row);
                let details = json!({
                    "otp_id": e.otp_id, "identifier_type": e.identifier_type,
                    "purpose": e.purpose, "expires_at": micros(&at(e.expires_at)),
                });
                let entry = told(e.user_id, true, &e.origin, details);
                let entry = Entry { identifier: json!(e.identifier), ..entry };
                self.enter(event, "otp_requested", entry);
            }
            CodeEvent::OtpVerified(e) => {
                if let Some(row) = self.codes.get_mut(&(e.account_id, e.otp_id)) {
                    row["verified"] = json!(true);
                    row["verified_at"] = at(e.verified_at);
                    row["updated_at"] = time;
                }
                let entry = told(e.user_id, true, &e.origin, json!({ "otp_id": e.otp_id }));
                self.enter(event, "otp_verified", entry);
            }
            CodeEvent::OtpAttemptFailed(e) => {
                if let Some(row) = self.codes.get_mut(&(e.account_id, e.otp_id)) {
                    row["attempts"] = json!(e.attempts);
                    row["updated_at"] = time;
                }
                let details = json!({ "otp_id": e.otp_id, "attempts": e.attempts });
                self.enter(event, "otp_attempt_failed", told(e.user_id, false, &e.origin, details));
            }
            CodeEvent::PasswordResetRequested(e) => {
                let details = json!({ "reset_id": e.reset_id });
                if let Some(user) = e.user_id {
                    let replaced = e.replaces.map(|replaced| (user, replaced));
                    if let Some(row) = replaced.and_then(|key| self.resets.get_mut(&key)) {
                        end(row, event.meta.time);
                        row["updated_at"] = time.clone();
                    }
                    let row = json!({
                        "id": e.reset_id, "user_id": user, "token_hash": e.token_hash,
                        "expires_at": at(e.expires_at), "used_at": null, "created_at": time,
                        "updated_at": time,
                    });
                    self.resets.insert((user, e.reset_id), row);
                    self.security(event, user, None, "info", &e.origin, &details);
                }
                let entry = told(e.user_id, true, &e.origin, details);
                self.enter(event, "password_reset_requested", entry);
            }
            CodeEvent::PasswordResetCompleted(e) => {
                let replaced = e.replaces.and_then(|it| self.resets.get_mut(&(e.user_id, it)));
                if let Some(row) = replaced {
                    end(row, event.meta.time);
                    row["updated_at"] = time.clone();
                }
                // Or a code has done it.
                if let Some(row) = self.resets.get_mut(&(e.user_id, e.reset_id)) {
                    row["used_at"] = time.clone();
                    row["updated_at"] = time;
                }
                let details = json!({ "reset_id": e.reset_id });
                self.security(event, e.user_id, None, "warning", &e.origin, &details);
                let entry = told(Some(e.user_id), true, &e.origin, details);
                self.enter(event, "password_reset_completed", entry);
            }
        }
    }
}

/// Another took its place, unless it had ended by itself.
fn end(row: &mut Value, now: Time) {
    row["expires_at"] = at(time_of(&row["expires_at"]).min(now));
}

fn told(user: Option<Uuid>, success: bool, origin: &Origin, details: Value) -> Entry {
    Entry { success, origin: origin.clone(), ..Entry::of(user, details) }
}
