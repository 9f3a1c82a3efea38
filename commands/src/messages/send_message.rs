use echolog_events::{
    ConversationType, MessageSent, MessageType, MessagesEvent, Role, Stream, Uuid,
};
use serde::{Deserialize, Serialize};

use super::metadata;
use crate::access::{live_message, member, need_blocks, need_member};
use crate::doc::{Doc, optional, required};
use crate::fields::{Content, Id, Metadata, NewId, UserIds};
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Says something in a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// The new message's id.
    pub message_id: NewId,
    /// What kind it is; text if it is left out.
    pub message_type: Option<MessageType>,
    /// The text.
    pub content: Option<Content>,
    /// What else belongs to a message of this type.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it answers, in the same conversation.
    pub reply_to_message_id: Option<Id>,
    /// What it passes on.
    pub forward_from_message_id: Option<Id>,
    /// Where that is; the same conversation if it is left out.
    pub forward_from_conversation_id: Option<Id>,
    /// Members that it names.
    #[serde(default)]
    pub mentions: UserIds<0, 50>,
}

impl SendMessage {
    /// What it passes on: conversation and message.
    fn forwarded(&self, here: Uuid) -> Option<(Uuid, Uuid)> {
        let message = self.forward_from_message_id?.get();
        Some((self.forward_from_conversation_id.map_or(here, Id::get), message))
    }

    fn check_forward(
        &self,
        context: &Context<'_>,
        world: &World,
        user: Uuid,
    ) -> Result<(), Rejection> {
        let about = |mut rejection: Rejection| {
            rejection.field = Some("forward_from_message_id".to_owned());
            rejection
        };
        match self.forwarded(context.target) {
            None if self.forward_from_conversation_id.is_some() => Err(Rejection::invalid(
                "forward_from_message_id",
                "The message to pass on is missing.",
            )),
            None => Ok(()),
            Some((conversation, message)) => {
                let source = world
                    .conversation(conversation)
                    .ok_or_else(|| about(Rejection::not_found("There is no such conversation.")))?;
                if !source.members.contains_key(&user) {
                    let message = "Only members of a conversation pass its messages on.";
                    return Err(about(Rejection::forbidden(message)));
                }
                live_message(world, conversation, message).map(|_| ()).map_err(about)
            }
        }
    }
}

impl Decide for SendMessage {
    const STREAM: Stream = Stream::Message;
    const DOC: Doc = Doc {
        summary: "Says something in a conversation. In channels and broadcasts, moderators and above do.",
        target: "the conversation's id",
        fields: &[
            required("message_id", "UUIDv7 made by the client; unique in the conversation"),
            optional(
                "message_type",
                "`text` (default), `image`, `video`, `audio`, `document`, `location`, `contact`, `sticker` or `poll`",
            ),
            optional("content", "text, at most 16 KiB; needed for the type `text`"),
            optional("metadata", "map, what belongs to the type: see the table of message types"),
            optional("reply_to_message_id", "UUID of a message of the same conversation"),
            optional("forward_from_message_id", "UUID of a message that the actor can read"),
            optional(
                "forward_from_conversation_id",
                "UUID of its conversation; default: the target",
            ),
            optional("mentions", "at most 50 UUIDs of members"),
        ],
        events: &["message_sent"],
        refused: &[
            ("not_found", "there is no such conversation, or no such message to answer or pass on"),
            ("gone", "the message to answer or pass on is deleted"),
            (
                "forbidden",
                "the actor is no member, may not send here, or one of the two has blocked the other",
            ),
            ("already_exists", "there is a message with this id in the conversation"),
            ("too_large", "the text is over 16 KiB"),
        ],
        example: r#"{"message_id":"0192f3c4-aaaa-7bbb-8ccc-000000000010","message_type":"text","content":"Hello","metadata":{},"reply_to_message_id":"0192f3c4-aaaa-7bbb-8ccc-000000000011","forward_from_message_id":"0192f3c4-aaaa-7bbb-8ccc-000000000012","forward_from_conversation_id":"0192f3c4-aaaa-7bbb-8ccc-000000000013","mentions":["0192f3c4-aaaa-7bbb-8ccc-000000000002"]}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        need_member(context, needs);
        need_blocks(context, world, needs);
        needs.want(Key::Message(context.target, self.message_id.get()));
        if let Some(replied) = self.reply_to_message_id {
            needs.want(Key::Message(context.target, replied.get()));
        }
        if let Some((conversation, message)) = self.forwarded(context.target) {
            needs.want(Key::Conversation(conversation));
            needs.want(Key::Message(conversation, message));
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        let conversation = member.conversation;
        match conversation.conversation_type {
            ConversationType::Channel | ConversationType::Broadcast => {
                member.at_least(Role::Moderator)?;
            }
            ConversationType::Direct => member.not_blocked(world)?,
            ConversationType::Group => {}
        }
        let message_type = self.message_type.unwrap_or(MessageType::Text);
        let content = self.content.as_ref().map_or("", Content::as_str);
        metadata::check(message_type, content, &self.metadata)?;
        let message_id = self.message_id.get();
        if world.message(context.target, message_id).is_some() {
            return Err(Rejection::already_exists("There is a message with this id already."));
        }
        let thread_root = match self.reply_to_message_id {
            Some(replied) => {
                let message = live_message(world, context.target, replied.get()).map_err(
                    |mut rejection| {
                        rejection.field = Some("reply_to_message_id".to_owned());
                        rejection
                    },
                )?;
                Some(message.thread_root.unwrap_or(replied.get()))
            }
            None => None,
        };
        self.check_forward(context, world, member.user)?;
        for (index, mentioned) in self.mentions.iter().enumerate() {
            if !conversation.members.contains_key(&mentioned) {
                let field = format!("mentions[{index}]");
                return Err(Rejection::invalid(&field, "Only members can be mentioned."));
            }
        }
        let forwarded = self.forwarded(context.target);
        let sent = MessageSent {
            conversation_id: context.target,
            message_id,
            sender_user_id: member.user,
            recipient_user_id: conversation.counterpart(member.user),
            message_type,
            content: content.to_owned(),
            content_encrypted: conversation.is_encrypted,
            metadata: self.metadata.as_map().clone(),
            reply_to_message_id: self.reply_to_message_id.map(Id::get),
            thread_root_message_id: thread_root,
            forward_from_message_id: forwarded.map(|(_, message)| message),
            forward_from_conversation_id: forwarded.map(|(conversation, _)| conversation),
            mentions: self.mentions.iter().collect(),
        };
        Ok(vec![MessagesEvent::MessageSent(sent).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{
        blocked, conversation, deleted, direct, group, here, message, message_sent, read, sent,
    };
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;
    use serde_json::{Value, json};

    fn send(number: u16, rest: Value) -> SendMessage {
        let mut body = json!({ "message_id": message(number), "content": "Hello" });
        if let (Some(body), Some(rest)) = (body.as_object_mut(), rest.as_object()) {
            body.extend(rest.clone());
        }
        read(body)
    }

    #[test]
    fn a_text() {
        group().when(id(4), here(), send(1, json!({}))).then_messages([sent(1, id(4), "Hello")]);
    }

    #[test]
    fn a_direct_message_has_a_recipient() {
        let expected =
            MessageSent { recipient_user_id: Some(id(2)), ..message_sent(1, id(1), "Hello") };
        direct()
            .when(id(1), here(), send(1, json!({})))
            .then_messages([MessagesEvent::MessageSent(expected)]);
    }

    #[test]
    fn a_thread_has_one_root() {
        let first = MessageSent {
            reply_to_message_id: Some(message(1)),
            thread_root_message_id: Some(message(1)),
            ..message_sent(2, id(2), "an answer")
        };
        let story =
            group().messages([sent(1, id(1), "a question"), MessagesEvent::MessageSent(first)]);
        let events = story
            .when(id(3), here(), send(3, json!({ "reply_to_message_id": message(2) })))
            .accepted();
        let echolog_events::Event::Messages(MessagesEvent::MessageSent(second)) = &events[0].event
        else {
            panic!("a message is sent");
        };
        assert_eq!(second.reply_to_message_id, Some(message(2)));
        assert_eq!(second.thread_root_message_id, Some(message(1)));
    }

    #[test]
    fn members_read_in_channels() {
        let roles = [Role::Owner, Role::Moderator, Role::Member];
        for kind in [ConversationType::Channel, ConversationType::Broadcast] {
            let story = conversation(kind, &roles);
            story.when(id(2), here(), send(1, json!({}))).accepted();
            story.when(id(3), here(), send(1, json!({}))).refused(ErrorCode::Forbidden);
        }
    }

    #[test]
    fn a_block_stops_both_ways() {
        for (by, whom) in [(1, 2), (2, 1)] {
            let story = blocked(direct(), id(by), id(whom));
            for sender in [1, 2] {
                story.when(id(sender), here(), send(1, json!({}))).refused(ErrorCode::Forbidden);
            }
        }
        blocked(group(), id(1), id(2)).when(id(2), here(), send(1, json!({}))).accepted();
    }

    #[test]
    fn is_refused() {
        let story =
            group().messages([sent(1, id(1), "x"), sent(2, id(1), "y"), deleted(2, id(1), id(1))]);
        let refused = |user, rest, code| story.when(id(user), here(), send(3, rest)).refused(code);
        refused(9, json!({}), ErrorCode::Forbidden);
        refused(8, json!({}), ErrorCode::Unauthenticated);
        refused(1, json!({ "content": "" }), ErrorCode::Invalid);
        refused(1, json!({ "message_type": "system" }), ErrorCode::Invalid);
        refused(1, json!({ "reply_to_message_id": message(9) }), ErrorCode::NotFound);
        refused(1, json!({ "reply_to_message_id": message(2) }), ErrorCode::Gone);
        refused(1, json!({ "forward_from_message_id": message(2) }), ErrorCode::Gone);
        let elsewhere = json!({ "forward_from_message_id": message(1), "forward_from_conversation_id": id(101) });
        refused(1, elsewhere, ErrorCode::NotFound);
        let wrong = refused(1, json!({ "mentions": [id(2), id(9)] }), ErrorCode::Invalid);
        assert_eq!(wrong.field.as_deref(), Some("mentions[1]"));
        story.when(id(1), here(), send(1, json!({}))).refused(ErrorCode::AlreadyExists);
        story.when(id(1), id(101), send(3, json!({}))).refused(ErrorCode::NotFound);
    }
}
