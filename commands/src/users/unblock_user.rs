use echolog_events::{Event, Stream, StreamKey, UserUnblocked, UsersEvent};
use serde::{Deserialize, Serialize};

use crate::access::active_user;
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, NewEvent, World};

/// Unblocks a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnblockUser {
    /// Whom.
    pub user_id: Id,
}

impl Decide for UnblockUser {
    const STREAM: Stream = Stream::Block;
    const DOC: Doc = Doc {
        summary: "Unblocks a user. Unblocking someone who is not blocked changes nothing.",
        target: "the actor's own user id",
        fields: &[required("user_id", "UUID, whom to unblock")],
        events: &["user_unblocked"],
        refused: &[("forbidden", "the target is not the actor")],
        example: r#"{"user_id":"0192f3c4-aaaa-7bbb-8ccc-000000000002"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        if let Ok(user) = context.user() {
            needs.want(Key::User(user));
        }
        needs.want(Key::Block(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        active_user(context, world)?;
        let user_id = context.own_user()?;
        let blocked_user_id = self.user_id.get();
        if !world.blocks(user_id, blocked_user_id) {
            return Ok(Vec::new());
        }
        let event = UserUnblocked { user_id, blocked_user_id };
        let key = StreamKey::of(Stream::Block, user_id);
        Ok(vec![NewEvent::new(key, Event::Users(UsersEvent::UserUnblocked(event)))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, id};
    use crate::users::BlockUser;
    use crate::{Actor, ErrorCode};

    #[test]
    fn unblocks_once() {
        let story = Story::new().users([id(1), id(2)]);
        let unblock = UnblockUser { user_id: id(2).into() };
        story.when(id(1), id(1), unblock.clone()).then_nothing();
        let block = BlockUser { user_id: id(2).into(), reason: None };
        let story = story.done(&Actor::User(id(1)), id(1), block);
        let event = UserUnblocked { user_id: id(1), blocked_user_id: id(2) };
        story
            .when(id(1), id(1), unblock.clone())
            .then([Event::Users(UsersEvent::UserUnblocked(event))]);
        story.when(id(2), id(1), unblock).refused(ErrorCode::Forbidden);
    }
}
