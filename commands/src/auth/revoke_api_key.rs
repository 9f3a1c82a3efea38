use echolog_events::{ApiKeyRevoked, CredentialEvent, Stream};
use serde::{Deserialize, Serialize};

use super::{authority, need_authority};
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, World};

/// Makes an API key good for nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeApiKey {
    /// Which.
    pub api_key_id: Id,
}

impl Decide for RevokeApiKey {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Makes an API key good for nothing, and ends its connections. One that was revoked, or that there never was, is no error.",
        target: "your own user id; another's for administrators and services",
        fields: &[required("api_key_id", "UUID")],
        events: &["api_key_revoked"],
        refused: &[("forbidden", "the target is another user and you are no administrator")],
        example: r#"{"api_key_id":"0192f3c4-aaaa-7bbb-8ccc-000000000006"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_authority(context, needs);
        needs.want(Key::Credentials(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let authority = authority(context, world)?;
        let (user_id, api_key_id) = (context.target, self.api_key_id.get());
        if !world.credentials(user_id).api_keys.open.contains_key(&api_key_id) {
            return Ok(Vec::new());
        }
        let by_user_id = authority.user(context);
        let revoked = ApiKeyRevoked { user_id, api_key_id, by_user_id };
        Ok(vec![CredentialEvent::ApiKeyRevoked(revoked).into()])
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{Event, Uuid};

    use super::super::create_api_key::tests::with_keys;
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    #[test]
    fn a_key_is_revoked_once_by_those_who_may() {
        let revoke = |number| RevokeApiKey { api_key_id: id(number).into() };
        let revoked = |by_user_id: Option<Uuid>| {
            let (user_id, api_key_id) = (id(1), id(600));
            let revoked = ApiKeyRevoked { user_id, api_key_id, by_user_id };
            [Event::Credentials(CredentialEvent::ApiKeyRevoked(revoked))]
        };
        let story = with_keys(Story::new().users([id(1), id(2)]), 600..602);
        story.when(id(1), id(1), revoke(600)).then(revoked(Some(id(1))));
        let operator = Actor::Service("svc-operator".to_owned());
        story.when_actor(&operator, id(1), revoke(600)).then(revoked(None));
        story.when(id(2), id(1), revoke(600)).refused(ErrorCode::Forbidden);
        story.when(id(1), id(1), revoke(700)).then_nothing();
        let story = story.done(&Actor::User(id(1)), id(1), revoke(600));
        story.when(id(1), id(1), revoke(600)).then_nothing();
    }
}
