//! Identities at other providers.

use echolog_events::{
    OauthProviderLinked, OauthProviderUnlinked, OauthTokenRefreshed, Origin, Recorded, Sealed,
};
use serde_json::{Value, json};

use super::super::at;
use super::People;

impl People {
    pub(super) fn linked(&mut self, event: &Recorded, e: &OauthProviderLinked) {
        let time = at(event.meta.time);
        let before = self.links.get(&e.link_id);
        let since = before.map_or_else(|| time.clone(), |row| row["created_at"].clone());
        let kept = |column| before.map_or(Value::Null, |row| row[column].clone());
        let row = json!({
            "id": e.link_id, "user_id": e.user_id, "provider": e.provider,
            "provider_user_id": e.provider_user_id, "provider_email": e.provider_email,
            "access_token": kept("access_token"), "refresh_token": kept("refresh_token"),
            "token_expires_at": kept("token_expires_at"),
            "profile_data": e.profile_data, "created_at": since, "updated_at": time,
        });
        self.links.insert(e.link_id, row);
        let details = json!({
            "link_id": e.link_id, "provider": e.provider, "provider_email": e.provider_email,
        });
        self.security(event, e.user_id, None, "warning", &Origin::default(), &details);
    }

    /// Nobody is told, and the audit has nothing of it.
    pub(super) fn token_refreshed(&mut self, event: &Recorded, e: &OauthTokenRefreshed) {
        let row = self.links.get_mut(&e.link_id).expect("a link");
        row["access_token"] = json!(e.access_token.expose());
        row["refresh_token"] = json!(e.refresh_token.as_ref().map(Sealed::expose));
        row["token_expires_at"] = json!(e.token_expires_at.map(at));
        row["updated_at"] = at(event.meta.time);
    }

    pub(super) fn unlinked(&mut self, event: &Recorded, e: &OauthProviderUnlinked) {
        self.links.remove(&e.link_id).expect("a link");
        let details = json!({
            "link_id": e.link_id, "provider": e.provider, "by_user_id": e.by_user_id,
        });
        self.security(event, e.user_id, None, "warning", &Origin::default(), &details);
    }
}
