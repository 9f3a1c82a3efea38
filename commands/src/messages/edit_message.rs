use echolog_events::{MessageEdited, MessagesEvent, Stream};
use serde::{Deserialize, Serialize};

use super::metadata;
use crate::access::{any_message, member, need_blocks, need_member, not_deleted};
use crate::doc::{Doc, required};
use crate::fields::{Content, Id};
use crate::state::content_digest;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Puts one's own message differently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditMessage {
    /// Which.
    pub message_id: Id,
    /// The new text.
    pub content: Content,
}

impl Decide for EditMessage {
    const STREAM: Stream = Stream::Message;
    const DOC: Doc = Doc {
        summary: "Puts one's own text message differently. The same text again changes nothing.",
        target: "the conversation's id",
        fields: &[
            required("message_id", "UUID of a message of the conversation"),
            required("content", "text, at most 16 KiB, not empty"),
        ],
        events: &["message_edited"],
        refused: &[
            ("not_found", "there is no such conversation or message"),
            ("gone", "the message is deleted"),
            ("forbidden", "the message is another's, or the actor may not write here any more"),
            ("conflict", "messages of this type have no text to edit"),
            ("too_large", "the text is over 16 KiB"),
        ],
        example: r#"{"message_id":"0192f3c4-aaaa-7bbb-8ccc-000000000010","content":"Hello, world"}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        need_member(context, needs);
        need_blocks(context, world, needs);
        needs.want(Key::Message(context.target, self.message_id.get()));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        let message = any_message(world, context.target, self.message_id.get())?;
        if message.sender != member.user {
            return Err(Rejection::forbidden("Only the sender edits a message."));
        }
        member.not_blocked(world)?;
        not_deleted(message)?;
        if !metadata::is_editable(message.message_type) {
            let name = message.message_type.name();
            return Err(Rejection::conflict(format!(
                "A message of the type `{name}` has no text to edit."
            )));
        }
        if self.content.as_str().trim().is_empty() {
            return Err(Rejection::invalid(
                "content",
                "The text is empty; to take it back, delete it.",
            ));
        }
        if message.content == content_digest(self.content.as_str()) {
            return Ok(Vec::new());
        }
        let edited = MessageEdited {
            conversation_id: context.target,
            message_id: self.message_id.get(),
            editor_user_id: member.user,
            content: self.content.as_str().to_owned(),
        };
        Ok(vec![MessagesEvent::MessageEdited(edited).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{
        blocked, deleted, direct, group, here, message, message_sent, read, sent,
    };
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;
    use echolog_events::{MessageSent, MessageType};
    use serde_json::json;

    fn edit(number: u16, content: &str) -> EditMessage {
        read(json!({ "message_id": message(number), "content": content }))
    }

    #[test]
    fn edits_what_differs() {
        let story = group().messages([sent(1, id(4), "x")]);
        let edited = MessageEdited {
            conversation_id: here(),
            message_id: message(1),
            editor_user_id: id(4),
            content: "y".to_owned(),
        };
        story
            .when(id(4), here(), edit(1, "y"))
            .then_messages([MessagesEvent::MessageEdited(edited)]);
        story.when(id(4), here(), edit(1, "x")).then_nothing();
    }

    #[test]
    fn is_refused() {
        let image = MessageSent { message_type: MessageType::Image, ..message_sent(3, id(4), "") };
        let story = group().messages([
            sent(1, id(4), "x"),
            sent(2, id(4), "x"),
            deleted(2, id(4), id(1)),
            MessagesEvent::MessageSent(image),
        ]);
        story.when(id(1), here(), edit(1, "y")).refused(ErrorCode::Forbidden);
        story.when(id(9), here(), edit(1, "y")).refused(ErrorCode::Forbidden);
        story.when(id(1), here(), edit(2, "y")).refused(ErrorCode::Forbidden);
        story.when(id(4), here(), edit(2, "y")).refused(ErrorCode::Gone);
        story.when(id(4), here(), edit(3, "y")).refused(ErrorCode::Conflict);
        story.when(id(4), here(), edit(7, "y")).refused(ErrorCode::NotFound);
        story.when(id(4), here(), edit(1, " ")).refused(ErrorCode::Invalid);
        let direct = blocked(direct().messages([sent(1, id(1), "x")]), id(2), id(1));
        direct.when(id(1), here(), edit(1, "y")).refused(ErrorCode::Forbidden);
    }
}
