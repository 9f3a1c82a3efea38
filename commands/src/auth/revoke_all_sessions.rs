use echolog_events::{AdminAction, RevokedReason, Stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::recorded_if_anothers;
use super::{Authority, authority, ends, need_authority};
use crate::doc::{Doc, optional};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, NewEvent, World};

/// Ends all sessions of a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeAllSessions {
    /// But this one.
    pub except_session_id: Option<Id>,
}

impl Decide for RevokeAllSessions {
    const STREAM: Stream = Stream::Session;
    const DOC: Doc = Doc {
        summary: "Ends all sessions of a user, or all but one.",
        target: "your own user id; another's for administrators and services",
        fields: &[optional("except_session_id", "UUID: the one that stays")],
        events: &["session_revoked", "admin_action_recorded"],
        refused: &[("forbidden", "the target is another user and you are no administrator")],
        example: r#"{"except_session_id":"0192f3c4-aaaa-7bbb-8ccc-000000000005"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_authority(context, needs);
        needs.want(Key::Sessions(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let authority = authority(context, world)?;
        let except = self.except_session_id.map(Id::get);
        let reason = match authority {
            Authority::Own => RevokedReason::LogoutAll,
            Authority::Admin(_) | Authority::Service => RevokedReason::Admin,
        };
        let by = authority.user(context);
        let open = world.sessions(context.target).open.keys().filter(|id| Some(**id) != except);
        let mut events: Vec<NewEvent> =
            open.map(|id| ends(context.target, *id, reason, by).into()).collect();
        if !events.is_empty() {
            let action = AdminAction::RevokeAllSessions;
            events.extend(recorded_if_anothers(context, &authority, action, None, json!({})));
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::Event;

    use super::super::tests::{logged_in, session, story};
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;

    #[test]
    fn all_end_but_the_one_that_stays() {
        let story = logged_in(logged_in(logged_in(story(), 1), 2), 3);
        let ended =
            |n| Event::Sessions(ends(id(1), session(n), RevokedReason::LogoutAll, Some(id(1))));
        story.when(id(1), id(1), RevokeAllSessions::default()).then([ended(1), ended(2), ended(3)]);
        let but_one = RevokeAllSessions { except_session_id: Some(session(2).into()) };
        story.when(id(1), id(1), but_one.clone()).then([ended(1), ended(3)]);
        story.when(id(2), id(1), but_one).refused(ErrorCode::Forbidden);
    }
}
