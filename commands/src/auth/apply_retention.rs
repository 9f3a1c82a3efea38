use chrono::TimeDelta;
use echolog_events::{RetentionApplied, SessionEvent, Stream};
use serde::{Deserialize, Serialize};

use super::only_services;
use crate::doc::{Doc, required};
use crate::fields::Moment;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Lets the tables forget what is too old.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyRetention {
    /// Sessions that have ended, and whose time was over before this.
    pub sessions_before: Moment,
    /// One-time codes, and tokens for a password that was lost, which were made before this.
    pub codes_before: Moment,
}

/// Nothing is forgotten that may still be of use: no code is for so long. Not a whole day, which is what
/// the timers ask for right after midnight: what decides may be a moment behind them.
const LEAST: TimeDelta = TimeDelta::hours(23);

impl Decide for ApplyRetention {
    const STREAM: Stream = Stream::Session;
    const DOC: Doc = Doc {
        summary: "Takes the rows of sessions, one-time codes and reset tokens of an account that are too old out of the tables; Echolog's own timers send it, at most once a day for each account. What happened stays in the log, and in `auth.login_history` and `auth.security_events`.",
        target: "the user's id, or that of the account that codes for a name which nobody has stand under",
        fields: &[
            required("sessions_before", "time, at least 23 hours ago"),
            required("codes_before", "time, at least 23 hours ago"),
        ],
        events: &["retention_applied"],
        refused: &[
            ("forbidden", "you are no service"),
            ("conflict", "that is less than 23 hours ago"),
        ],
        example: r#"{"sessions_before":"2026-01-01T00:00:00Z","codes_before":"2026-01-30T00:00:00Z"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::Sessions(context.target));
    }

    fn decide(&self, context: &Context<'_>, _: &World) -> Decision {
        only_services(context)?;
        let (sessions_before, codes_before) = (self.sessions_before.get(), self.codes_before.get());
        if sessions_before.max(codes_before) + LEAST > context.time {
            return Err(Rejection::conflict("That is less than 23 hours ago."));
        }
        let account_id = context.target;
        let applied = RetentionApplied { account_id, sessions_before, codes_before };
        Ok(vec![SessionEvent::RetentionApplied(applied).into()])
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{Event, Time};

    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    #[test]
    fn what_may_still_be_of_use_is_not_forgotten() {
        let timer = Actor::Service(Actor::WORKER.to_owned());
        let day = |number| Time::default() + TimeDelta::days(number);
        let before = |sessions: i64, codes: i64| ApplyRetention {
            sessions_before: day(sessions).into(),
            codes_before: day(codes).into(),
        };
        let story = Story::new().users([id(1)]).at(day(40));
        story.when_actor(&timer, id(1), before(40, 39)).refused(ErrorCode::Conflict);
        story.when_actor(&timer, id(1), before(10, 40)).refused(ErrorCode::Conflict);
        story.when(id(1), id(1), before(10, 39)).refused(ErrorCode::Forbidden);
        let applied =
            RetentionApplied { account_id: id(1), sessions_before: day(10), codes_before: day(39) };
        let applied = Event::Sessions(SessionEvent::RetentionApplied(applied));
        story.when_actor(&timer, id(1), before(10, 39)).then([applied]);
    }
}
