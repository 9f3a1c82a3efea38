//! Accounts, profiles and blocks.

mod accounts;
mod codes;
mod factors;
mod keys;
mod links;
mod sessions;

use std::collections::BTreeMap;

use echolog_events::{
    AuthEvent, Origin, PasswordHash, ProfileUpdated, Recorded, Time, TwoFactorMethod,
    UserRegistered, UsersEvent, Uuid,
};
use serde_json::{Value, json};

use self::accounts::Stopped;
use self::factors::Factors;
use self::sessions::Sessions;
use super::audit::{Facts, facts};
use super::{at, id_of_event, id_of_key, text};

/// The fields of a profile that can change, in the order of the rows that say so.
const FIELDS: [&str; 7] = [
    "display_name",
    "full_name",
    "bio",
    "avatar_url",
    "profile_visibility",
    "language_code",
    "timezone",
];

struct Person {
    account: UserRegistered,
    registered_at: Time,
    had_password: bool,
    /// When it was changed, if it was.
    password_changed_at: Option<Time>,
    /// Attempts to log in that failed since the last that did not.
    failed: u32,
    locked_until: Option<Time>,
    was_locked: bool,
    last_login_at: Option<Time>,
    stopped: Option<Stopped>,
    was_stopped: bool,
    deleted_at: Option<Time>,
    email_verified_at: Option<Time>,
    phone_verified_at: Option<Time>,
    second_factor: Option<TwoFactorMethod>,
    had_second_factor: bool,
    last_seen: Time,
    /// When the account's row changed last.
    changed_at: Time,
    profile: BTreeMap<&'static str, String>,
    updated_at: Time,
    /// Whom this one blocks: why, and since when.
    blocks: BTreeMap<Uuid, (Option<String>, Time)>,
}

/// Everyone.
#[derive(Default)]
pub(super) struct People {
    people: BTreeMap<Uuid, Person>,
    activity: Vec<Value>,
    auth_events: Vec<Value>,
    admin_actions: Vec<Value>,
    looks: Vec<Value>,
    sessions: Sessions,
    factors: Factors,
    /// By account and id.
    codes: BTreeMap<(Uuid, Uuid), Value>,
    keys: BTreeMap<(Uuid, Uuid), Value>,
    /// By id.
    links: BTreeMap<Uuid, Value>,
    /// By user and id.
    resets: BTreeMap<(Uuid, Uuid), Value>,
}

impl People {
    pub(super) fn see_account(&mut self, event: &Recorded, known: &AuthEvent) {
        let AuthEvent::UserRegistered(e) = known else { return };
        let time = event.meta.time;
        let profile = [
            ("display_name", e.display_name.as_str()),
            ("profile_visibility", "public"),
            ("language_code", "en"),
            ("timezone", "UTC"),
        ];
        let person = Person {
            account: e.clone(),
            registered_at: time,
            had_password: e.password_hash.is_some(),
            password_changed_at: None,
            failed: 0,
            locked_until: None,
            was_locked: false,
            last_login_at: None,
            stopped: None,
            was_stopped: false,
            deleted_at: None,
            email_verified_at: None,
            phone_verified_at: None,
            second_factor: None,
            had_second_factor: false,
            last_seen: time,
            changed_at: time,
            profile: profile.map(|(name, value)| (name, value.to_owned())).into(),
            updated_at: time,
            blocks: BTreeMap::new(),
        };
        self.people.insert(e.user_id, person);
        self.note(event, 0, e.user_id, "registered", [Value::Null, Value::Null, Value::Null]);
        let identifiers = [&e.username, &e.email, &e.phone_number];
        self.auth_events.push(json!({
            "id": id_of_event(event, 0), "user_id": e.user_id, "event_type": "user_registered",
            "identifier": identifiers.into_iter().flatten().next(),
            "success": true, "ip_address": null, "user_agent": null, "details": {},
            "session_id": event.meta.session_id,
            "created_at": at(time), "updated_at": at(time),
        }));
    }

    pub(super) fn see(&mut self, event: &Recorded, known: &UsersEvent) {
        match known {
            UsersEvent::ProfileUpdated(e) => self.change(event, e),
            UsersEvent::UserBlocked(e) => {
                let block = (e.reason.clone(), event.meta.time);
                self.person(e.user_id).blocks.insert(e.blocked_user_id, block);
                let metadata = json!({ "blocked_user_id": e.blocked_user_id });
                self.security(event, e.user_id, None, "info", &Origin::default(), &metadata);
            }
            UsersEvent::UserUnblocked(e) => {
                self.person(e.user_id).blocks.remove(&e.blocked_user_id);
            }
        }
    }

    fn set_second_factor(&mut self, event: &Recorded, user: Uuid, method: Option<TwoFactorMethod>) {
        let person = self.person(user);
        person.second_factor = method;
        person.had_second_factor = true;
        person.changed_at = event.meta.time;
    }

    fn change(&mut self, event: &Recorded, e: &ProfileUpdated) {
        let changes = serde_json::to_value(e).expect("JSON");
        for (ordinal, field) in (0..).zip(FIELDS) {
            let Some(new) = changes[field].as_str() else { continue };
            let old = self.person(e.user_id).profile.insert(field, new.to_owned());
            let change = [json!(field), text(&old.unwrap_or_default()), text(new)];
            self.note(event, ordinal, e.user_id, "profile_updated", change);
        }
        self.person(e.user_id).updated_at = event.meta.time;
    }

    fn person(&mut self, id: Uuid) -> &mut Person {
        self.people.get_mut(&id).expect("a registered user")
    }

    fn note(&mut self, event: &Recorded, ordinal: u8, user: Uuid, what: &str, change: [Value; 3]) {
        let [field, old, new] = change;
        let time = at(event.meta.time);
        self.activity.push(json!({
            "id": id_of_event(event, ordinal), "user_id": user, "activity_type": what,
            "field_name": field, "old_value": old, "new_value": new,
            "created_at": time, "updated_at": time,
        }));
    }

    pub(super) fn table(&self, table: &str) -> Vec<Value> {
        let of_all = |row: fn(&Person) -> Value| self.people.values().map(row).collect();
        match table {
            "users" => of_all(Person::account),
            "profiles" => of_all(Person::profile),
            "settings" => of_all(Person::settings),
            "blocked_users" => self.people.values().flat_map(Person::blocks).collect(),
            "activity_log" => self.activity.clone(),
            "auth_events" => self.auth_events.clone(),
            "admin_actions" => self.admin_actions.clone(),
            "sensitive_data_access" => self.looks.clone(),
            "sessions" => self.sessions.sessions.values().cloned().collect(),
            "api_keys" => self.keys.values().cloned().collect(),
            "oauth_providers" => self.links.values().cloned().collect(),
            "refresh_tokens" => self.sessions.tokens.clone(),
            "two_factor_factors" => self.factors.factors.clone(),
            "recovery_codes" => self.factors.codes.clone(),
            "otp_verifications" => self.codes.values().cloned().collect(),
            "password_reset_tokens" => self.resets.values().cloned().collect(),
            "login_history" => self.sessions.history.clone(),
            "security_events" => self.sessions.security.clone(),
            _ => panic!("the model does not know table {table}"),
        }
    }

    /// What the audit records.
    pub(super) fn facts(&self) -> Facts {
        facts(None, |table| match table {
            "users" => self.people.values().map(Person::audited).collect(),
            "profiles" => self.people.values().map(|it| it.without_end(it.profile())).collect(),
            _ => self.table(table),
        })
    }
}

impl Person {
    fn account(&self) -> Value {
        let (e, time) = (&self.account, at(self.registered_at));
        let stopped = self.stopped.as_ref();
        json!({
            "suspension_reason": stopped.map(|it| &it.0),
            "suspended_at": stopped.map(|it| at(it.1)),
            "suspended_until": stopped.and_then(|it| it.2).map(at),
            "id": e.user_id, "email": e.email, "phone_number": e.phone_number,
            "username": e.username,
            "password_hash": e.password_hash.as_ref().map(PasswordHash::expose),
            "password_changed_at": match self.password_changed_at {
                Some(time) => Some(at(time)),
                None => self.had_password.then(|| time.clone()),
            },
            "role": e.role, "user_type": e.user_type, "account_status": e.account_status,
            "email_verified": self.email_verified_at.is_some(),
            "email_verified_at": self.email_verified_at.map(at),
            "phone_verified": self.phone_verified_at.is_some(),
            "phone_verified_at": self.phone_verified_at.map(at), "two_factor_enabled": self.second_factor.is_some(),
            "two_factor_method": self.second_factor, "failed_login_attempts": self.failed,
            "locked": self.locked_until.is_some(), "locked_until": self.locked_until.map(at),
            "last_login_at": self.last_login_at.map(at), "device_id": null, "created_at": time,
            "updated_at": at(self.changed_at), "deleted_at": self.deleted_at.map(at),
        })
    }

    /// The account for the audit, which says nothing of locks, suspensions, second factors, verified
    /// contacts and new passwords until there is one.
    fn audited(&self) -> Value {
        let mut row = self.account();
        let columns = row.as_object_mut().expect("a row");
        if !self.was_stopped {
            columns.retain(|name, _| !name.starts_with("suspen"));
        }
        if !self.had_second_factor {
            columns.retain(|name, _| !name.starts_with("two_factor"));
        }
        if !self.was_locked {
            columns.retain(|name, _| !name.starts_with("locked"));
        }
        if self.email_verified_at.is_none() {
            columns.retain(|name, _| !name.starts_with("email_verified"));
        }
        if self.phone_verified_at.is_none() {
            columns.retain(|name, _| !name.starts_with("phone_verified"));
        }
        if self.password_changed_at.is_none() {
            columns.remove("password_changed_at");
        }
        self.without_end(row)
    }

    /// The row, which the audit knows no end of before there is one.
    fn without_end(&self, mut row: Value) -> Value {
        if self.deleted_at.is_none() {
            row.as_object_mut().expect("a row").remove("deleted_at");
        }
        row
    }

    fn profile(&self) -> Value {
        let created_at = at(self.registered_at);
        let mut row = json!({
            "user_id": self.account.user_id, "username": self.account.username,
            "online_status": "offline", "last_seen": at(self.last_seen), "phone_visible": true,
            "is_verified": false, "social_links": {}, "interests": [], "bio_links": [],
            "deleted_at": self.deleted_at.map(at), "is_deactivated": false,
            "deactivated_at": null, "followers_count": 0, "following_count": 0, "posts_count": 0, "created_at": created_at,
            "updated_at": at(self.updated_at),
        });
        for field in FIELDS {
            row[field] = text(self.profile.get(field).map_or("", String::as_str));
        }
        row
    }

    fn settings(&self) -> Value {
        let time = at(self.registered_at);
        json!({
            "user_id": self.account.user_id, "profile_visibility": "everyone",
            "show_last_seen": "everyone", "show_profile_photo": "everyone",
            "show_status": "everyone", "allow_group_invites": "everyone",
            "read_receipts_enabled": true, "typing_indicators_enabled": true,
            "notifications_enabled": true, "push_enabled": true,
            "email_notifications_enabled": true, "sms_notifications_enabled": false,
            "theme": "system", "appearance": {}, "privacy_settings": {},
            "created_at": time, "updated_at": time,
        })
    }

    fn blocks(&self) -> Vec<Value> {
        let user = self.account.user_id;
        let row = |(other, (reason, time)): (&Uuid, &(Option<String>, Time))| {
            let id = id_of_key("users.blocked_users", &[&user.to_string(), &other.to_string()]);
            let time = at(*time);
            json!({
                "id": id, "user_id": user, "blocked_user_id": other, "reason": reason,
                "blocked_at": time, "created_at": time, "updated_at": time,
            })
        };
        self.blocks.iter().map(row).collect()
    }
}
