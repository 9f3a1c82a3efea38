use echolog_events::{
    AccountStatus, ConversationType, MessagesEvent, OwnershipTransferred, ParticipantLeft, Role,
    Stream, Uuid,
};
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, optional, required};
use crate::fields::Id;
use crate::state::Conversation;
use crate::{Actor, Context, Decide, Decision, Key, Needs, Rejection, World};

/// Lets somebody leave a conversation whose account is deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveDeletedMember {
    /// Who.
    pub user_id: Id,
    /// Who has been there longest of the highest.
    pub successor_user_id: Option<Id>,
}

impl Decide for RemoveDeletedMember {
    const STREAM: Stream = Stream::Conversation;
    const DOC: Doc = Doc {
        summary: "Lets somebody leave a conversation whose account is deleted; if they own it, somebody of the highest role takes it over. Echolog's own workers send it. A direct conversation stays as it is; somebody who is no member is no error.",
        target: "the conversation's id",
        fields: &[
            required("user_id", "UUID, who leaves"),
            optional(
                "successor_user_id",
                "UUID, who takes it over if the role is as high as anybody's; default: of those the one with the lowest id",
            ),
        ],
        events: &["conversation_ownership_transferred", "participant_left"],
        refused: &[
            ("forbidden", "you are no service"),
            ("not_found", "there is no such conversation"),
            ("conflict", "the account is not deleted"),
        ],
        example: r#"{"user_id":"0192f3c4-aaaa-7bbb-8ccc-000000000002","successor_user_id":"0192f3c4-aaaa-7bbb-8ccc-000000000003"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::User(self.user_id.get()));
        needs.want(Key::Conversation(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        if !matches!(context.actor, Actor::Service(_)) {
            return Err(Rejection::forbidden("This is for services."));
        }
        let (conversation_id, user_id) = (context.target, self.user_id.get());
        let deleted = world.user(user_id).is_some_and(|user| user.status == AccountStatus::Deleted);
        if !deleted {
            return Err(Rejection::conflict("The account is not deleted."));
        }
        let conversation = world
            .conversation(conversation_id)
            .ok_or_else(|| Rejection::not_found("There is no such conversation."))?;
        let is_direct = conversation.conversation_type == ConversationType::Direct;
        let Some(mut old_role) = conversation.members.get(&user_id).copied().filter(|_| !is_direct)
        else {
            return Ok(Vec::new());
        };
        let mut events = Vec::new();
        let heir = self.heir(conversation).filter(|_| old_role == Role::Owner);
        if let Some((new_owner_user_id, role)) = heir {
            let transferred = OwnershipTransferred {
                conversation_id,
                old_owner_user_id: user_id,
                new_owner_user_id,
                old_role: role,
            };
            let event = MessagesEvent::ConversationOwnershipTransferred(transferred);
            events.push(event.into());
            // As the transfer leaves it.
            old_role = Role::Admin;
        }
        let left = ParticipantLeft { conversation_id, user_id, old_role };
        events.push(MessagesEvent::ParticipantLeft(left).into());
        Ok(events)
    }
}

impl RemoveDeletedMember {
    /// Who takes the conversation over, and as what they were there before.
    fn heir(&self, conversation: &Conversation) -> Option<(Uuid, Role)> {
        let leaves = self.user_id.get();
        let others = || conversation.members.iter().filter(|(user, _)| **user != leaves);
        let highest = *others().map(|(_, role)| role).max()?;
        let named = self.successor_user_id.map(Id::get);
        let mut highest = others().filter(|(_, role)| **role == highest);
        let heir = highest.clone().find(|(user, _)| Some(**user) == named);
        heir.or_else(|| highest.next()).map(|(user, role)| (*user, *role))
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{AccountEvent, Event, StreamKey, UserDeleted};

    use super::super::given::{conversation, direct, group, here};
    use super::*;
    use crate::ErrorCode;
    use crate::story::{Story, id};

    fn gone(story: Story, user: u16) -> Story {
        let deleted = UserDeleted { user_id: id(user), reason: None, by_user_id: None };
        let event = Event::Accounts(AccountEvent::UserDeleted(deleted));
        story.event(StreamKey::of(Stream::User, id(user)), event)
    }

    fn remove(user: u16, successor: Option<u16>) -> RemoveDeletedMember {
        let successor_user_id = successor.map(|user| id(user).into());
        RemoveDeletedMember { user_id: id(user).into(), successor_user_id }
    }

    fn worker() -> Actor {
        Actor::Service(Actor::WORKER.to_owned())
    }

    fn left(user: u16, old_role: Role) -> MessagesEvent {
        let left = ParticipantLeft { conversation_id: here(), user_id: id(user), old_role };
        MessagesEvent::ParticipantLeft(left)
    }

    fn taken_over(by: u16, old_role: Role) -> MessagesEvent {
        MessagesEvent::ConversationOwnershipTransferred(OwnershipTransferred {
            conversation_id: here(),
            old_owner_user_id: id(1),
            new_owner_user_id: id(by),
            old_role,
        })
    }

    #[test]
    fn whoever_is_gone_leaves() {
        let story = gone(group(), 4);
        let ending = story.when_actor(&worker(), here(), remove(4, Some(5)));
        ending.then_messages([left(4, Role::Member)]);
        let story = story.done(&worker(), here(), remove(4, None));
        story.when_actor(&worker(), here(), remove(4, None)).then_nothing();
    }

    #[test]
    fn an_owner_is_followed_by_the_highest() {
        let story = gone(group(), 1);
        for successor in [None, Some(2), Some(5), Some(9)] {
            let ending = story.when_actor(&worker(), here(), remove(1, successor));
            ending.then_messages([taken_over(2, Role::Admin), left(1, Role::Admin)]);
        }
        let roles = [Role::Owner, Role::Member, Role::Member];
        let story = gone(conversation(ConversationType::Group, &roles), 1);
        for (named, heir) in [(None, 2), (Some(3), 3)] {
            let ending = story.when_actor(&worker(), here(), remove(1, named));
            ending.then_messages([taken_over(heir, Role::Member), left(1, Role::Admin)]);
        }
        let alone = gone(conversation(ConversationType::Group, &[Role::Owner]), 1);
        let ending = alone.when_actor(&worker(), here(), remove(1, None));
        ending.then_messages([left(1, Role::Owner)]);
    }

    #[test]
    fn a_direct_conversation_stays() {
        gone(direct(), 1).when_actor(&worker(), here(), remove(1, None)).then_nothing();
    }

    #[test]
    fn is_refused() {
        let story = gone(group(), 4);
        story.when(id(1), here(), remove(4, None)).refused(ErrorCode::Forbidden);
        story.when_actor(&worker(), here(), remove(3, None)).refused(ErrorCode::Conflict);
        story.when_actor(&worker(), id(999), remove(4, None)).refused(ErrorCode::NotFound);
    }
}
