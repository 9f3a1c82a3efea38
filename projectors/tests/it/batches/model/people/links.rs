//! Identities at other providers.

use echolog_events::{OauthProviderLinked, OauthProviderUnlinked, Origin, Recorded};
use serde_json::json;

use super::super::at;
use super::People;

impl People {
    pub(super) fn linked(&mut self, event: &Recorded, e: &OauthProviderLinked) {
        let time = at(event.meta.time);
        let before = self.links.get(&e.link_id);
        let since = before.map_or_else(|| time.clone(), |row| row["created_at"].clone());
        let row = json!({
            "id": e.link_id, "user_id": e.user_id, "provider": e.provider,
            "provider_user_id": e.provider_user_id, "provider_email": e.provider_email,
            "access_token": null, "refresh_token": null, "token_expires_at": null,
            "profile_data": e.profile_data, "created_at": since, "updated_at": time,
        });
        self.links.insert(e.link_id, row);
        let details = json!({
            "link_id": e.link_id, "provider": e.provider, "provider_email": e.provider_email,
        });
        self.security(event, e.user_id, None, "warning", &Origin::default(), &details);
    }

    pub(super) fn unlinked(&mut self, event: &Recorded, e: &OauthProviderUnlinked) {
        self.links.remove(&e.link_id).expect("a link");
        let details = json!({
            "link_id": e.link_id, "provider": e.provider, "by_user_id": e.by_user_id,
        });
        self.security(event, e.user_id, None, "warning", &Origin::default(), &details);
    }
}
