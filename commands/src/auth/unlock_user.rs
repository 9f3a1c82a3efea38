use echolog_events::{AdminAction, SessionEvent, Stream, UnlockedBy, UserUnlocked};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::recorded_if_anothers;
use super::{Authority, authority, need_authority};
use crate::doc::{Doc, optional};
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Lets a user log in again who was locked out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlockUser {
    /// Only if the time of the lock is over.
    pub if_over: Option<bool>,
}

impl Decide for UnlockUser {
    const STREAM: Stream = Stream::Session;
    const DOC: Doc = Doc {
        summary: "Lets a user log in again after too many attempts have failed. One who is not locked out is no error.",
        target: "the user's id",
        fields: &[optional(
            "if_over",
            "`true`: a lock whose time is not over stays; Echolog's own timers say so",
        )],
        events: &["user_unlocked", "admin_action_recorded"],
        refused: &[
            ("forbidden", "you are neither an administrator nor a service"),
            ("not_found", "there is no such user"),
        ],
        example: r#"{"if_over":true}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_authority(context, needs);
        needs.want(Key::User(context.target));
        needs.want(Key::Sessions(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let authority = authority(context, world)?;
        if matches!(authority, Authority::Own) {
            return Err(Rejection::forbidden("This is for administrators and services."));
        }
        if world.user(context.target).is_none() {
            return Err(Rejection::not_found("There is no such user."));
        }
        let sessions = world.sessions(context.target);
        let is_locked = sessions.is_locked(context.time);
        if sessions.locked_until.is_none() || (is_locked && self.if_over == Some(true)) {
            return Ok(Vec::new());
        }
        let unlocked = UserUnlocked {
            user_id: context.target,
            by: if is_locked { UnlockedBy::Admin } else { UnlockedBy::Time },
            by_user_id: authority.user(context),
        };
        let mut events = vec![SessionEvent::UserUnlocked(unlocked).into()];
        let action = AdminAction::UnlockUser;
        events.extend(recorded_if_anothers(context, &authority, action, None, json!({})));
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{Event, Time};

    use super::super::Check;
    use super::super::tests::{found, log_in, story};
    use super::*;
    use crate::story::id;
    use crate::{Actor, ErrorCode, Settings};

    #[test]
    fn a_lock_is_opened_by_those_who_may() {
        let anyone = Actor::Anonymous("anon-1".to_owned());
        let operator = Actor::Service("svc-operator".to_owned());
        story().when_actor(&operator, id(1), UnlockUser::default()).then_nothing();
        story().when_actor(&operator, id(9), UnlockUser::default()).refused(ErrorCode::NotFound);
        let locked = (0..5).fold(story(), |story, number| {
            story.findings(found(number, Check::Wrong)).failed(&anyone, id(1), log_in("d"))
        });
        for user in [1, 2] {
            locked.when(id(user), id(1), UnlockUser::default()).refused(ErrorCode::Forbidden);
        }
        let (user_id, by) = (id(1), UnlockedBy::Admin);
        let unlocked = UserUnlocked { user_id, by, by_user_id: None };
        let events = locked.when_actor(&operator, id(1), UnlockUser::default()).accepted();
        assert_eq!(events[0].event, Event::Sessions(SessionEvent::UserUnlocked(unlocked)));
        assert_eq!(events[1].event.event_type().short(), "admin_action_recorded");

        // A timer opens what would not be met any more, and nothing else.
        let timer = Actor::Service(Actor::WORKER.to_owned());
        let if_over = || UnlockUser { if_over: Some(true) };
        locked.when_actor(&timer, id(1), if_over()).then_nothing();
        let over = locked.at(Time::default() + Settings::default().login_lock);
        let unlocked = UserUnlocked { user_id, by: UnlockedBy::Time, by_user_id: None };
        over.when_actor(&timer, id(1), if_over())
            .then([Event::Sessions(SessionEvent::UserUnlocked(unlocked))]);
    }
}
