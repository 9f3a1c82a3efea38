//! Who logs in, and what becomes of sessions.

use std::collections::BTreeMap;

use echolog_events::{
    LoginFailed, LoginSucceeded, Origin, PasswordEvent, Recorded, RetentionApplied, SessionEvent,
    SessionRefreshed, SessionStarted, Time, UserLocked, Uuid,
};
use serde_json::{Value, json};

use super::super::{at, id_of_event, micros};
use super::People;

/// The rows, as they are.
#[derive(Default)]
pub(super) struct Sessions {
    pub(super) sessions: BTreeMap<(Uuid, Uuid), Value>,
    /// In the order in which they were made.
    pub(super) tokens: Vec<Value>,
    pub(super) history: Vec<Value>,
    pub(super) security: Vec<Value>,
}

/// What the trail says of an event.
pub(super) struct Entry {
    pub(super) user: Option<Uuid>,
    pub(super) success: bool,
    pub(super) identifier: Value,
    pub(super) session: Option<Uuid>,
    pub(super) origin: Origin,
    pub(super) details: Value,
}

impl People {
    pub(in super::super) fn see_session(&mut self, event: &Recorded, known: &SessionEvent) {
        let time = event.meta.time;
        match known {
            SessionEvent::LoginSucceeded(e) => {
                let person = self.person(e.user_id);
                person.failed = 0;
                person.last_login_at = Some(time);
                person.changed_at = time;
                self.succeeded(event, e);
            }
            SessionEvent::LoginFailed(e) => {
                if let Some(user) = e.user_id.filter(|_| e.counts) {
                    let person = self.person(user);
                    person.failed += 1;
                    person.changed_at = time;
                }
                self.failed(event, e);
            }
            SessionEvent::UserLocked(e) => {
                if let Some(user) = e.user_id {
                    let person = self.person(user);
                    person.locked_until = Some(e.locked_until);
                    person.was_locked = true;
                    person.changed_at = time;
                }
                self.locked(event, e);
            }
            SessionEvent::UserUnlocked(e) => {
                let person = self.person(e.user_id);
                person.locked_until = None;
                person.failed = 0;
                person.changed_at = time;
                let details = json!({ "by": e.by, "by_user_id": e.by_user_id });
                self.security(event, e.user_id, None, "info", &Origin::default(), &details);
                self.enter(event, "user_unlocked", Entry::of(Some(e.user_id), details));
            }
            SessionEvent::SessionStarted(e) => {
                let person = self.person(e.user_id);
                person.last_seen = person.last_seen.max(time);
                self.started(event, e);
            }
            SessionEvent::SessionRefreshed(e) => self.refreshed(event, e),
            SessionEvent::RefreshTokenReused(e) => {
                let details = json!({ "generation": e.generation });
                let session = Some(e.session_id);
                self.security(event, e.user_id, session, "critical", &e.origin, &details);
                let entry = Entry {
                    success: false,
                    session,
                    origin: e.origin.clone(),
                    ..Entry::of(Some(e.user_id), details)
                };
                self.enter(event, "refresh_token_reused", entry);
            }
            SessionEvent::SessionRevoked(e) => {
                let (time, reason) = (at(event.meta.time), json!(e.reason));
                self.ended(event, (e.user_id, e.session_id), time, reason);
                let details = json!({ "reason": e.reason, "by_user_id": e.by_user_id });
                let session = Some(e.session_id);
                let entry = Entry { session, ..Entry::of(Some(e.user_id), details) };
                self.enter(event, "session_revoked", entry);
            }
            SessionEvent::SessionExpired(e) => {
                let session = (e.user_id, e.session_id);
                self.ended(event, session, at(e.expired_at), json!("expired"));
            }
            SessionEvent::SessionActivityRecorded(e) => {
                let row = self.sessions.sessions.get_mut(&(e.user_id, e.session_id));
                let row = row.expect("a session");
                row["last_activity_at"] = at(e.active_at);
                row["updated_at"] = at(time);
                let person = self.person(e.user_id);
                person.last_seen = person.last_seen.max(e.active_at);
            }
            SessionEvent::RetentionApplied(e) => self.forget(e),
        }
    }

    fn forget(&mut self, e: &RetentionApplied) {
        let account = json!(e.account_id);
        let older = |row: &Value, column: &str, before| time_of(&row[column]) < before;
        let sessions = &mut self.sessions;
        let is_gone = |row: &Value| {
            row["user_id"] == account
                && !row["revoked_at"].is_null()
                && older(row, "expires_at", e.sessions_before)
        };
        let gone: Vec<Uuid> = sessions
            .sessions
            .iter()
            .filter(|(_, row)| is_gone(row))
            .map(|(key, _)| key.1)
            .collect();
        sessions.sessions.retain(|_, row| !is_gone(row));
        sessions.tokens.retain(|it| gone.iter().all(|id| !is_of(it, e.account_id, *id)));
        let stays = |row: &Value| !older(row, "created_at", e.codes_before);
        self.codes.retain(|(of, _), row| *of != e.account_id || stays(row));
        self.resets.retain(|(of, _), row| *of != e.account_id || stays(row));
    }

    pub(in super::super) fn see_password(&mut self, event: &Recorded, known: &PasswordEvent) {
        let user = known.user_id();
        let person = self.person(user);
        person.account.password_hash = Some(known.password_hash().clone());
        person.changed_at = event.meta.time;
        let PasswordEvent::PasswordChanged(e) = known else { return };
        person.password_changed_at = Some(event.meta.time);
        person.failed = 0;
        let details = json!({ "how": e.how });
        self.security(event, user, None, "warning", &e.origin, &details);
        let entry = Entry { origin: e.origin.clone(), ..Entry::of(Some(user), details) };
        self.enter(event, "password_changed", entry);
    }

    fn succeeded(&mut self, event: &Recorded, e: &LoginSucceeded) {
        let time = at(event.meta.time);
        self.sessions.history.push(json!({
            "id": id_of_event(event, 0), "user_id": e.user_id, "identifier": e.identifier,
            "identifier_type": e.identifier_type, "success": true, "failure_reason": null,
            "ip_address": e.origin.ip_address, "user_agent": e.origin.user_agent,
            "device_id": e.device_id, "location": null, "created_at": time, "updated_at": time,
        }));
        let details = json!({
            "identifier_type": e.identifier_type, "method": e.method, "device_id": e.device_id,
        });
        let entry = Entry {
            identifier: json!(e.identifier),
            session: Some(e.session_id),
            origin: e.origin.clone(),
            ..Entry::of(Some(e.user_id), details)
        };
        self.enter(event, "login_succeeded", entry);
    }

    fn failed(&mut self, event: &Recorded, e: &LoginFailed) {
        let time = at(event.meta.time);
        self.sessions.history.push(json!({
            "id": id_of_event(event, 0), "user_id": e.user_id, "identifier": e.identifier,
            "identifier_type": e.identifier_type, "success": false, "failure_reason": e.reason,
            "ip_address": e.origin.ip_address, "user_agent": e.origin.user_agent,
            "device_id": e.device_id, "location": null, "created_at": time, "updated_at": time,
        }));
        let details = json!({
            "identifier_type": e.identifier_type, "reason": e.reason, "counts": e.counts,
            "device_id": e.device_id,
        });
        let entry = Entry {
            success: false,
            identifier: json!(e.identifier),
            origin: e.origin.clone(),
            ..Entry::of(e.user_id, details)
        };
        self.enter(event, "login_failed", entry);
    }

    fn locked(&mut self, event: &Recorded, e: &UserLocked) {
        let details = json!({
            "locked_until": micros(&at(e.locked_until)), "failed_attempts": e.failed_attempts,
        });
        if let Some(user) = e.user_id {
            self.security(event, user, None, "warning", &e.origin, &details);
        }
        let entry = Entry { origin: e.origin.clone(), ..Entry::of(e.user_id, details) };
        self.enter(event, "user_locked", entry);
    }

    fn started(&mut self, event: &Recorded, e: &SessionStarted) {
        let (time, expires_at) = (at(event.meta.time), at(e.expires_at));
        let row = json!({
            "id": e.session_id, "user_id": e.user_id, "session_token": e.token_hash,
            "refresh_token": e.refresh_hash, "device_id": e.device_id,
            "device_name": e.device_name, "device_type": e.device_type, "platform": e.platform,
            "device_fingerprint": e.device_fingerprint, "device_metadata": e.device_metadata,
            "ip_address": e.origin.ip_address, "user_agent": e.origin.user_agent,
            "location": null, "fcm_token": e.fcm_token, "expires_at": expires_at,
            "last_activity_at": time, "revoked_at": null, "revoked_reason": null,
            "created_at": time, "updated_at": time,
        });
        self.sessions.sessions.insert((e.user_id, e.session_id), row);
        self.sessions.tokens.push(json!({
            "id": e.refresh_id, "user_id": e.user_id, "session_id": e.session_id,
            "token": e.refresh_hash, "device_id": e.device_id, "expires_at": expires_at,
            "revoked": false, "revoked_at": null, "replaced_by_id": null, "created_at": time,
            "updated_at": time,
        }));
        let details = json!({
            "device_id": e.device_id, "device_name": e.device_name, "device_type": e.device_type,
            "platform": e.platform, "expires_at": micros(&expires_at),
        });
        let entry = Entry {
            session: Some(e.session_id),
            origin: e.origin.clone(),
            ..Entry::of(Some(e.user_id), details)
        };
        self.enter(event, "session_started", entry);
    }

    fn refreshed(&mut self, event: &Recorded, e: &SessionRefreshed) {
        let (time, expires_at) = (at(event.meta.time), at(e.expires_at));
        let sessions = &mut self.sessions;
        let row = sessions.sessions.get_mut(&(e.user_id, e.session_id)).expect("a session");
        let given = json!({
            "session_token": e.token_hash, "refresh_token": e.refresh_hash,
            "device_name": e.device_name, "device_metadata": e.device_metadata,
            "fcm_token": e.fcm_token, "ip_address": e.origin.ip_address,
            "user_agent": e.origin.user_agent, "expires_at": expires_at,
            "last_activity_at": time, "updated_at": time,
        });
        for (name, value) in given.as_object().expect("fields") {
            if !value.is_null() {
                row[name] = value.clone();
            }
        }
        let device_id = row["device_id"].clone();
        for token in &mut sessions.tokens {
            let live = is_of(token, e.user_id, e.session_id) && token["revoked"] == json!(false);
            if live || token["id"] == json!(e.old_refresh_id) {
                token["replaced_by_id"] = json!(e.refresh_id);
                token["updated_at"] = time.clone();
            }
            if live {
                token["revoked"] = json!(true);
                token["revoked_at"] = time.clone();
            }
        }
        sessions.tokens.push(json!({
            "id": e.refresh_id, "user_id": e.user_id, "session_id": e.session_id,
            "token": e.refresh_hash, "device_id": device_id, "expires_at": expires_at,
            "revoked": false, "revoked_at": null, "replaced_by_id": null, "created_at": time,
            "updated_at": time,
        }));
    }

    fn ended(&mut self, event: &Recorded, (user, session): (Uuid, Uuid), since: Value, why: Value) {
        let time = at(event.meta.time);
        let sessions = &mut self.sessions;
        let row = sessions.sessions.get_mut(&(user, session)).expect("a session");
        row["revoked_at"] = since;
        row["revoked_reason"] = why;
        row["updated_at"] = time.clone();
        for token in &mut sessions.tokens {
            if is_of(token, user, session) && token["revoked"] == json!(false) {
                token["revoked"] = json!(true);
                token["revoked_at"] = time.clone();
                token["updated_at"] = time.clone();
            }
        }
    }

    pub(super) fn security(
        &mut self,
        event: &Recorded,
        user: Uuid,
        session: Option<Uuid>,
        severity: &str,
        origin: &Origin,
        metadata: &Value,
    ) {
        let time = at(event.meta.time);
        self.sessions.security.push(json!({
            "id": id_of_event(event, 1), "user_id": user,
            "session_id": session.or(event.meta.session_id), "event_type": event.short_name(),
            "severity": severity, "description": null, "ip_address": origin.ip_address,
            "user_agent": origin.user_agent, "device_id": null, "metadata": metadata,
            "created_at": time, "updated_at": time,
        }));
    }

    pub(super) fn enter(&mut self, event: &Recorded, name: &str, entry: Entry) {
        let time = at(event.meta.time);
        self.auth_events.push(json!({
            "id": id_of_event(event, 0), "user_id": entry.user, "event_type": name,
            "success": entry.success, "identifier": entry.identifier,
            "session_id": entry.session.or(event.meta.session_id),
            "ip_address": entry.origin.ip_address, "user_agent": entry.origin.user_agent,
            "details": entry.details, "created_at": time, "updated_at": time,
        }));
    }
}

impl Entry {
    pub(super) fn of(user: Option<Uuid>, details: Value) -> Self {
        let (identifier, origin) = (Value::Null, Origin::default());
        Self { user, success: true, identifier, session: None, origin, details }
    }
}

fn is_of(token: &Value, user: Uuid, session: Uuid) -> bool {
    token["user_id"] == json!(user) && token["session_id"] == json!(session)
}

pub(super) fn time_of(value: &Value) -> Time {
    value.as_str().and_then(|text| text.parse().ok()).expect("a time")
}
