//! Random commands of few things, so that one meets what another has done.

use echolog_events::{ConversationType, Event, MessagesEvent, Role, Time, Uuid};
use serde_json::{Value, json};

use super::{Story, api_keys, codes, factors, id, logins, oauth, operators};
use crate::auth::Findings;
use crate::{Actor, Command, CommandType, ContentType, Decision, Key, World};

/// Users are `id(1)` to this one; the last of them may have to register first.
pub const USERS: u16 = 5;

/// Conversations, the first of which most things happen in.
pub const CONVERSATIONS: [u16; 4] = [100, 101, 102, 103];

/// A century after the beginning of stories.
const LATE: i64 = 3_155_760_000;

/// The latest messages of a conversation are the most interesting ones.
const LATEST: usize = 12;

/// Every command, and how often it comes compared with the others.
const WEIGHTS: &[(u8, &str, &str)] = &[
    (14, "messages", "send_message"),
    (3, "messages", "edit_message"),
    (5, "messages", "delete_message"),
    (4, "messages", "add_reaction"),
    (3, "messages", "remove_reaction"),
    (3, "messages", "pin_message"),
    (2, "messages", "unpin_message"),
    (3, "messages", "mark_delivered"),
    (6, "messages", "mark_read"),
    (7, "messages", "add_members"),
    (3, "messages", "leave_conversation"),
    (4, "messages", "remove_member"),
    (5, "messages", "change_role"),
    (3, "messages", "create_conversation"),
    (3, "messages", "update_conversation"),
    (3, "users", "update_profile"),
    (4, "users", "block_user"),
    (4, "users", "unblock_user"),
    (1, "auth", "register_user"),
    (6, "auth", "log_in"),
    (5, "auth", "refresh_session"),
    (2, "auth", "revoke_session"),
    (2, "auth", "revoke_all_sessions"),
    (2, "auth", "record_session_activity"),
    (2, "auth", "expire_session"),
    (2, "auth", "apply_retention"),
    (1, "auth", "suspend_user"),
    (1, "auth", "ban_user"),
    (3, "auth", "reinstate_user"),
    (2, "auth", "change_user_role"),
    (2, "auth", "delete_user"),
    (2, "messages", "remove_deleted_member"),
    (1, "audit", "record_sensitive_access"),
    (3, "auth", "begin_two_factor"),
    (4, "auth", "enable_two_factor"),
    (2, "auth", "disable_two_factor"),
    (5, "auth", "generate_recovery_codes"),
    (3, "auth", "unlock_user"),
    (2, "auth", "change_password"),
    (3, "auth", "request_otp"),
    (5, "auth", "verify_otp"),
    (3, "auth", "change_email"),
    (3, "auth", "change_phone"),
    (3, "auth", "create_api_key"),
    (2, "auth", "record_api_key_use"),
    (3, "auth", "revoke_api_key"),
    (3, "auth", "request_password_reset"),
    (3, "auth", "complete_password_reset"),
    (4, "auth", "link_oauth_provider"),
    (2, "auth", "unlink_oauth_provider"),
    (3, "auth", "refresh_oauth_token"),
];

/// What the dice show: numbers that are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
pub struct Roll {
    command: u8,
    actor: u8,
    conversation: u8,
    pub(super) user: u8,
    pub(super) message: u8,
    pub(super) choice: u8,
}

/// A command on its way.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Who sends it.
    pub actor: Actor,
    /// What it acts on.
    pub target: Uuid,
    /// What it says.
    pub command: Command,
    /// What the request path found out.
    pub findings: Findings,
}

impl From<[u8; 6]> for Roll {
    fn from([command, actor, conversation, user, message, choice]: [u8; 6]) -> Self {
        Self { command, actor, conversation, user, message, choice }
    }
}

impl Roll {
    fn command(self) -> (&'static str, &'static str) {
        let total: u8 = WEIGHTS.iter().map(|(weight, ..)| weight).sum();
        let mut rest = self.command % total;
        for (weight, domain, name) in WEIGHTS {
            match rest.checked_sub(*weight) {
                Some(less) => rest = less,
                None => return (domain, name),
            }
        }
        unreachable!("the rest is less than the total")
    }

    fn user(self) -> Uuid {
        id(1 + u16::from(self.user) % USERS)
    }

    /// One or two, who are not the same.
    fn users(self) -> Vec<Uuid> {
        let other = u16::from(self.user) + 1 + u16::from(self.choice) % (USERS - 1);
        let mut users = vec![self.user(), id(1 + other % USERS)];
        users.truncate(1 + usize::from(self.choice % 2));
        users
    }

    fn profile(self) -> Value {
        let text = "ab".repeat(usize::from(self.user) % 3);
        match self.choice % 8 {
            0 => json!({ "display_name": format!("User {}", self.user % 3) }),
            1 => json!({ "full_name": text }),
            2 => json!({ "bio": text }),
            3 => json!({ "avatar_url": "https://example.org/a.png", "bio": text }),
            4 => json!({ "avatar_url": "" }),
            5 => json!({ "profile_visibility": "friends", "language_code": "pt-BR" }),
            6 => json!({ "profile_visibility": "public", "full_name": "Ada", "bio": text }),
            _ => json!({ "timezone": "Europe/London" }),
        }
    }

    fn creation(self) -> Value {
        let kind = ConversationType::ALL[usize::from(self.message) % ConversationType::ALL.len()];
        let mut body = json!({
            "conversation_type": kind.name(),
            "member_user_ids": [self.user()],
            "is_encrypted": self.choice & 4 != 0,
        });
        if kind != ConversationType::Direct {
            body["title"] = json!("title");
            body["description"] = json!("d".repeat(usize::from(self.choice) % 2));
            body["is_public"] = json!(self.choice & 8 != 0);
            body["member_user_ids"] = json!(self.users());
        }
        body
    }

    fn description(self) -> Value {
        let text = "ab".repeat(usize::from(self.user) % 3);
        match self.choice % 4 {
            0 => json!({ "title": format!("title {}", self.user % 3) }),
            1 => json!({ "avatar_url": "https://example.org/c.png", "description": text }),
            2 => json!({ "avatar_url": "" }),
            _ => json!({ "description": text }),
        }
    }
}

/// The first users and a group of them: all that other commands need.
///
/// # Panics
/// Never: the commands are good ones.
#[must_use]
pub fn beginning() -> Vec<Sent> {
    let accounts = [
        json!({ "username": "Ada", "display_name": "Ada Lovelace" }),
        json!({ "email": "bob@example.org", "user_type": "mobile" }),
        json!({ "phone_number": "+442071838750" }),
        json!({ "username": "eve", "email": "eve@example.org", "phone_number": "+442071838751" }),
    ];
    let mut beginning = Vec::new();
    for (number, account) in (1..USERS).zip(accounts) {
        let mut command = command("auth", "register_user", &account);
        if number != 2 {
            command.set_password_hash("$argon2id$secret".to_owned());
        }
        let actor = Actor::Anonymous(format!("anon-{number}"));
        beginning.push(Sent { actor, target: id(number), command, findings: Findings::default() });
    }
    let group = json!({
        "conversation_type": "group", "title": "group", "member_user_ids": [id(2), id(3)],
    });
    let command = command("messages", "create_conversation", &group);
    let (actor, target) = (Actor::User(id(1)), id(CONVERSATIONS[0]));
    beginning.push(Sent { actor, target, command, findings: Findings::default() });
    beginning
}

/// A command of this name with this body.
///
/// # Panics
/// If there is none, or if it is no good.
pub(crate) fn command(domain: &str, name: &str, body: &Value) -> Command {
    let found = CommandType::find(domain, name).expect("it exists");
    let body = ContentType::Json.encode(body);
    Command::decode(found, ContentType::Json, &body).expect("a good command")
}

impl Story {
    /// The command that the dice show, on what there is by now.
    #[must_use]
    pub fn roll(&self, roll: Roll) -> Sent {
        let (domain, name) = roll.command();
        if logins::NAMES.contains(&name) {
            return self.roll_login(name, roll);
        }
        if operators::NAMES.contains(&name) {
            return self.roll_operator(name, roll);
        }
        if factors::NAMES.contains(&name) {
            return self.roll_factor(name, roll);
        }
        if codes::NAMES.contains(&name) {
            return self.roll_code(name, roll);
        }
        if api_keys::NAMES.contains(&name) {
            return self.roll_api_key(name, roll);
        }
        if oauth::NAMES.contains(&name) {
            return self.roll_oauth(name, roll);
        }
        let scene = Scene::new(self, roll);
        let (actor, target) = match name {
            "register_user" => (roll.user(), roll.user()),
            "update_profile" => (scene.anyone, scene.anyone),
            "block_user" => (scene.blocker, scene.blocker),
            "unblock_user" => {
                let blocker = scene.block.map_or(scene.blocker, |(blocker, _)| blocker);
                (blocker, blocker)
            }
            "create_conversation" => (scene.anyone, scene.new_conversation()),
            _ => (scene.actor(name), scene.conversation),
        };
        let command = command(domain, name, &scene.body(name));
        Sent { actor: Actor::User(actor), target, command, findings: Findings::default() }
    }

    /// All conversations and blocks.
    fn world(&self) -> World {
        let conversations = CONVERSATIONS.map(|it| Key::Conversation(id(it)));
        let blocks = (1..=USERS).map(|it| Key::Block(id(it)));
        let mut world = World::default();
        for key in conversations.into_iter().chain(blocks) {
            let state = self.state(&key);
            world.insert(key, state);
        }
        world
    }

    /// A command was sent; what it led to is part of the story, even if it was refused.
    ///
    /// # Errors
    /// What the rules say no to.
    pub fn send(&mut self, sent: &Sent) -> Decision {
        self.findings = sent.findings.clone();
        let now = self.time;
        if let Command::ExpireSession(_) = sent.command {
            // The time of stories stands still; of this one something has to be over.
            self.time += self.settings.session_lifetime;
        }
        if let Command::ApplyRetention(_) = sent.command {
            // Of this one everything has to be long ago.
            self.time = Time::from_timestamp(LATE, 0).expect("a time");
        }
        let decision = self.decide(&sent.actor, sent.target, &sent.command);
        self.time = now;
        let events = match &decision {
            Ok(events) => events.as_slice(),
            Err(no) => &no.events,
        };
        self.past.extend(events.iter().map(|new| (new.key.clone(), new.event.clone())));
        decision
    }
}

/// What a roll is about.
struct Scene {
    roll: Roll,
    anyone: Uuid,
    /// One of two, so that blocks meet.
    blocker: Uuid,
    /// Who blocks whom now.
    block: Option<(Uuid, Uuid)>,
    conversation: Uuid,
    members: Vec<(Uuid, Role)>,
    /// The messages of the conversation, with their senders.
    messages: Vec<(Uuid, Uuid)>,
}

impl Scene {
    fn new(story: &Story, roll: Roll) -> Self {
        let world = story.world();
        let rolled =
            id(CONVERSATIONS[[0, 0, 0, 0, 1, 1, 2, 3][usize::from(roll.conversation) % 8]]);
        let lost = roll.conversation >= 248;
        let conversation = if lost || world.conversation(rolled).is_some() {
            rolled
        } else {
            id(CONVERSATIONS[0])
        };
        let members = world.conversation(conversation).map(|it| it.members.clone());
        let messages = story.past.iter().filter_map(|(_, event)| match event {
            Event::Messages(MessagesEvent::MessageSent(e)) => {
                (e.conversation_id == conversation).then_some((e.message_id, e.sender_user_id))
            }
            Event::Messages(_)
            | Event::Auth(_)
            | Event::Accounts(_)
            | Event::Audit(_)
            | Event::Sessions(_)
            | Event::Credentials(_)
            | Event::Passwords(_)
            | Event::Codes(_)
            | Event::Users(_)
            | Event::System(_) => None,
        });
        let users = || (1..=USERS).map(id);
        let mut pairs = users().flat_map(|one| users().map(move |other| (one, other)));
        Self {
            roll,
            anyone: id(1 + u16::from(roll.actor / 8) % USERS),
            blocker: id(1 + u16::from(roll.actor) % 2),
            block: pairs.rfind(|(blocker, blocked)| world.blocks(*blocker, *blocked)),
            conversation,
            members: members.unwrap_or_default().into_iter().collect(),
            messages: messages.collect(),
        }
    }

    fn new_conversation(&self) -> Uuid {
        id(CONVERSATIONS[1 + usize::from(self.roll.conversation) % (CONVERSATIONS.len() - 1)])
    }

    /// Conversations number their messages alike: an id is unique in its conversation only.
    fn new_message(&self) -> Uuid {
        id(1000 + u16::try_from(self.messages.len()).expect("not so many"))
    }

    /// One of the latest messages, with its sender.
    fn message(&self) -> Option<(Uuid, Uuid)> {
        let back = usize::from(self.roll.message) % self.messages.len().clamp(1, LATEST);
        self.messages.iter().rev().nth(back).copied()
    }

    fn member(&self, number: u8) -> Option<Uuid> {
        let number = usize::from(number) % self.members.len().max(1);
        self.members.get(number).map(|(member, _)| *member)
    }

    /// Mostly a member, since nobody else may do anything; often the owner, who may do most, and
    /// mostly the sender of a message that only the sender may change.
    fn actor(&self, command: &str) -> Uuid {
        let owner = self.members.iter().find(|(_, role)| *role == Role::Owner);
        let actor = match self.roll.actor % 8 {
            0 => None,
            1.. if command == "edit_message" => self.message().map(|(_, sender)| sender),
            1..=3 => owner.map(|(member, _)| *member),
            _ => self.member(self.roll.actor / 8),
        };
        actor.unwrap_or(self.anyone)
    }

    fn body(&self, command: &str) -> Value {
        let roll = self.roll;
        let message = self.message().map_or(self.new_message(), |(message, _)| message);
        let member = self.member(roll.user).unwrap_or(roll.user());
        match command {
            "register_user" => json!({ "username": format!("user-{}", roll.choice % 8) }),
            "update_profile" => roll.profile(),
            "block_user" => {
                json!({ "user_id": roll.user(), "reason": "x".repeat(roll.choice.into()) })
            }
            "unblock_user" => json!({ "user_id": self.block.map_or(roll.user(), |(_, it)| it) }),
            "create_conversation" => roll.creation(),
            "update_conversation" => roll.description(),
            "add_members" => json!({ "user_ids": roll.users() }),
            "remove_member" => json!({ "user_id": member }),
            "leave_conversation" => json!({}),
            "change_role" => {
                let role = Role::ALL[usize::from(roll.choice) % Role::ALL.len()];
                json!({ "user_id": member, "role": role.name() })
            }
            "send_message" => self.words(message),
            "edit_message" => {
                json!({ "message_id": message, "content": format!("edited {}", roll.choice % 3) })
            }
            "add_reaction" | "remove_reaction" => {
                let emoji = ["👍", "🎉"][usize::from(roll.choice) % 2];
                json!({ "message_id": message, "emoji": emoji })
            }
            _ => json!({ "message_id": message }),
        }
    }

    /// A new message, seldom one that is there already, in one of its many forms.
    fn words(&self, earlier: Uuid) -> Value {
        let choice = self.roll.choice;
        let new = if choice >= 250 { earlier } else { self.new_message() };
        let mut body = json!({ "message_id": new, "content": format!("text {choice}") });
        let more = match choice % 9 {
            0 | 1 if !self.messages.is_empty() => json!({ "reply_to_message_id": earlier }),
            2 if !self.messages.is_empty() => json!({ "forward_from_message_id": earlier }),
            3 => json!({
                "forward_from_message_id": earlier,
                "forward_from_conversation_id": id(CONVERSATIONS[0]),
            }),
            4 => json!({
                "message_type": "image", "content": null,
                "metadata": { "file_url": "https://example.org/i.png", "width": self.roll.user },
            }),
            5 => json!({ "mentions": [self.member(self.roll.user).unwrap_or(self.anyone)] }),
            6 => json!({ "content": "é ✓".repeat(60 + usize::from(self.roll.user)) }),
            _ => json!({}),
        };
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::COMMANDS;

    #[test]
    fn every_command_is_rolled_and_accepted() {
        let mut runner = TestRunner::deterministic();
        let mut changed = BTreeSet::new();
        for _ in 0..300 {
            let rolls = prop::collection::vec(any::<[u8; 6]>(), 60).new_tree(&mut runner);
            let mut story = Story::of_dice();
            let rolls = rolls.expect("rolls").current().into_iter().map(Roll::from);
            for sent in beginning() {
                story.send(&sent).expect("the beginning is accepted");
            }
            for roll in rolls {
                let sent = story.roll(roll);
                if story.send(&sent).is_ok_and(|events| !events.is_empty()) {
                    changed.insert(sent.command.command_type().name);
                }
            }
        }
        let missing: Vec<&str> =
            COMMANDS.iter().map(|it| it.name).filter(|name| !changed.contains(name)).collect();
        assert_eq!(missing, [""; 0]);
    }
}
