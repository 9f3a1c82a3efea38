use echolog_events::{SessionEvent, Stream, UnlockedBy, UserUnlocked};
use serde::{Deserialize, Serialize};

use super::{Authority, authority, need_authority};
use crate::doc::Doc;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Lets a user log in again who was locked out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlockUser {}

impl Decide for UnlockUser {
    const STREAM: Stream = Stream::Session;
    const DOC: Doc = Doc {
        summary: "Lets a user log in again after too many attempts have failed. One who is not locked out is no error.",
        target: "the user's id",
        fields: &[],
        events: &["user_unlocked"],
        refused: &[
            ("forbidden", "you are neither an administrator nor a service"),
            ("not_found", "there is no such user"),
        ],
        example: "{}",
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
        if world.sessions(context.target).locked_until.is_none() {
            return Ok(Vec::new());
        }
        let unlocked = UserUnlocked {
            user_id: context.target,
            by: UnlockedBy::Admin,
            by_user_id: authority.user(context),
        };
        Ok(vec![SessionEvent::UserUnlocked(unlocked).into()])
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::Event;

    use super::super::Check;
    use super::super::tests::{found, log_in, story};
    use super::*;
    use crate::story::id;
    use crate::{Actor, ErrorCode};

    #[test]
    fn a_lock_is_opened_by_those_who_may() {
        let anyone = Actor::Anonymous("anon-1".to_owned());
        let operator = Actor::Service("svc-operator".to_owned());
        story().when_actor(&operator, id(1), UnlockUser {}).then_nothing();
        story().when_actor(&operator, id(9), UnlockUser {}).refused(ErrorCode::NotFound);
        let locked = (0..5).fold(story(), |story, number| {
            story.findings(found(number, Check::Wrong)).failed(&anyone, id(1), log_in("d"))
        });
        for user in [1, 2] {
            locked.when(id(user), id(1), UnlockUser {}).refused(ErrorCode::Forbidden);
        }
        let (user_id, by) = (id(1), UnlockedBy::Admin);
        let unlocked = UserUnlocked { user_id, by, by_user_id: None };
        locked
            .when_actor(&operator, id(1), UnlockUser {})
            .then([Event::Sessions(SessionEvent::UserUnlocked(unlocked))]);
    }
}
