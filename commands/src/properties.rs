//! What holds for every decision, whatever has happened.

use echolog_events::{
    AccountStatus, AuthEvent, ConversationType, Event, Role, Stream, StreamKey, Uuid,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::story::{Story, id};
use crate::{Actor, COMMANDS, Command, CommandType, ContentType, ErrorCode, State};

fn command(domain: &str, name: &str, body: &Value) -> Option<Command> {
    let found = CommandType::find(domain, name).expect("it exists");
    Command::decode(found, ContentType::Json, &ContentType::Json.encode(body)).ok()
}

/// The examples of all commands that only a user may send.
fn of_users() -> impl Iterator<Item = Command> {
    COMMANDS.iter().filter(|command| command.name != "register_user").map(|found| {
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

const USERS: u16 = 4;
const CONVERSATIONS: [u16; 2] = [100, 101];

fn user() -> impl Strategy<Value = Uuid> {
    (1..=USERS + 1).prop_map(id)
}

fn message() -> impl Strategy<Value = Uuid> {
    (200_u16..204).prop_map(id)
}

fn role() -> impl Strategy<Value = &'static str> {
    prop::sample::select(Role::ALL).prop_map(Role::name)
}

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(ConversationType::ALL).prop_map(ConversationType::name)
}

/// A command of few things, so that one meets what another has done.
fn any_command() -> impl Strategy<Value = Option<Command>> {
    let about_users = prop_oneof![
        user().prop_map(|it| ("users", "block_user", json!({ "user_id": it }))),
        user().prop_map(|it| ("users", "unblock_user", json!({ "user_id": it }))),
        "[ab]{0,2}".prop_map(|bio| ("users", "update_profile", json!({ "bio": bio }))),
    ];
    let about_members = prop_oneof![
        (kind(), prop::collection::hash_set(user(), 0..3), any::<bool>()).prop_map(
            |(kind, members, titled)| {
                let mut body = json!({ "conversation_type": kind, "member_user_ids": members });
                if titled {
                    body["title"] = json!("t");
                }
                ("messages", "create_conversation", body)
            }
        ),
        "[ab]{1,2}".prop_map(|it| ("messages", "update_conversation", json!({ "title": it }))),
        prop::collection::hash_set(user(), 1..3).prop_map(|it| (
            "messages",
            "add_members",
            json!({ "user_ids": it })
        )),
        user().prop_map(|it| ("messages", "remove_member", json!({ "user_id": it }))),
        Just(("messages", "leave_conversation", json!({}))),
        (user(), role()).prop_map(|(it, role)| (
            "messages",
            "change_role",
            json!({ "user_id": it, "role": role })
        )),
    ];
    let about_messages = prop_oneof![
        (message(), prop::option::of(message()), prop::option::of(message())).prop_map(
            |(it, reply, forward)| {
                let body = json!({
                    "message_id": it, "content": "x",
                    "reply_to_message_id": reply, "forward_from_message_id": forward,
                });
                ("messages", "send_message", body)
            }
        ),
        message().prop_map(|it| (
            "messages",
            "edit_message",
            json!({ "message_id": it, "content": "y" })
        )),
        message().prop_map(|it| ("messages", "delete_message", json!({ "message_id": it }))),
        message().prop_map(|it| (
            "messages",
            "add_reaction",
            json!({ "message_id": it, "emoji": "👍" })
        )),
        message().prop_map(|it| (
            "messages",
            "remove_reaction",
            json!({ "message_id": it, "emoji": "👍" })
        )),
        message().prop_map(|it| ("messages", "mark_delivered", json!({ "message_id": it }))),
        message().prop_map(|it| ("messages", "mark_read", json!({ "message_id": it }))),
    ];
    prop_oneof![1 => about_users, 3 => about_members, 3 => about_messages]
        .prop_map(|(domain, name, body)| command(domain, name, &body))
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
    fn any_history_holds_together(
        steps in prop::collection::vec((user(), prop::sample::select(&CONVERSATIONS[..]), any_command()), 0..60)
    ) {
        let mut story = Story::new().users((1..=USERS).map(id));
        for (actor, conversation, command) in steps {
            let Some(command) = command else { continue };
            let target = match command.stream() {
                Stream::User | Stream::Block => actor,
                Stream::Conversation | Stream::Message | Stream::Claim | Stream::Owner => id(conversation),
            };
            story = story.tried(&Actor::User(actor), target, command);
            check(&story);
        }
    }
}
