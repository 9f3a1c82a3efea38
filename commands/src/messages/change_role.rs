use echolog_events::{MessagesEvent, OwnershipTransferred, ParticipantRoleChanged, Role, Stream};
use serde::{Deserialize, Serialize};

use crate::access::{member, need_member};
use crate::doc::{Doc, required};
use crate::fields::Id;
use crate::{Context, Decide, Decision, Needs, Rejection, World};

/// Gives a member another role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRole {
    /// Whom.
    pub user_id: Id,
    /// Which; `owner` hands the conversation over.
    pub role: Role,
}

impl Decide for ChangeRole {
    const STREAM: Stream = Stream::Conversation;
    const DOC: Doc = Doc {
        summary: "Gives a member another role. `owner` hands the conversation over: the old owner becomes an admin.",
        target: "the conversation's id",
        fields: &[
            required("user_id", "UUID, whose role"),
            required("role", "`member`, `moderator`, `admin` or `owner`"),
        ],
        events: &["participant_role_changed", "conversation_ownership_transferred"],
        refused: &[
            ("not_found", "there is no such conversation, or the user is no member of it"),
            (
                "forbidden",
                "the actor is no admin, the member's role is not lower, or the new role is above the actor's",
            ),
            ("conflict", "the conversation is a direct one, or the user is the actor"),
        ],
        example: r#"{"user_id":"0192f3c4-aaaa-7bbb-8ccc-000000000002","role":"moderator"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_member(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        member.not_direct()?;
        member.at_least(Role::Admin)?;
        let user_id = self.user_id.get();
        if user_id == member.user {
            return Err(Rejection::conflict(
                "Nobody changes their own role; an owner makes another the owner.",
            ));
        }
        let old_role =
            *member.conversation.members.get(&user_id).ok_or_else(|| {
                Rejection::not_found("The user is no member of this conversation.")
            })?;
        if old_role >= member.role {
            return Err(Rejection::forbidden("Only roles of lower members can be changed."));
        }
        if self.role > member.role {
            return Err(Rejection::forbidden("Nobody gives a role above their own."));
        }
        if self.role == old_role {
            return Ok(Vec::new());
        }
        let conversation_id = context.target;
        let event = match self.role {
            Role::Owner => MessagesEvent::ConversationOwnershipTransferred(OwnershipTransferred {
                conversation_id,
                old_owner_user_id: member.user,
                new_owner_user_id: user_id,
                old_role,
            }),
            new_role @ (Role::Member | Role::Moderator | Role::Admin) => {
                MessagesEvent::ParticipantRoleChanged(ParticipantRoleChanged {
                    conversation_id,
                    user_id,
                    old_role,
                    new_role,
                })
            }
        };
        Ok(vec![event.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{direct, group, here};
    use super::*;
    use crate::story::id;
    use crate::{Actor, ErrorCode};

    fn to(user: u16, role: Role) -> ChangeRole {
        ChangeRole { user_id: id(user).into(), role }
    }

    #[test]
    fn changes_and_hands_over() {
        let changed = ParticipantRoleChanged {
            conversation_id: here(),
            user_id: id(4),
            old_role: Role::Member,
            new_role: Role::Moderator,
        };
        group()
            .when(id(2), here(), to(4, Role::Moderator))
            .then_messages([MessagesEvent::ParticipantRoleChanged(changed)]);
        group().when(id(1), here(), to(4, Role::Member)).then_nothing();
        let story = group().done(&Actor::User(id(1)), here(), to(4, Role::Owner));
        story.when(id(1), here(), to(4, Role::Member)).refused(ErrorCode::Forbidden);
        story.when(id(4), here(), to(1, Role::Member)).accepted();
    }

    #[test]
    fn is_refused() {
        group().when(id(3), here(), to(4, Role::Moderator)).refused(ErrorCode::Forbidden);
        group().when(id(2), here(), to(4, Role::Owner)).refused(ErrorCode::Forbidden);
        group().when(id(2), here(), to(1, Role::Member)).refused(ErrorCode::Forbidden);
        group().when(id(1), here(), to(1, Role::Member)).refused(ErrorCode::Conflict);
        group().when(id(1), here(), to(9, Role::Member)).refused(ErrorCode::NotFound);
        direct().when(id(1), here(), to(2, Role::Admin)).refused(ErrorCode::Conflict);
    }
}
