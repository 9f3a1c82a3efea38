//! What holds for every decision, whatever has happened.

use echolog_events::{
    AccountStatus, AuthEvent, ConversationType, Event, Role, Stream, StreamKey, Uuid,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::story::{CONVERSATIONS, Story, beginning, id};
use crate::{Actor, COMMANDS, Command, CommandType, ContentType, ErrorCode, State};

fn command(domain: &str, name: &str, body: &Value) -> Option<Command> {
    let found = CommandType::find(domain, name).expect("it exists");
    Command::decode(found, ContentType::Json, &ContentType::Json.encode(body)).ok()
}

/// The examples of all commands that only a user may send: those about accounts are not, nor is what
/// workers do for those who are gone.
fn of_users() -> impl Iterator<Item = Command> {
    let of_users = |it: &&CommandType| {
        matches!(it.domain, "users" | "messages") && it.name != "remove_deleted_member"
    };
    COMMANDS.iter().filter(of_users).map(|found| {
        let body = serde_json::from_str(found.doc.example).expect("the example is JSON");
        command(found.domain, found.name, &body).expect("the example is good")
    })
}

fn registered_as(user: Uuid, status: AccountStatus) -> Story {
    let mut event = crate::auth::registered_for_tests(user);
    if let Event::Auth(AuthEvent::UserRegistered(e)) = &mut event {
        e.account_status = status;
    }
    Story::new().event(StreamKey::of(Stream::User, user), event)
}

#[test]
fn nobody_but_a_user_who_exists_acts() {
    for command in of_users() {
        for actor in [
            Actor::User(id(1)),
            Actor::Anonymous("anon-1".to_owned()),
            Actor::Service("svc-x".to_owned()),
        ] {
            for target in [id(1), id(2)] {
                Story::new()
                    .when_actor(&actor, target, command.clone())
                    .refused(ErrorCode::Unauthenticated);
            }
        }
    }
}

#[test]
fn nobody_acts_whose_account_is_not_active() {
    for command in of_users() {
        for status in [
            AccountStatus::Pending,
            AccountStatus::Suspended,
            AccountStatus::Banned,
            AccountStatus::Deleted,
        ] {
            registered_as(id(1), status)
                .when(id(1), id(1), command.clone())
                .refused(ErrorCode::Forbidden);
        }
    }
}

#[test]
fn a_direct_conversation_is_between_active_users() {
    let with = json!({ "conversation_type": "direct", "member_user_ids": [id(2)] });
    let group = json!({ "conversation_type": "group", "title": "t", "member_user_ids": [id(2)] });
    let create = |body| command("messages", "create_conversation", body).expect("a good command");
    let story = registered_as(id(2), AccountStatus::Suspended).users([id(1)]);
    let refused = story.when(id(1), id(100), create(&with)).refused(ErrorCode::NotFound);
    assert_eq!(refused.field.as_deref(), Some("member_user_ids[0]"));
    story.when(id(1), id(100), create(&group)).accepted();
}

fn check(story: &Story) {
    for conversation in CONVERSATIONS.map(id) {
        let State::Conversation(Some(state)) = story.state(&crate::Key::Conversation(conversation))
        else {
            continue;
        };
        let owners = state.members.values().filter(|role| **role == Role::Owner).count();
        assert_eq!(owners, usize::from(!state.members.is_empty()), "one owner: {state:?}");
        if state.conversation_type == ConversationType::Direct {
            assert_eq!(state.members.len(), 2, "two members: {state:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No decision panics, each asks for what it changes, and conversations stay in order.
    #[test]
    fn any_history_holds_together(rolls in prop::collection::vec(any::<[u8; 6]>(), 0..60)) {
        let mut story = Story::of_dice();
        for sent in beginning() {
            story.send(&sent).expect("the beginning is accepted");
        }
        for roll in rolls {
            let sent = story.roll(roll.into());
            // A no is as good as a yes here.
            let _ = story.send(&sent);
            check(&story);
        }
    }
}
