//! Logs, written by hand.

use echolog_events::{
    AccountStatus, AuthEvent, Body, ClaimKind, CommandPosition, ConversationCreated,
    ConversationDelivered, ConversationRead, ConversationType, ConversationUpdated, DateTime,
    Event, IdentifierClaimed, MessageDeleted, MessageEdited, MessageSent, MessageType,
    MessagesEvent, Meta, OwnershipTransferred, ParticipantJoined, ParticipantLeft,
    ParticipantRemoved, ParticipantRoleChanged, Partition, PasswordHash, Pin, ProfileUpdated,
    Reaction, Recorded, Role, Stream, StreamKey, Time, Unreadable, UserBlocked, UserRegistered,
    UserRole, UserType, UserUnblocked, UsersEvent, Uuid, event_id, partition_of,
};

/// A short id; the tables' helper shows it as `#n`.
pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// The time of the event with this sequence: a minute apart.
fn minute(seq: u64) -> Time {
    let start = DateTime::from_timestamp(1_767_225_600, 0).expect("2026");
    start + chrono::TimeDelta::minutes(seq.cast_signed())
}

/// A log that grows.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Recorded>,
}

impl Log {
    /// The sequence of the last event.
    pub(crate) fn end(&self) -> u64 {
        self.events.len() as u64
    }

    /// Appends the events of one command.
    pub(crate) fn command(&mut self, actor: Uuid, events: Vec<(StreamKey, Event)>) -> Uuid {
        let command = id(0xc000_0000 + u128::from(self.end()));
        self.append(&actor.to_string(), command, events);
        command
    }

    /// Appends the events of a command with this id.
    pub(crate) fn append(&mut self, actor: &str, command: Uuid, events: Vec<(StreamKey, Event)>) {
        let target = events[0].0.id.clone();
        for (index, (key, event)) in events.into_iter().enumerate() {
            let seq = self.end() + 1;
            let first = index == 0;
            let position = CommandPosition { sequence: seq, nanoseconds: 7 };
            let meta = Meta {
                event_id: event_id(actor, &target, command, index),
                time: minute(seq),
                actor: Some(actor.to_owned()),
                command_id: Some(command),
                session_id: None,
                correlation_id: None,
                traceparent: None,
                digest: first.then_some(u64::MAX - seq),
                position: first.then_some(position),
            };
            let partition = partition_of(&key.id);
            self.events.push(Recorded { seq, partition, key, meta, body: Body::Known(event) });
        }
    }

    /// Makes the last event one that nobody can read.
    pub(crate) fn spoil(&mut self) {
        let last = self.events.last_mut().expect("an event");
        last.body = Body::Unreadable(Unreadable {
            name: "users.dreamt".to_owned(),
            reason: "no such event type".to_owned(),
        });
    }

    /// Appends an event of the write side itself.
    pub(crate) fn system(&mut self, partition: Partition, event: echolog_events::SystemEvent) {
        let seq = self.end() + 1;
        let meta = Meta {
            event_id: id(0xe000_0000 + u128::from(seq)),
            time: minute(seq),
            actor: None,
            command_id: None,
            session_id: None,
            correlation_id: None,
            traceparent: None,
            digest: None,
            position: None,
        };
        let key = StreamKey { stream: Stream::Owner, id: "epoch".to_owned() };
        let body = Body::Known(Event::System(event));
        self.events.push(Recorded { seq, partition, key, meta, body });
    }

    pub(crate) fn register(&mut self, user: Uuid, name: &str) {
        let registered = UserRegistered {
            user_id: user,
            username: Some(name.to_owned()),
            email: None,
            phone_number: None,
            password_hash: Some(PasswordHash::new("$argon2id$secret")),
            display_name: name.to_owned(),
            user_type: UserType::Web,
            role: UserRole::User,
            account_status: AccountStatus::Active,
        };
        let claimed = IdentifierClaimed { kind: ClaimKind::Username, owner_id: user };
        let claim = StreamKey { stream: Stream::Claim, id: format!("claim-{name}") };
        self.command(
            user,
            vec![
                (user_stream(user), Event::Auth(AuthEvent::UserRegistered(registered))),
                (claim, Event::Auth(AuthEvent::IdentifierClaimed(claimed))),
            ],
        );
    }

    pub(crate) fn profile(&mut self, update: ProfileUpdated) {
        let user = update.user_id;
        let event = Event::Users(UsersEvent::ProfileUpdated(update));
        self.command(user, vec![(user_stream(user), event)]);
    }

    pub(crate) fn block(&mut self, user_id: Uuid, blocked_user_id: Uuid) {
        let reason = Some(format!("reason {}", self.end() + 1));
        let event = UsersEvent::UserBlocked(UserBlocked { user_id, blocked_user_id, reason });
        self.blocking(user_id, event);
    }

    pub(crate) fn unblock(&mut self, user_id: Uuid, blocked_user_id: Uuid) {
        self.blocking(
            user_id,
            UsersEvent::UserUnblocked(UserUnblocked { user_id, blocked_user_id }),
        );
    }

    fn blocking(&mut self, user: Uuid, event: UsersEvent) {
        let key = StreamKey::of(Stream::Block, user);
        self.command(user, vec![(key, Event::Users(event))]);
    }

    /// Appends one event of a conversation as a command of its own.
    pub(crate) fn say(&mut self, actor: Uuid, event: MessagesEvent) {
        self.command(actor, vec![(event.stream(), Event::Messages(event))]);
    }

    /// A group with its members, the first of whom owns it: one command.
    pub(crate) fn group(&mut self, conversation_id: Uuid, members: &[Uuid]) {
        let owner = members[0];
        let created = MessagesEvent::ConversationCreated(ConversationCreated {
            conversation_id,
            conversation_type: ConversationType::Group,
            creator_user_id: owner,
            title: Some("group".to_owned()),
            description: None,
            avatar_url: None,
            is_public: false,
            is_encrypted: false,
            direct_key: None,
        });
        let joins = members.iter().map(|user| {
            let role = if *user == owner { Role::Owner } else { Role::Member };
            let invited_by_user_id = (*user != owner).then_some(owner);
            let join =
                ParticipantJoined { conversation_id, user_id: *user, role, invited_by_user_id };
            MessagesEvent::ParticipantJoined(join)
        });
        let events = std::iter::once(created).chain(joins);
        let events = events.map(|event| (event.stream(), Event::Messages(event))).collect();
        self.command(owner, events);
    }

    pub(crate) fn join(&mut self, conversation_id: Uuid, user_id: Uuid) {
        let role = Role::Member;
        let event = ParticipantJoined { conversation_id, user_id, role, invited_by_user_id: None };
        self.say(user_id, MessagesEvent::ParticipantJoined(event));
    }

    pub(crate) fn leave(&mut self, conversation_id: Uuid, user_id: Uuid) {
        let event = ParticipantLeft { conversation_id, user_id, old_role: Role::Member };
        self.say(user_id, MessagesEvent::ParticipantLeft(event));
    }

    pub(crate) fn remove(&mut self, conversation_id: Uuid, user_id: Uuid, by: Uuid) {
        let (removed_by_user_id, old_role) = (by, Role::Member);
        let event = ParticipantRemoved { conversation_id, user_id, removed_by_user_id, old_role };
        self.say(by, MessagesEvent::ParticipantRemoved(event));
    }

    pub(crate) fn change_role(&mut self, conversation_id: Uuid, user_id: Uuid, new_role: Role) {
        let old_role = Role::Member;
        let event = ParticipantRoleChanged { conversation_id, user_id, old_role, new_role };
        self.say(user_id, MessagesEvent::ParticipantRoleChanged(event));
    }

    pub(crate) fn hand_over(&mut self, conversation_id: Uuid, from: Uuid, to: Uuid) {
        let event = OwnershipTransferred {
            conversation_id,
            old_owner_user_id: from,
            new_owner_user_id: to,
            old_role: Role::Member,
        };
        self.say(from, MessagesEvent::ConversationOwnershipTransferred(event));
    }

    pub(crate) fn describe(&mut self, update: ConversationUpdated) {
        self.say(id(1), MessagesEvent::ConversationUpdated(update));
    }

    pub(crate) fn send(&mut self, conversation: Uuid, message: Uuid, sender: Uuid, text: &str) {
        self.say(
            sender,
            MessagesEvent::MessageSent(message_sent(conversation, message, sender, text)),
        );
    }

    pub(crate) fn reply(&mut self, conversation: Uuid, message: Uuid, sender: Uuid, to: Uuid) {
        let mut sent = message_sent(conversation, message, sender, "a reply");
        sent.reply_to_message_id = Some(to);
        sent.thread_root_message_id = Some(to);
        self.say(sender, MessagesEvent::MessageSent(sent));
    }

    pub(crate) fn edit(&mut self, conversation_id: Uuid, message_id: Uuid, by: Uuid, text: &str) {
        let content = text.to_owned();
        let event = MessageEdited { conversation_id, message_id, editor_user_id: by, content };
        self.say(by, MessagesEvent::MessageEdited(event));
    }

    pub(crate) fn delete(&mut self, conversation_id: Uuid, message_id: Uuid, sender: Uuid) {
        let event = MessageDeleted {
            conversation_id,
            message_id,
            deleted_by_user_id: sender,
            sender_user_id: sender,
        };
        self.say(sender, MessagesEvent::MessageDeleted(event));
    }

    pub(crate) fn react(&mut self, conversation: Uuid, message: Uuid, user: Uuid, emoji: &str) {
        self.say(user, MessagesEvent::ReactionAdded(reaction(conversation, message, user, emoji)));
    }

    pub(crate) fn unreact(&mut self, conversation: Uuid, message: Uuid, user: Uuid, emoji: &str) {
        self.say(
            user,
            MessagesEvent::ReactionRemoved(reaction(conversation, message, user, emoji)),
        );
    }

    pub(crate) fn pin(&mut self, conversation_id: Uuid, message_id: Uuid, user_id: Uuid) {
        let event = Pin { conversation_id, message_id, user_id };
        self.say(user_id, MessagesEvent::MessagePinned(event));
    }

    pub(crate) fn unpin(&mut self, conversation_id: Uuid, message_id: Uuid, user_id: Uuid) {
        let event = Pin { conversation_id, message_id, user_id };
        self.say(user_id, MessagesEvent::MessageUnpinned(event));
    }

    pub(crate) fn deliver(&mut self, conversation_id: Uuid, user_id: Uuid, message_id: Uuid) {
        let event = ConversationDelivered { conversation_id, user_id, message_id };
        self.say(user_id, MessagesEvent::MessageDelivered(event));
    }

    pub(crate) fn read(&mut self, conversation_id: Uuid, user_id: Uuid, message_id: Uuid) {
        let event = ConversationRead { conversation_id, user_id, message_id };
        self.say(user_id, MessagesEvent::ConversationRead(event));
    }
}

fn user_stream(user: Uuid) -> StreamKey {
    StreamKey::of(Stream::User, user)
}

pub(crate) fn message_sent(
    conversation: Uuid,
    message: Uuid,
    sender: Uuid,
    text: &str,
) -> MessageSent {
    MessageSent {
        conversation_id: conversation,
        message_id: message,
        sender_user_id: sender,
        recipient_user_id: None,
        message_type: MessageType::Text,
        content: text.to_owned(),
        content_encrypted: false,
        metadata: echolog_events::JsonMap::from_iter([("n".to_owned(), 1.into())]),
        reply_to_message_id: None,
        thread_root_message_id: None,
        forward_from_message_id: None,
        forward_from_conversation_id: None,
        mentions: vec![sender],
    }
}

fn reaction(conversation_id: Uuid, message_id: Uuid, user_id: Uuid, emoji: &str) -> Reaction {
    Reaction { conversation_id, message_id, user_id, emoji: emoji.to_owned() }
}
