use echolog_events::{MessagesEvent, ParticipantLeft, Role, Stream};
use serde::{Deserialize, Serialize};

use crate::access::{member, need_member};
use crate::doc::Doc;
use crate::{Context, Decide, Decision, Needs, Rejection, World};

/// Leaves a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveConversation {}

impl Decide for LeaveConversation {
    const STREAM: Stream = Stream::Conversation;
    const DOC: Doc = Doc {
        summary: "Leaves a conversation. An owner hands it over first, unless nobody else is there.",
        target: "the conversation's id",
        fields: &[],
        events: &["participant_left"],
        refused: &[
            ("not_found", "there is no such conversation"),
            ("forbidden", "the actor is no member of it"),
            ("conflict", "the conversation is a direct one, or the actor owns it"),
        ],
        example: "{}",
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_member(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        member.not_direct()?;
        if member.role == Role::Owner && member.conversation.members.len() > 1 {
            return Err(Rejection::conflict(
                "The owner hands the conversation over first: `change_role` to `owner`.",
            ));
        }
        let left = ParticipantLeft {
            conversation_id: context.target,
            user_id: member.user,
            old_role: member.role,
        };
        Ok(vec![MessagesEvent::ParticipantLeft(left).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{conversation, direct, group, here};
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;
    use echolog_events::ConversationType;

    #[test]
    fn leaves() {
        let left =
            ParticipantLeft { conversation_id: here(), user_id: id(2), old_role: Role::Admin };
        group()
            .when(id(2), here(), LeaveConversation {})
            .then_messages([MessagesEvent::ParticipantLeft(left)]);
        let alone = conversation(ConversationType::Group, &[Role::Owner]);
        alone.when(id(1), here(), LeaveConversation {}).accepted();
    }

    #[test]
    fn is_refused() {
        group().when(id(1), here(), LeaveConversation {}).refused(ErrorCode::Conflict);
        group().when(id(9), here(), LeaveConversation {}).refused(ErrorCode::Forbidden);
        direct().when(id(2), here(), LeaveConversation {}).refused(ErrorCode::Conflict);
    }
}
