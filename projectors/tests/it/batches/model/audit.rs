//! The audit: whatever is different in the modelled tables after an event.

use std::collections::BTreeMap;

use echolog_events::{Recorded, Uuid};
use serde_json::{Map, Value, json};

use super::{at, id_of_key};

/// Table, its name in the audit, and the columns that hold facts. `updated_at` comes on top: when
/// one of them changed.
const FACTS: &[(&str, &str, &str, &str)] = &[
    (
        "auth",
        "users",
        "users",
        "id email email_verified email_verified_at phone_number phone_verified phone_verified_at
         username password_hash password_changed_at role user_type account_status locked locked_until two_factor_enabled two_factor_method suspension_reason
         suspended_at suspended_until deleted_at created_at",
    ),
    (
        "auth",
        "sessions",
        "sessions",
        "id user_id session_token refresh_token device_id device_name device_type platform
         device_fingerprint device_metadata ip_address user_agent fcm_token expires_at revoked_at
         revoked_reason created_at",
    ),
    (
        "auth",
        "api_keys",
        "api_keys",
        "id user_id name key_prefix key_hash scopes expires_at revoked_at created_at",
    ),
    (
        "auth",
        "oauth_providers",
        "oauth_providers",
        "id user_id provider provider_user_id provider_email profile_data created_at",
    ),
    (
        "users",
        "profiles",
        "profiles",
        "user_id username display_name full_name bio avatar_url profile_visibility language_code
         timezone deleted_at created_at",
    ),
    (
        "users",
        "blocked_users",
        "blocked_users",
        "id user_id blocked_user_id reason blocked_at created_at",
    ),
    (
        "messages",
        "conversations",
        "conversations",
        "id conversation_type direct_key title description avatar_url creator_user_id
         owner_user_id is_public is_encrypted created_at",
    ),
    (
        "messages",
        "members",
        "conversation_participants",
        "id conversation_id user_id role invited_by_user_id removed_by_user_id is_active joined_at
         left_at created_at",
    ),
    (
        "messages",
        "messages",
        "messages",
        "id conversation_id sender_user_id recipient_user_id message_type content
         content_encrypted reply_to_message_id forward_from_message_id
         forward_from_conversation_id mentions metadata is_edited edited_at is_deleted deleted_at
         deleted_by_user_id created_at",
    ),
    (
        "messages",
        "message_reactions",
        "message_reactions",
        "id conversation_id message_id user_id emoji created_at",
    ),
    (
        "messages",
        "pinned_messages",
        "pinned_messages",
        "id conversation_id message_id pinned_by_user_id pinned_at created_at",
    ),
];

/// Schema, table, conversation and id.
type Name = (String, String, Option<String>, String);

type Image = Map<String, Value>;

/// All rows of a conversation, or of all people, as far as they are facts.
pub(super) struct Facts {
    conversation: Option<String>,
    rows: BTreeMap<Name, Image>,
}

/// The facts among the rows of tables: of a conversation, or of all people.
pub(super) fn facts(conversation: Option<String>, table: impl Fn(&str) -> Vec<Value>) -> Facts {
    let mut rows = BTreeMap::new();
    let ours =
        FACTS.iter().filter(|(schema, ..)| (*schema == "messages") == conversation.is_some());
    for (schema, name, known_as, columns) in ours {
        for row in table(name) {
            let shown = |it: &str| Some((it.to_owned(), show(it, row.get(it)?)));
            let image: Image = columns.split_whitespace().filter_map(shown).collect();
            let id = image.get("id").or_else(|| image.get("user_id")).and_then(Value::as_str);
            let mut id = id.expect("every row has one").to_owned();
            if let "sessions" | "api_keys" = *name {
                let user = image["user_id"].as_str().expect("its user");
                id = id_of_key(&format!("auth.{name}"), &[user, &id]).to_string();
            }
            let key = ((*schema).to_owned(), (*known_as).to_owned(), conversation.clone(), id);
            rows.insert(key, image);
        }
    }
    Facts { conversation, rows }
}

/// Every change so far, and how it left the rows.
#[derive(Default)]
pub(super) struct Audit {
    changes: Vec<Value>,
    images: BTreeMap<Name, Image>,
}

impl Audit {
    /// Records what is different from before.
    pub(super) fn see(&mut self, event: &Recorded, after: Facts) {
        let time = show("updated_at", &at(event.meta.time));
        let same_place =
            |name: &Name| name.2 == after.conversation && !after.rows.contains_key(name);
        let gone: Vec<Name> = self.images.keys().filter(|name| same_place(name)).cloned().collect();
        for name in gone {
            let before = self.images.remove(&name);
            self.note(event, &name, before, None);
        }
        for (name, mut image) in after.rows {
            let before = self.images.get(&name).cloned();
            let updated_at = before.as_ref().and_then(|it| it.get("updated_at").cloned());
            image.insert("updated_at".to_owned(), updated_at.unwrap_or_else(|| time.clone()));
            if before.as_ref() != Some(&image) {
                image.insert("updated_at".to_owned(), time.clone());
                self.images.insert(name.clone(), image.clone());
                self.note(event, &name, before, Some(image));
            }
        }
    }

    /// Rows that are forgotten are nothing to record.
    pub(super) fn forget(&mut self, left: &Facts) {
        self.images.retain(|name, _| name.2 != left.conversation || left.rows.contains_key(name));
    }

    fn note(&mut self, event: &Recorded, name: &Name, old: Option<Image>, new: Option<Image>) {
        let (schema, table, conversation, id) = name;
        let changed = old.as_ref().zip(new.as_ref()).map(|(old, new)| {
            let differs = |column: &&String| old.get(*column) != new.get(*column);
            new.keys().filter(differs).cloned().collect::<Vec<String>>()
        });
        let operation = match (&old, &new) {
            (None, _) => "INSERT",
            (_, None) => "DELETE",
            (Some(_), Some(_)) => "UPDATE",
        };
        let (meta, time) = (&event.meta, at(event.meta.time));
        let actor = meta.actor.as_deref().expect("someone did it");
        self.changes.push(json!({
            "schema_name": schema, "table_name": table, "record_id": id,
            "conversation_id": conversation, "operation": operation, "old_data": old,
            "new_data": new, "changed_fields": changed, "actor": actor,
            "user_id": Uuid::try_parse(actor).ok(),
            "session_id": meta.session_id, "transaction_id": meta.command_id,
            "command_id": meta.command_id, "event_id": meta.event_id, "event_seq": event.seq,
            "created_at": time, "updated_at": time,
        }));
    }

    pub(super) fn rows(&self) -> Vec<Value> {
        self.changes.clone()
    }
}

/// A value as the audit shows it: secrets not at all, times with microseconds.
fn show(column: &str, value: &Value) -> Value {
    match value.as_str() {
        Some(_) if column.ends_with("_hash") || column.ends_with("_token") => json!("[redacted]"),
        Some(time) if column.ends_with("_at") || column.ends_with("_until") => {
            json!(time.replace("+00:00", ".000000Z"))
        }
        Some(_) | None => value.clone(),
    }
}
