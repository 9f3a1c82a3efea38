use echolog_events::{
    AccountStatus, AuthEvent, ClaimKind, ConversationCreated, ConversationType, Event,
    IdentifierClaimed, MessagesEvent, ParticipantJoined, Role, Stream, Uuid,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access::{active_user, neither_blocks, present};
use crate::doc::{Doc, optional, required};
use crate::fields::{Text, Url, UserIds};
use crate::{ClaimId, Context, Decide, Decision, Key, Needs, NewEvent, Rejection, World};

/// Begins a conversation; the actor owns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateConversation {
    /// What kind.
    pub conversation_type: ConversationType,
    /// Its name; direct conversations have none.
    pub title: Option<Text<1, 255>>,
    /// What it is about.
    pub description: Option<Text<0, 2000>>,
    /// A picture.
    pub avatar_url: Option<Url>,
    /// Whether anyone may find and join it.
    #[serde(default)]
    pub is_public: bool,
    /// Whether its content is encrypted end to end.
    #[serde(default)]
    pub is_encrypted: bool,
    /// The other members.
    #[serde(default)]
    pub member_user_ids: UserIds<0, 256>,
}

/// The pair of a direct conversation, the same from both sides.
fn pair(one: Uuid, other: Uuid) -> String {
    format!("{}:{}", one.min(other), one.max(other))
}

impl CreateConversation {
    /// Everybody but the creator.
    fn others(&self, creator: Uuid) -> impl Iterator<Item = (usize, Uuid)> + '_ {
        self.member_user_ids.iter().enumerate().filter(move |(_, member)| *member != creator)
    }

    /// The other one of a direct conversation.
    fn counterpart(&self, creator: Uuid) -> Option<Uuid> {
        let mut others = self.others(creator);
        let (_, other) = others.next()?;
        (self.is_direct() && others.next().is_none()).then_some(other)
    }

    fn is_direct(&self) -> bool {
        self.conversation_type == ConversationType::Direct
    }

    fn check_shape(&self, creator: Uuid) -> Result<(), Rejection> {
        if self.is_direct() {
            if self.title.is_some() || self.description.is_some() || self.avatar_url.is_some() {
                let message = "A direct conversation has no title, description or picture.";
                return Err(Rejection::invalid("title", message));
            }
            if self.is_public {
                return Err(Rejection::invalid(
                    "is_public",
                    "A direct conversation is not public.",
                ));
            }
            if self.counterpart(creator).is_none() {
                let message = "A direct conversation has exactly one other member.";
                return Err(Rejection::invalid("member_user_ids", message));
            }
        } else if self.title.is_none() {
            return Err(Rejection::invalid("title", "This kind of conversation has a title."));
        }
        Ok(())
    }
}

impl Decide for CreateConversation {
    const STREAM: Stream = Stream::Conversation;
    const DOC: Doc = Doc {
        summary: "Begins a conversation; the actor becomes its owner. There is one direct conversation per pair of users.",
        target: "the new conversation's id, a UUIDv7 made by the client",
        fields: &[
            required("conversation_type", "`direct`, `group`, `channel` or `broadcast`"),
            optional(
                "title",
                "text, 1 to 255 characters; needed for all but direct ones, which have none",
            ),
            optional("description", "text, at most 2,000 characters"),
            optional("avatar_url", "an http or https address"),
            optional("is_public", "boolean, default false"),
            optional("is_encrypted", "boolean, default false"),
            optional(
                "member_user_ids",
                "at most 256 UUIDs: the other members; exactly one for direct ones",
            ),
        ],
        events: &["conversation_created", "participant_joined", "identifier_claimed"],
        refused: &[
            (
                "already_exists",
                "the target is a conversation already, or the pair has one: `data.conversation_id`",
            ),
            (
                "not_found",
                "a member is no user, or in a direct conversation no active one (`field` says which)",
            ),
            ("forbidden", "a member blocks the actor, or the actor them"),
            ("conflict", "more members than are allowed"),
        ],
        example: r#"{"conversation_type":"group","title":"Poetry","description":"of science","avatar_url":"https://example.org/p.png","is_public":false,"is_encrypted":false,"member_user_ids":["0192f3c4-aaaa-7bbb-8ccc-000000000002"]}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::Conversation(context.target));
        let Ok(creator) = context.user() else { return };
        needs.want(Key::User(creator));
        needs.want(Key::Block(creator));
        for (_, member) in self.others(creator) {
            needs.want(Key::User(member));
            needs.want(Key::Block(member));
        }
        if let Some(other) = self.counterpart(creator) {
            needs.want(Key::Claim(pair_claim(context, creator, other)));
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        active_user(context, world)?;
        let creator = context.user()?;
        let conversation_id = context.target;
        if conversation_id.get_version_num() != 7 {
            return Err(Rejection::invalid("target", "The id of a new conversation is a UUIDv7."));
        }
        self.check_shape(creator)?;
        if world.conversation(conversation_id).is_some() {
            return Err(Rejection::already_exists("There is a conversation with this id already."));
        }
        for (index, member) in self.others(creator) {
            let about = |mut rejection: Rejection| {
                rejection.field = Some(format!("member_user_ids[{index}]"));
                rejection
            };
            let user = present(world, member).map_err(about)?;
            if self.is_direct() && user.status_at(context.time) != AccountStatus::Active {
                return Err(about(Rejection::not_found("The user is not active.")));
            }
            neither_blocks(world, creator, member).map_err(about)?;
        }
        if self.others(creator).count() >= context.settings.max_members {
            return Err(Rejection::conflict("That is more members than a conversation may have."));
        }
        let claim = self.counterpart(creator).map(|other| pair_claim(context, creator, other));
        if let Some(owner) = claim.as_ref().and_then(|claim| world.claim(claim).owner) {
            return Err(Rejection::already_exists("The two have a direct conversation already.")
                .with_data(json!({ "conversation_id": owner })));
        }
        let mut events = self.events(conversation_id, creator);
        events.extend(claim.map(|id| NewEvent {
            expected: Some(world.claim(&id).seq),
            key: id.stream_key(),
            event: Event::Auth(AuthEvent::IdentifierClaimed(IdentifierClaimed {
                kind: ClaimKind::DirectPair,
                owner_id: conversation_id,
            })),
        }));
        Ok(events)
    }
}

impl CreateConversation {
    fn events(&self, conversation_id: Uuid, creator: Uuid) -> Vec<NewEvent> {
        let joined = |user_id, role, invited_by_user_id| {
            let joined = ParticipantJoined { conversation_id, user_id, role, invited_by_user_id };
            NewEvent::from(MessagesEvent::ParticipantJoined(joined))
        };
        let created = ConversationCreated {
            conversation_id,
            conversation_type: self.conversation_type,
            creator_user_id: creator,
            title: self.title.as_ref().map(|it| it.as_str().to_owned()),
            description: self.description.as_ref().map(|it| it.as_str().to_owned()),
            avatar_url: self.avatar_url.as_ref().map(|it| it.as_str().to_owned()),
            is_public: self.is_public,
            is_encrypted: self.is_encrypted,
            direct_key: self.counterpart(creator).map(|other| pair(creator, other)),
        };
        let mut events = vec![
            MessagesEvent::ConversationCreated(created).into(),
            joined(creator, Role::Owner, None),
        ];
        events.extend(
            self.others(creator).map(|(_, member)| joined(member, Role::Member, Some(creator))),
        );
        events
    }
}

fn pair_claim(context: &Context<'_>, one: Uuid, other: Uuid) -> ClaimId {
    ClaimId::new(&context.settings.claim_key, ClaimKind::DirectPair, &pair(one, other))
}

#[cfg(test)]
mod tests {
    use super::super::given::{blocked, here, read};
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn direct(with: u16) -> CreateConversation {
        read(json!({ "conversation_type": "direct", "member_user_ids": [id(with)] }))
    }

    fn users() -> Story {
        Story::new().users([id(1), id(2), id(3)])
    }

    #[test]
    fn a_group_with_its_members() {
        let group: CreateConversation = read(
            json!({ "conversation_type": "group", "title": "t", "member_user_ids": [id(2), id(1)] }),
        );
        let events = users().when(id(1), here(), group).accepted();
        let joined: Vec<_> = events
            .iter()
            .filter_map(|new| {
                let Event::Messages(MessagesEvent::ParticipantJoined(e)) = &new.event else {
                    return None;
                };
                Some((e.user_id, e.role))
            })
            .collect();
        assert_eq!(joined, [(id(1), Role::Owner), (id(2), Role::Member)]);
    }

    #[test]
    fn one_direct_conversation_per_pair() {
        let story = users().done(&Actor::User(id(1)), here(), direct(2));
        for (actor, with) in [(1, 2), (2, 1)] {
            let again =
                story.when(id(actor), id(101), direct(with)).refused(ErrorCode::AlreadyExists);
            assert_eq!(again.data, Some(json!({ "conversation_id": here() })));
        }
        let events = story.when(id(1), id(101), direct(3)).accepted();
        assert_eq!(events.last().and_then(|claim| claim.expected), Some(0));
    }

    #[test]
    fn is_refused() {
        let story = users();
        story.when(id(1), here(), direct(7)).refused(ErrorCode::NotFound);
        story.when(id(1), here(), direct(1)).refused(ErrorCode::Invalid);
        story.when(id(7), here(), direct(1)).refused(ErrorCode::Unauthenticated);
        let untitled: CreateConversation = read(json!({ "conversation_type": "channel" }));
        story.when(id(1), here(), untitled).refused(ErrorCode::Invalid);
        for wrong in [
            json!({ "conversation_type": "direct", "title": "t", "member_user_ids": [id(2)] }),
            json!({ "conversation_type": "direct", "is_public": true, "member_user_ids": [id(2)] }),
            json!({ "conversation_type": "direct", "member_user_ids": [id(2), id(3)] }),
        ] {
            let wrong: CreateConversation = read(wrong);
            story.when(id(1), here(), wrong).refused(ErrorCode::Invalid);
        }
        let target = story.when(id(1), Uuid::nil(), direct(2)).refused(ErrorCode::Invalid);
        assert_eq!(target.field.as_deref(), Some("target"));
        let blocked = blocked(users(), id(2), id(1));
        blocked.when(id(1), here(), direct(2)).refused(ErrorCode::Forbidden);
        let story = story.done(&Actor::User(id(1)), here(), direct(2));
        story.when(id(1), here(), direct(3)).refused(ErrorCode::AlreadyExists);
    }

    #[test]
    fn has_a_most_of_members() {
        let group: CreateConversation = read(
            json!({ "conversation_type": "group", "title": "t", "member_user_ids": [id(2), id(3)] }),
        );
        let most = |max_members| {
            users().settings(crate::Settings { max_members, ..crate::Settings::default() })
        };
        most(3).when(id(1), here(), group.clone()).accepted();
        most(2).when(id(1), here(), group).refused(ErrorCode::Conflict);
    }
}
