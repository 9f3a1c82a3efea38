use echolog_events::{MessagesEvent, ParticipantJoined, Role, Stream};
use serde::{Deserialize, Serialize};

use crate::access::{member, need_member, neither_blocks, present};
use crate::doc::{Doc, required};
use crate::fields::UserIds;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

/// Brings users into a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddMembers {
    /// Whom; those who are members already are passed over.
    pub user_ids: UserIds<1, 256>,
}

impl Decide for AddMembers {
    const STREAM: Stream = Stream::Conversation;
    const DOC: Doc = Doc {
        summary: "Brings users into a conversation. Those who are members already are passed over.",
        target: "the conversation's id",
        fields: &[required("user_ids", "1 to 256 UUIDs, each once")],
        events: &["participant_joined"],
        refused: &[
            ("not_found", "there is no such conversation, or no such user (`field` says which)"),
            ("forbidden", "the actor is no admin of it, or one of the two blocks the other"),
            ("conflict", "the conversation is a direct one, or would have too many members"),
        ],
        example: r#"{"user_ids":["0192f3c4-aaaa-7bbb-8ccc-000000000002"]}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_member(context, needs);
        if let Ok(user) = context.user() {
            needs.want(Key::Block(user));
        }
        for user in self.user_ids.iter() {
            needs.want(Key::User(user));
            needs.want(Key::Block(user));
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let member = member(context, world)?;
        member.not_direct()?;
        member.at_least(Role::Admin)?;
        let members = &member.conversation.members;
        let mut events = Vec::new();
        for (index, user_id) in self.user_ids.iter().enumerate() {
            if members.contains_key(&user_id) {
                continue;
            }
            let about = |mut rejection: Rejection| {
                rejection.field = Some(format!("user_ids[{index}]"));
                rejection
            };
            present(world, user_id).map_err(about)?;
            neither_blocks(world, member.user, user_id).map_err(about)?;
            let joined = ParticipantJoined {
                conversation_id: context.target,
                user_id,
                role: Role::Member,
                invited_by_user_id: Some(member.user),
            };
            events.push(MessagesEvent::ParticipantJoined(joined).into());
        }
        if members.len() + events.len() > context.settings.max_members {
            return Err(Rejection::conflict("That is more members than a conversation may have."));
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::{blocked, direct, group, here, joined, read};
    use super::*;
    use crate::story::id;
    use crate::{ErrorCode, Settings};
    use serde_json::json;

    fn add(users: &[u16]) -> AddMembers {
        let users: Vec<_> = users.iter().map(|user| id(*user)).collect();
        read(json!({ "user_ids": users }))
    }

    #[test]
    fn passes_members_over() {
        group().when(id(2), here(), add(&[4, 9])).then_messages([joined(
            id(9),
            Role::Member,
            Some(id(2)),
        )]);
        group().when(id(1), here(), add(&[4, 5])).then_nothing();
    }

    #[test]
    fn is_refused() {
        group().when(id(3), here(), add(&[9])).refused(ErrorCode::Forbidden);
        group().when(id(1), here(), add(&[8])).refused(ErrorCode::NotFound);
        direct().when(id(1), here(), add(&[9])).refused(ErrorCode::Conflict);
        blocked(group(), id(9), id(1)).when(id(1), here(), add(&[9])).refused(ErrorCode::Forbidden);
        let settings = Settings { max_members: 5, ..Settings::default() };
        group().settings(settings).when(id(1), here(), add(&[9])).refused(ErrorCode::Conflict);
    }
}
