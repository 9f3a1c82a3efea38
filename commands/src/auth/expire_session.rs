use echolog_events::{SessionEvent, SessionExpired, Stream};
use serde::{Deserialize, Serialize};

use super::only_services;
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Ends a session whose time is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpireSession {
    /// Which.
    pub session_id: Id,
}

impl Decide for ExpireSession {
    const STREAM: Stream = Stream::Session;
    const DOC: Doc = Doc {
        summary: "Ends a session whose time is over; Echolog's own timers send it. One that has ended, or that there never was, is no error.",
        target: "the user's id",
        fields: &[required("session_id", "UUID")],
        events: &["session_expired"],
        refused: &[
            ("forbidden", "you are no service"),
            ("conflict", "the session's time is not over"),
        ],
        example: r#"{"session_id":"0192f3c4-aaaa-7bbb-8ccc-000000000005"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::Sessions(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        only_services(context)?;
        let (user_id, session_id) = (context.target, self.session_id.get());
        let Some(session) = world.sessions(user_id).open.get(&session_id) else {
            return Ok(Vec::new());
        };
        if session.expires_at > context.time {
            return Err(Rejection::conflict("The time of this session is not over."));
        }
        let expired_at = session.expires_at;
        let expired = SessionExpired { user_id, session_id, expired_at };
        Ok(vec![SessionEvent::SessionExpired(expired).into()])
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use echolog_events::{Event, Time};

    use super::super::tests::{logged_in, session, story};
    use super::*;
    use crate::story::id;
    use crate::{Actor, ErrorCode, Settings};

    #[test]
    fn a_session_ends_when_its_time_is_over() {
        let timer = Actor::Service(Actor::WORKER.to_owned());
        let expired_at = Time::default() + Settings::default().session_lifetime;
        let expire = |number| ExpireSession { session_id: session(number).into() };
        let story = logged_in(story(), 1);
        story.when_actor(&timer, id(1), expire(1)).refused(ErrorCode::Conflict);
        story.when_actor(&timer, id(1), expire(2)).then_nothing();
        story.when(id(1), id(1), expire(1)).refused(ErrorCode::Forbidden);
        let story = story.at(expired_at);
        let (user_id, session_id) = (id(1), session(1));
        let expired = SessionExpired { user_id, session_id, expired_at };
        story
            .when_actor(&timer, id(1), expire(1))
            .then([Event::Sessions(SessionEvent::SessionExpired(expired))]);
        let story = story.at(expired_at + TimeDelta::days(1)).done(&timer, id(1), expire(1));
        story.when_actor(&timer, id(1), expire(1)).then_nothing();
    }
}
