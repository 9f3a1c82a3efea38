use echolog_events::{MessagesEvent, Reaction, Stream};
use serde::{Deserialize, Serialize};

use crate::access::{any_message, member, need_blocks, need_member, not_deleted};
use crate::doc::{Doc, required};
use crate::fields::{Emoji, Id};
use crate::{Context, Decide, Decision, Key, Needs, World};

/// Reacts to a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddReaction {
    /// To which message.
    pub message_id: Id,
    /// With what.
    pub emoji: Emoji,
}

impl Decide for AddReaction {
    const STREAM: Stream = Stream::Message;
    const DOC: Doc = Doc {
        summary: "Reacts to a message. The same again changes nothing.",
        target: "the conversation's id",
        fields: &[
            required("message_id", "UUID of a message of the conversation"),
            required("emoji", "an emoji, or a short code such as `:wave:`; at most 64 bytes"),
        ],
        events: &["reaction_added"],
        refused: &[
            ("not_found", "there is no such conversation or message"),
            ("gone", "the message is deleted"),
            ("forbidden", "the actor is no member, or one of the two has blocked the other"),
        ],
        example: r#"{"message_id":"0192f3c4-aaaa-7bbb-8ccc-000000000010","emoji":"👍"}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        need_member(context, needs);
        need_blocks(context, world, needs);
        needs.want(Key::Message(context.target, self.message_id.get()));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        let message_id = self.message_id.get();
        let message = any_message(world, context.target, message_id)?;
        member.not_blocked(world)?;
        not_deleted(message)?;
        // Whether it is there already is the projection's to know: reactions are a set.
        let reaction = Reaction {
            conversation_id: context.target,
            message_id,
            user_id: member.user,
            emoji: self.emoji.as_str().to_owned(),
        };
        Ok(vec![MessagesEvent::ReactionAdded(reaction).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{deleted, group, here, message, read, sent};
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;
    use serde_json::json;

    fn react(number: u16) -> AddReaction {
        read(json!({ "message_id": message(number), "emoji": "👍" }))
    }

    #[test]
    fn members_react() {
        let story = group().messages([sent(1, id(1), "x")]);
        let reaction = Reaction {
            conversation_id: here(),
            message_id: message(1),
            user_id: id(5),
            emoji: "👍".to_owned(),
        };
        story.when(id(5), here(), react(1)).then_messages([MessagesEvent::ReactionAdded(reaction)]);
    }

    #[test]
    fn is_refused() {
        let story = group().messages([sent(1, id(1), "x"), deleted(1, id(1), id(1))]);
        story.when(id(2), here(), react(1)).refused(ErrorCode::Gone);
        story.when(id(2), here(), react(2)).refused(ErrorCode::NotFound);
        story.when(id(9), here(), react(1)).refused(ErrorCode::Forbidden);
    }

    #[test]
    fn a_block_stops_reactions() {
        use super::super::given::{blocked, direct};
        let story = blocked(direct().messages([sent(1, id(1), "x")]), id(1), id(2));
        story.when(id(2), here(), react(1)).refused(ErrorCode::Forbidden);
    }
}
