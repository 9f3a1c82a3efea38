use chrono::TimeDelta;
use echolog_events::{SessionActivityRecorded, SessionEvent, Stream};
use serde::{Deserialize, Serialize};

use super::{Authority, authority, need_authority};
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// How often that a session is in use is worth an event.
const OFTEN: TimeDelta = TimeDelta::minutes(1);

/// Says that a session is in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordSessionActivity {
    /// Which.
    pub session_id: Id,
}

impl Decide for RecordSessionActivity {
    const STREAM: Stream = Stream::Session;
    const DOC: Doc = Doc {
        summary: "Says that a session is in use. What is said within a minute after the last time, or of a session that has ended, changes nothing.",
        target: "your own user id; another's for services",
        fields: &[required("session_id", "UUID")],
        events: &["session_activity_recorded"],
        refused: &[("forbidden", "the target is another user")],
        example: r#"{"session_id":"0192f3c4-aaaa-7bbb-8ccc-000000000005"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_authority(context, needs);
        needs.want(Key::Sessions(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        match authority(context, world)? {
            Authority::Own | Authority::Service => {}
            Authority::Admin(_) => return Err(Rejection::forbidden("This is another user's.")),
        }
        let (user_id, session_id) = (context.target, self.session_id.get());
        let active_at = context.time;
        let Some(session) = world.sessions(user_id).live(session_id, active_at) else {
            return Ok(Vec::new());
        };
        if session.active_at.is_some_and(|last| active_at < last + OFTEN) {
            return Ok(Vec::new());
        }
        let active = SessionActivityRecorded { user_id, session_id, active_at };
        Ok(vec![SessionEvent::SessionActivityRecorded(active).into()])
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{Event, Time, Uuid};

    use super::super::tests::{logged_in, session, story};
    use super::*;
    use crate::story::id;
    use crate::{Actor, ErrorCode, Settings};

    fn record(session: Uuid) -> RecordSessionActivity {
        RecordSessionActivity { session_id: session.into() }
    }

    fn active(active_at: Time) -> Event {
        let (user_id, session_id) = (id(1), session(1));
        Event::Sessions(SessionEvent::SessionActivityRecorded(SessionActivityRecorded {
            user_id,
            session_id,
            active_at,
        }))
    }

    #[test]
    fn once_a_minute_is_enough() {
        let (ada, begun) = (Actor::User(id(1)), Time::default());
        let story = logged_in(story(), 1);
        story.when(id(1), id(1), record(session(1))).then([active(begun)]);
        let story = story.done(&ada, id(1), record(session(1)));
        let story = story.at(begun + TimeDelta::seconds(59));
        story.when(id(1), id(1), record(session(1))).then_nothing();
        let story = story.at(begun + OFTEN);
        story.when(id(1), id(1), record(session(1))).then([active(begun + OFTEN)]);
        let service = Actor::Service("svc-shop".to_owned());
        story.when_actor(&service, id(1), record(session(1))).then([active(begun + OFTEN)]);
        let over = story.at(begun + Settings::default().session_lifetime);
        over.when(id(1), id(1), record(session(1))).then_nothing();
    }

    #[test]
    fn nobody_speaks_for_another() {
        let story = logged_in(story(), 1);
        story.when(id(2), id(1), record(session(1))).refused(ErrorCode::Forbidden);
        story.when(id(2), id(2), record(session(1))).then_nothing();
    }
}
