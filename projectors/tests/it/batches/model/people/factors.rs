//! Second factors.

use echolog_events::{CredentialEvent, Origin, Recorded, TwoFactorMethod, Uuid};
use serde_json::{Value, json};

use super::super::at;
use super::People;
use super::sessions::Entry;

/// The rows, in the order in which they were made.
#[derive(Default)]
pub(super) struct Factors {
    pub(super) factors: Vec<Value>,
    pub(super) codes: Vec<Value>,
}

impl People {
    pub(in super::super) fn see_credential(&mut self, event: &Recorded, known: &CredentialEvent) {
        let time = at(event.meta.time);
        let user = known.user_id();
        match known {
            CredentialEvent::TwoFactorBegun(e) => {
                self.end_factors(event, user);
                self.factors.factors.push(json!({
                    "id": e.factor_id, "user_id": user, "kind": "totp", "status": "pending",
                    "last_step": null, "last_used_at": null, "verified_at": null,
                    "revoked_at": null, "expires_at": at(e.expires_at), "created_at": time,
                    "updated_at": time,
                }));
            }
            CredentialEvent::TwoFactorEnabled(e) => {
                self.set_second_factor(event, user, Some(e.method));
                if e.method != TwoFactorMethod::Totp {
                    self.end_factors(event, user);
                    self.factors.factors.push(json!({
                        "id": e.factor_id, "user_id": user, "kind": e.method, "status": "active",
                        "last_step": null, "last_used_at": null, "verified_at": null,
                        "revoked_at": null, "expires_at": null, "created_at": time,
                        "updated_at": time,
                    }));
                }
                let changes = json!({
                    "status": "active", "verified_at": time, "last_used_at": time,
                    "last_step": e.step, "updated_at": time,
                });
                change(&mut self.factors.factors, (e.factor_id, user), &changes);
                let details = json!({ "method": e.method });
                self.tell(event, user, "warning", &details);
                self.enter(event, "two_factor_enabled", Entry::of(Some(user), details));
            }
            CredentialEvent::TwoFactorDisabled(e) => {
                self.set_second_factor(event, user, None);
                self.end_factors(event, user);
                self.end_codes(event, user);
                let details = json!({ "by_user_id": e.by_user_id, "reason": e.reason });
                self.tell(event, user, "critical", &details);
                self.enter(event, "two_factor_disabled", Entry::of(Some(user), details));
            }
            CredentialEvent::TotpUsed(e) => {
                let changes =
                    json!({ "last_step": e.step, "last_used_at": time, "updated_at": time });
                change(&mut self.factors.factors, (e.factor_id.into(), user), &changes);
            }
            CredentialEvent::RecoveryCodesGenerated(e) => {
                self.end_codes(event, user);
                for code in &e.codes {
                    self.factors.codes.push(json!({
                        "id": code.id, "user_id": user, "set_id": e.set_id, "code_hash": code.hash,
                        "used_at": null, "revoked_at": null, "created_at": time,
                        "updated_at": time,
                    }));
                }
                self.tell(event, user, "info", &json!({}));
            }
            CredentialEvent::RecoveryCodeUsed(e) => {
                let changes = json!({ "used_at": time, "updated_at": time });
                change(&mut self.factors.codes, (Some(e.code_id), user), &changes);
                self.tell(event, user, "warning", &json!({}));
            }
            CredentialEvent::ApiKeyCreated(e) => self.key_created(event, e),
            CredentialEvent::ApiKeyUsed(e) => self.key_used(event, e),
            CredentialEvent::ApiKeyRevoked(e) => self.key_revoked(event, e),
            CredentialEvent::OauthProviderLinked(e) => self.linked(event, e),
            CredentialEvent::OauthProviderUnlinked(e) => self.unlinked(event, e),
            CredentialEvent::OauthTokenRefreshed(e) => self.token_refreshed(event, e),
        }
    }

    fn tell(&mut self, event: &Recorded, user: Uuid, severity: &str, metadata: &Value) {
        self.security(event, user, None, severity, &Origin::default(), metadata);
    }

    fn end_factors(&mut self, event: &Recorded, user: Uuid) {
        let time = at(event.meta.time);
        for row in &mut self.factors.factors {
            if row["user_id"] == json!(user) && row["revoked_at"].is_null() {
                row["status"] = json!("revoked");
                row["revoked_at"] = time.clone();
                row["updated_at"] = time.clone();
            }
        }
    }

    fn end_codes(&mut self, event: &Recorded, user: Uuid) {
        let time = at(event.meta.time);
        for row in &mut self.factors.codes {
            let live = row["used_at"].is_null() && row["revoked_at"].is_null();
            if row["user_id"] == json!(user) && live {
                row["revoked_at"] = time.clone();
                row["updated_at"] = time.clone();
            }
        }
    }
}

fn change(rows: &mut [Value], (id, user): (Option<Uuid>, Uuid), changes: &Value) {
    let is_it = |row: &&mut Value| row["id"] == json!(id) && row["user_id"] == json!(user);
    let row = rows.iter_mut().find(is_it).expect("a row");
    for (name, value) in changes.as_object().expect("fields") {
        row[name] = value.clone();
    }
}
