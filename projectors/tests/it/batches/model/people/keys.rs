//! API keys.

use echolog_events::{ApiKeyCreated, ApiKeyRevoked, ApiKeyUsed, Origin, Recorded};
use serde_json::json;

use super::super::{at, micros};
use super::People;

impl People {
    pub(super) fn key_created(&mut self, event: &Recorded, e: &ApiKeyCreated) {
        let time = at(event.meta.time);
        let row = json!({
            "id": e.api_key_id, "user_id": e.user_id, "name": e.name,
            "key_prefix": e.key_prefix, "key_hash": e.key_hash, "scopes": e.scopes,
            "last_used_at": null, "usage_count": 0, "expires_at": e.expires_at.map(at),
            "revoked_at": null, "created_at": time, "updated_at": time,
        });
        self.keys.insert((e.user_id, e.api_key_id), row);
        let details = json!({
            "api_key_id": e.api_key_id, "name": e.name, "key_prefix": e.key_prefix,
            "scopes": e.scopes, "expires_at": e.expires_at.map(|it| micros(&at(it))),
        });
        self.security(event, e.user_id, None, "warning", &Origin::default(), &details);
    }

    pub(super) fn key_used(&mut self, event: &Recorded, e: &ApiKeyUsed) {
        let row = self.keys.get_mut(&(e.user_id, e.api_key_id)).expect("a key");
        let uses = row["usage_count"].as_i64().expect("a number") + i64::from(e.count);
        row["usage_count"] = json!(uses);
        row["last_used_at"] = at(e.last_used_at);
        row["updated_at"] = at(event.meta.time);
    }

    pub(super) fn key_revoked(&mut self, event: &Recorded, e: &ApiKeyRevoked) {
        let time = at(event.meta.time);
        let row = self.keys.get_mut(&(e.user_id, e.api_key_id)).expect("a key");
        row["revoked_at"] = time.clone();
        row["updated_at"] = time;
        let details = json!({ "api_key_id": e.api_key_id, "by_user_id": e.by_user_id });
        self.security(event, e.user_id, None, "info", &Origin::default(), &details);
    }
}
