use echolog_events::{ApiKeyUsed, CredentialEvent, Stream, Time};
use serde::{Deserialize, Serialize};

use super::only_services;
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Says how often an API key was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordApiKeyUse {
    /// Which.
    pub api_key_id: Id,
    /// How often since it was said last.
    pub count: u32,
    /// When last.
    pub last_used_at: Time,
}

/// How many uses one command may tell of.
const MANY: u32 = 1_000_000;

impl Decide for RecordApiKeyUse {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Says how often an API key let somebody in; Echolog's own handlers send it, about once a minute for each key. A key that was revoked, or that there never was, is no error.",
        target: "the user's id",
        fields: &[
            required("api_key_id", "UUID"),
            required("count", "whole number, 1 to 1,000,000"),
            required("last_used_at", "time, not in the future"),
        ],
        events: &["api_key_used"],
        refused: &[("forbidden", "you are no service")],
        example: r#"{"api_key_id":"0192f3c4-aaaa-7bbb-8ccc-000000000006","count":3,"last_used_at":"2026-01-01T00:00:00Z"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::Credentials(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        only_services(context)?;
        if !(1..=MANY).contains(&self.count) {
            return Err(Rejection::invalid("count", "This is no number from 1 to 1,000,000."));
        }
        let (user_id, api_key_id) = (context.target, self.api_key_id.get());
        if !world.credentials(user_id).api_keys.open.contains_key(&api_key_id) {
            return Ok(Vec::new());
        }
        // Clocks differ.
        let last_used_at = self.last_used_at.min(context.time);
        let used = ApiKeyUsed { user_id, api_key_id, count: self.count, last_used_at };
        Ok(vec![CredentialEvent::ApiKeyUsed(used).into()])
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use echolog_events::Event;

    use super::super::create_api_key::tests::with_keys;
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    #[test]
    fn uses_are_told_by_services() {
        let now = Time::default();
        let used = |number, count, last_used_at| RecordApiKeyUse {
            api_key_id: id(number).into(),
            count,
            last_used_at,
        };
        let story = with_keys(Story::new().users([id(1)]), 600..601);
        let service = Actor::Service("svc-echolog".to_owned());
        let (user_id, api_key_id) = (id(1), id(600));
        let event = ApiKeyUsed { user_id, api_key_id, count: 3, last_used_at: now };
        // What a clock ahead says is now.
        for time in [now, now + TimeDelta::seconds(1)] {
            story
                .when_actor(&service, id(1), used(600, 3, time))
                .then([Event::Credentials(CredentialEvent::ApiKeyUsed(event.clone()))]);
        }
        story.when_actor(&service, id(1), used(700, 3, now)).then_nothing();
        story.when_actor(&service, id(1), used(600, 0, now)).refused(ErrorCode::Invalid);
        story.when(id(1), id(1), used(600, 3, now)).refused(ErrorCode::Forbidden);
    }
}
