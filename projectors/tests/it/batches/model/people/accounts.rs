//! What operators do about accounts.

use echolog_events::{AccountEvent, AccountStatus, AuditEvent, Origin, Recorded, Time, Uuid};
use serde_json::{Value, json};

use super::super::{at, id_of_event, micros};
use super::People;
use super::sessions::Entry;

/// Why an account may not act, since when, and until when.
pub(super) type Stopped = (String, Time, Option<Time>);

impl People {
    pub(in super::super) fn see_operator(&mut self, event: &Recorded, known: &AccountEvent) {
        let time = event.meta.time;
        let user = known.user_id();
        let (status, stopped, severity, details) = match known {
            AccountEvent::UserDeleted(_) => {
                let person = self.person(user);
                person.account.account_status = AccountStatus::Deleted;
                person.deleted_at = Some(time);
                person.changed_at = time;
                person.updated_at = time;
                self.note(event, 0, user, "deleted", [Value::Null, Value::Null, Value::Null]);
                return;
            }
            AccountEvent::EmailChanged(e) => {
                let person = self.person(user);
                person.account.email = Some(e.email.clone());
                person.email_verified_at = Some(time);
                person.changed_at = time;
                self.tell_contact(event, user, ("email", &e.email), &e.origin);
                return;
            }
            AccountEvent::PhoneChanged(e) => {
                let person = self.person(user);
                person.account.phone_number = Some(e.phone_number.clone());
                person.phone_verified_at = Some(time);
                person.changed_at = time;
                self.tell_contact(event, user, ("phone_number", &e.phone_number), &e.origin);
                return;
            }
            AccountEvent::EmailVerified(e) => {
                self.person(user).email_verified_at = Some(time);
                self.verified(event, user, &e.email, e.activates);
                return;
            }
            AccountEvent::PhoneVerified(e) => {
                self.person(user).phone_verified_at = Some(time);
                self.verified(event, user, &e.phone_number, e.activates);
                return;
            }
            AccountEvent::UserRoleChanged(e) => {
                let person = self.person(user);
                person.account.role = e.new_role;
                person.changed_at = time;
                let details = json!({
                    "old_role": e.old_role, "new_role": e.new_role, "by_user_id": e.by_user_id,
                });
                self.security(event, user, None, "warning", &Origin::default(), &details);
                return;
            }
            AccountEvent::UserSuspended(e) => (
                AccountStatus::Suspended,
                Some((e.reason.clone(), time, e.until)),
                "critical",
                json!({
                    "reason": e.reason, "until": e.until.map(|until| micros(&at(until))),
                    "by_user_id": e.by_user_id,
                }),
            ),
            AccountEvent::UserBanned(e) => (
                AccountStatus::Banned,
                Some((e.reason.clone(), time, None)),
                "critical",
                json!({ "reason": e.reason, "by_user_id": e.by_user_id }),
            ),
            AccountEvent::UserReinstated(e) => {
                (e.status, None, "info", json!({ "by_user_id": e.by_user_id }))
            }
        };
        let person = self.person(user);
        person.account.account_status = status;
        person.was_stopped |= stopped.is_some();
        person.stopped = stopped;
        person.changed_at = time;
        self.security(event, user, None, severity, &Origin::default(), &details);
    }

    fn tell_contact(
        &mut self,
        event: &Recorded,
        user: Uuid,
        (name, contact): (&str, &str),
        origin: &Origin,
    ) {
        self.security(event, user, None, "warning", origin, &json!({ name: contact }));
        let entry = Entry::of(Some(user), json!({}));
        let entry = Entry { identifier: json!(contact), origin: origin.clone(), ..entry };
        self.enter(event, event.short_name(), entry);
    }

    fn verified(&mut self, event: &Recorded, user: Uuid, contact: &str, activates: bool) {
        let person = self.person(user);
        person.changed_at = event.meta.time;
        if activates {
            person.account.account_status = AccountStatus::Active;
        }
        let entry = Entry { identifier: json!(contact), ..Entry::of(Some(user), json!({})) };
        self.enter(event, event.short_name(), entry);
    }

    pub(in super::super) fn see_audited(&mut self, event: &Recorded, known: &AuditEvent) {
        let time = at(event.meta.time);
        match known {
            AuditEvent::AdminActionRecorded(e) => self.admin_actions.push(json!({
                "id": id_of_event(event, 0), "admin_user_id": e.admin_user_id,
                "actor": event.meta.actor, "action": e.action, "resource_type": "user",
                "resource_id": e.user_id, "target_user_id": e.user_id, "details": e.details,
                "reason": e.reason, "ip_address": e.ip_address, "created_at": time,
                "updated_at": time,
            })),
            AuditEvent::SensitiveDataAccessed(e) => self.looks.push(json!({
                "id": id_of_event(event, 0), "user_id": e.by_user_id, "actor": event.meta.actor,
                "subject_user_id": e.user_id, "data_type": e.data_type, "resource_type": "user",
                "resource_id": e.user_id, "access_type": e.access_type, "purpose": e.purpose,
                "session_id": event.meta.session_id, "ip_address": e.ip_address,
                "created_at": time, "updated_at": time,
            })),
        }
    }
}
