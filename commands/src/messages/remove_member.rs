use echolog_events::{MessagesEvent, ParticipantRemoved, Role, Stream};
use serde::{Deserialize, Serialize};

use crate::access::{member, need_member};
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Needs, Rejection, World};

/// Removes a member from a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveMember {
    /// Whom.
    pub user_id: Id,
}

impl Decide for RemoveMember {
    const STREAM: Stream = Stream::Conversation;
    const DOC: Doc = Doc {
        summary: "Removes a member of a lower role from a conversation.",
        target: "the conversation's id",
        fields: &[required("user_id", "UUID, whom to remove")],
        events: &["participant_removed"],
        refused: &[
            ("not_found", "there is no such conversation, or the user is no member of it"),
            ("forbidden", "the actor is no moderator of it, or the member's role is not lower"),
            ("conflict", "the conversation is a direct one, or the user is the actor"),
        ],
        example: r#"{"user_id":"0192f3c4-aaaa-7bbb-8ccc-000000000002"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_member(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        member.not_direct()?;
        let user_id = self.user_id.get();
        if user_id == member.user {
            return Err(Rejection::conflict("To go yourself, send `leave_conversation`."));
        }
        member.at_least(Role::Moderator)?;
        let old_role =
            *member.conversation.members.get(&user_id).ok_or_else(|| {
                Rejection::not_found("The user is no member of this conversation.")
            })?;
        if old_role >= member.role {
            return Err(Rejection::forbidden("Only members of a lower role can be removed."));
        }
        let removed = ParticipantRemoved {
            conversation_id: context.target,
            user_id,
            removed_by_user_id: member.user,
            old_role,
        };
        Ok(vec![MessagesEvent::ParticipantRemoved(removed).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{direct, group, here};
    use super::*;
    use crate::ErrorCode;
    use crate::story::id;

    fn remove(user: u16) -> RemoveMember {
        RemoveMember { user_id: id(user).into() }
    }

    #[test]
    fn removes_the_lower() {
        let removed = ParticipantRemoved {
            conversation_id: here(),
            user_id: id(4),
            removed_by_user_id: id(3),
            old_role: Role::Member,
        };
        group()
            .when(id(3), here(), remove(4))
            .then_messages([MessagesEvent::ParticipantRemoved(removed)]);
    }

    #[test]
    fn is_refused() {
        group().when(id(4), here(), remove(5)).refused(ErrorCode::Forbidden);
        group().when(id(2), here(), remove(1)).refused(ErrorCode::Forbidden);
        group().when(id(1), here(), remove(1)).refused(ErrorCode::Conflict);
        group().when(id(1), here(), remove(9)).refused(ErrorCode::NotFound);
        direct().when(id(1), here(), remove(2)).refused(ErrorCode::Conflict);
    }
}
