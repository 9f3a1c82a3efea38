use echolog_events::{ConversationType, MessagesEvent, Pin, Role, Stream};
use serde::{Deserialize, Serialize};

use crate::access::{member, need_member};
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Takes a message off the top of its conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnpinMessage {
    /// Which.
    pub message_id: Id,
}

impl Decide for UnpinMessage {
    const STREAM: Stream = Stream::Message;
    const DOC: Doc = Doc {
        summary: "Takes a message off the top of its conversation. Admins do; in a direct conversation, both. The same again changes nothing.",
        target: "the conversation's id",
        fields: &[required("message_id", "UUID of a message of the conversation")],
        events: &["message_unpinned"],
        refused: &[
            ("not_found", "there is no such conversation or message"),
            ("forbidden", "the actor is no admin"),
        ],
        example: r#"{"message_id":"0192f3c4-aaaa-7bbb-8ccc-000000000010"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_member(context, needs);
        needs.want(Key::Message(context.target, self.message_id.get()));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        if member.conversation.conversation_type != ConversationType::Direct {
            member.at_least(Role::Admin)?;
        }
        let message_id = self.message_id.get();
        if world.message(context.target, message_id).is_none() {
            return Err(Rejection::not_found("There is no such message in this conversation."));
        }
        let pin = Pin { conversation_id: context.target, message_id, user_id: member.user };
        Ok(vec![MessagesEvent::MessageUnpinned(pin).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{deleted, direct, group, here, message, sent};
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;

    fn pin(number: u16) -> UnpinMessage {
        UnpinMessage { message_id: message(number).into() }
    }

    #[test]
    fn admins_do_and_both_in_a_direct_conversation() {
        let story = group().messages([sent(1, id(4), "x")]);
        let done = Pin { conversation_id: here(), message_id: message(1), user_id: id(2) };
        story.when(id(2), here(), pin(1)).then_messages([MessagesEvent::MessageUnpinned(done)]);
        let story = direct().messages([sent(1, id(1), "x")]);
        story.when(id(2), here(), pin(1)).accepted();
    }

    #[test]
    fn is_refused() {
        let story =
            group().messages([sent(1, id(4), "x"), sent(2, id(4), "x"), deleted(2, id(4), id(4))]);
        story.when(id(3), here(), pin(1)).refused(ErrorCode::Forbidden);
        story.when(id(9), here(), pin(1)).refused(ErrorCode::Forbidden);
        story.when(id(1), here(), pin(3)).refused(ErrorCode::NotFound);
        story.when(id(1), here(), pin(2)).accepted();
    }
}
