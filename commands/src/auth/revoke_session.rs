use echolog_events::{AdminAction, RevokedReason, Stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::recorded_if_anothers;
use super::{Authority, authority, ends, need_authority};
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, World};

/// Ends a session: logs out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeSession {
    /// Which.
    pub session_id: Id,
}

impl Decide for RevokeSession {
    const STREAM: Stream = Stream::Session;
    const DOC: Doc = Doc {
        summary: "Ends a session: this is how one logs out. One that has ended, or that there never was, is no error.",
        target: "your own user id; another's for administrators and services",
        fields: &[required("session_id", "UUID")],
        events: &["session_revoked", "admin_action_recorded"],
        refused: &[("forbidden", "the target is another user and you are no administrator")],
        example: r#"{"session_id":"0192f3c4-aaaa-7bbb-8ccc-000000000005"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_authority(context, needs);
        needs.want(Key::Sessions(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let authority = authority(context, world)?;
        let session_id = self.session_id.get();
        if !world.sessions(context.target).open.contains_key(&session_id) {
            return Ok(Vec::new());
        }
        let reason = match authority {
            Authority::Own => RevokedReason::Logout,
            Authority::Admin(_) | Authority::Service => RevokedReason::Admin,
        };
        let by = authority.user(context);
        let mut events = vec![ends(context.target, session_id, reason, by).into()];
        let (action, details) = (AdminAction::RevokeSession, json!({ "session_id": session_id }));
        events.extend(recorded_if_anothers(context, &authority, action, None, details));
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::Uuid;

    use super::super::tests::{logged_in, session, story};
    use super::*;
    use crate::story::id;
    use crate::{Actor, ErrorCode};

    fn revoke(session: Uuid) -> RevokeSession {
        RevokeSession { session_id: session.into() }
    }

    #[test]
    fn a_session_ends_once() {
        let story = logged_in(story(), 1);
        let ended = ends(id(1), session(1), RevokedReason::Logout, Some(id(1)));
        story.when(id(1), id(1), revoke(session(1))).then([echolog_events::Event::Sessions(ended)]);
        let story = story.done(&Actor::User(id(1)), id(1), revoke(session(1)));
        story.when(id(1), id(1), revoke(session(1))).then_nothing();
    }

    #[test]
    fn nobody_ends_what_is_anothers() {
        let story = logged_in(story(), 1);
        story.when(id(2), id(1), revoke(session(1))).refused(ErrorCode::Forbidden);
        let anonymous = Actor::Anonymous("anon-1".to_owned());
        let refused = story.when_actor(&anonymous, id(1), revoke(session(1)));
        refused.refused(ErrorCode::Unauthenticated);
        let operator = Actor::Service("svc-operator".to_owned());
        let ended = ends(id(1), session(1), RevokedReason::Admin, None);
        let events = story.when_actor(&operator, id(1), revoke(session(1))).accepted();
        assert_eq!(events[0].event, echolog_events::Event::Sessions(ended));
        assert_eq!(events[1].event.event_type().short(), "admin_action_recorded");
        let worker = Actor::Service(Actor::WORKER.to_owned());
        let events = story.when_actor(&worker, id(1), revoke(session(1))).accepted();
        assert_eq!(events.len(), 1, "what workers do is nobody's doing");
    }
}
