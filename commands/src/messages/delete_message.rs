use echolog_events::{MessageDeleted, MessagesEvent, Role, Stream};
use serde::{Deserialize, Serialize};

use crate::access::{any_message, member, need_member, not_deleted};
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, World};

/// Takes a message back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteMessage {
    /// Which.
    pub message_id: Id,
}

impl Decide for DeleteMessage {
    const STREAM: Stream = Stream::Message;
    const DOC: Doc = Doc {
        summary: "Takes a message back: one's own, or as a moderator anyone's.",
        target: "the conversation's id",
        fields: &[required("message_id", "UUID of a message of the conversation")],
        events: &["message_deleted"],
        refused: &[
            ("not_found", "there is no such conversation or message"),
            ("gone", "the message is deleted already"),
            ("forbidden", "the message is another's and the actor no moderator"),
        ],
        example: r#"{"message_id":"0192f3c4-aaaa-7bbb-8ccc-000000000010"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_member(context, needs);
        needs.want(Key::Message(context.target, self.message_id.get()));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        let message_id = self.message_id.get();
        let message = any_message(world, context.target, message_id)?;
        if message.sender != member.user {
            member.at_least(Role::Moderator)?;
        }
        not_deleted(message)?;
        let deleted = MessageDeleted {
            conversation_id: context.target,
            message_id,
            deleted_by_user_id: member.user,
            sender_user_id: message.sender,
        };
        Ok(vec![MessagesEvent::MessageDeleted(deleted).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{deleted, group, here, message, sent};
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;

    fn delete(number: u16) -> DeleteMessage {
        DeleteMessage { message_id: message(number).into() }
    }

    #[test]
    fn the_sender_and_moderators_delete() {
        let story = group().messages([sent(1, id(4), "x")]);
        for user in [4, 3, 1] {
            story.when(id(user), here(), delete(1)).then_messages([deleted(1, id(4), id(user))]);
        }
    }

    #[test]
    fn is_refused() {
        let story =
            group().messages([sent(1, id(4), "x"), sent(2, id(4), "x"), deleted(2, id(4), id(4))]);
        story.when(id(5), here(), delete(1)).refused(ErrorCode::Forbidden);
        story.when(id(4), here(), delete(2)).refused(ErrorCode::Gone);
        story.when(id(4), here(), delete(3)).refused(ErrorCode::NotFound);
    }
}
