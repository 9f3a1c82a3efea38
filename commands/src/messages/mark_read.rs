use echolog_events::{ConversationRead as Moved, MessagesEvent, Stream};
use serde::{Deserialize, Serialize};

use crate::access::{any_message, member, need_member};
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, World};

/// Says that the actor has read everything up to a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// The last one.
    pub message_id: Id,
}

impl Decide for MarkRead {
    const STREAM: Stream = Stream::Message;
    const DOC: Doc = Doc {
        summary: "Says that the actor has read everything up to a message. A position only moves forward: an earlier message changes nothing.",
        target: "the conversation's id",
        fields: &[required("message_id", "UUID of the last message, deleted or not")],
        events: &["conversation_read"],
        refused: &[
            ("not_found", "there is no such conversation or message"),
            ("forbidden", "the actor is no member"),
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
        any_message(world, context.target, message_id)?;
        let moved = Moved { conversation_id: context.target, user_id: member.user, message_id };
        Ok(vec![MessagesEvent::ConversationRead(moved).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{deleted, group, here, message, sent};
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;

    fn mark(number: u16) -> MarkRead {
        MarkRead { message_id: message(number).into() }
    }

    #[test]
    fn marks_up_to_a_message() {
        let story = group().messages([sent(1, id(1), "x"), deleted(1, id(1), id(1))]);
        let moved = Moved { conversation_id: here(), user_id: id(4), message_id: message(1) };
        story.when(id(4), here(), mark(1)).then_messages([MessagesEvent::ConversationRead(moved)]);
    }

    #[test]
    fn is_refused() {
        let story = group().messages([sent(1, id(1), "x")]);
        story.when(id(4), here(), mark(2)).refused(ErrorCode::NotFound);
        story.when(id(9), here(), mark(1)).refused(ErrorCode::Forbidden);
    }
}
