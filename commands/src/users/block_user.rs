use echolog_events::{Event, Stream, StreamKey, UserBlocked, UsersEvent};
use serde::{Deserialize, Serialize};

use crate::access::active_user;
use crate::doc::{Doc, optional, required};
use crate::fields::{Id, Text};
use crate::{Context, Decide, Decision, Key, Needs, NewEvent, Rejection, World};

/// How many a user may block.
const MAX_BLOCKED: usize = 10_000;

/// Blocks a user: nothing passes between the two in direct conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockUser {
    /// Whom.
    pub user_id: Id,
    /// Why; only the actor sees it.
    pub reason: Option<Text<0, 255>>,
}

impl Decide for BlockUser {
    const STREAM: Stream = Stream::Block;
    const DOC: Doc = Doc {
        summary: "Blocks a user: nothing passes between the two in direct conversations, and neither adds the other to a group. Blocking twice changes nothing.",
        target: "the actor's own user id",
        fields: &[
            required("user_id", "UUID, whom to block"),
            optional("reason", "text, at most 255 characters"),
        ],
        events: &["user_blocked"],
        refused: &[
            ("forbidden", "the target is not the actor"),
            ("invalid", "the actor themselves"),
            ("not_found", "there is no such user"),
            ("conflict", "10,000 users are blocked already"),
        ],
        example: r#"{"user_id":"0192f3c4-aaaa-7bbb-8ccc-000000000002","reason":"spam"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::User(context.target));
        if let Ok(user) = context.user() {
            needs.want(Key::User(user));
        }
        needs.want(Key::User(self.user_id.get()));
        needs.want(Key::Block(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        active_user(context, world)?;
        let user_id = context.own_user()?;
        let blocked_user_id = self.user_id.get();
        if blocked_user_id == user_id {
            return Err(Rejection::invalid("user_id", "Nobody can block themselves."));
        }
        if world.user(blocked_user_id).is_none() {
            return Err(Rejection::not_found("There is no such user."));
        }
        if world.blocks(user_id, blocked_user_id) {
            return Ok(Vec::new());
        }
        if world.blocked_by(user_id).is_some_and(|blocks| blocks.len() >= MAX_BLOCKED) {
            return Err(Rejection::conflict(format!(
                "At most {MAX_BLOCKED} users can be blocked."
            )));
        }
        let reason = self.reason.as_ref().map(|reason| reason.as_str().to_owned());
        let reason = reason.filter(|reason| !reason.is_empty());
        let event = UserBlocked { user_id, blocked_user_id, reason };
        let key = StreamKey::of(Stream::Block, user_id);
        Ok(vec![NewEvent::new(key, Event::Users(UsersEvent::UserBlocked(event)))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn block(user: u16) -> BlockUser {
        BlockUser { user_id: id(user).into(), reason: None }
    }

    #[test]
    fn blocks_once() {
        let story = Story::new().users([id(1), id(2)]);
        let event = UserBlocked { user_id: id(1), blocked_user_id: id(2), reason: None };
        story.when(id(1), id(1), block(2)).then([Event::Users(UsersEvent::UserBlocked(event))]);
        let story = story.done(&Actor::User(id(1)), id(1), block(2));
        story.when(id(1), id(1), block(2)).then_nothing();
    }

    #[test]
    fn blocks_only_so_many() {
        let blocked = (0..MAX_BLOCKED).map(|number| UserBlocked {
            user_id: id(1),
            blocked_user_id: echolog_events::Uuid::from_u128(number as u128),
            reason: None,
        });
        let key = StreamKey::of(Stream::Block, id(1));
        let story = blocked.fold(Story::new().users([id(1), id(2)]), |story, event| {
            story.event(key.clone(), Event::Users(UsersEvent::UserBlocked(event)))
        });
        story.when(id(1), id(1), block(2)).refused(ErrorCode::Conflict);
    }

    #[test]
    fn is_refused() {
        let story = Story::new().users([id(1), id(2)]);
        story.when(id(1), id(1), block(1)).refused(ErrorCode::Invalid);
        story.when(id(1), id(1), block(3)).refused(ErrorCode::NotFound);
        story.when(id(1), id(2), block(2)).refused(ErrorCode::Forbidden);
        story.when(id(3), id(3), block(2)).refused(ErrorCode::Unauthenticated);
    }
}
