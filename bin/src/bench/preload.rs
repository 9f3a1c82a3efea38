//! Events straight into the log, much faster than by commands. Only while no handler runs: the
//! groups carry no fence.

use anyhow::Context as _;
use echolog_commands::{ClaimId, Settings};
use echolog_events::{
    AccountStatus, AuthEvent, ClaimKind, ConversationCreated, ConversationType, Event,
    IdentifierClaimed, JsonMap, MessageSent, MessageType, MessagesEvent, Meta, ParticipantJoined,
    Role, Stream, StreamKey, UserRegistered, UserRole, UserType, Uuid, event_id, partition_of,
};
use echolog_nats::{Append, EventLog, NewRecord};

use super::population::{Conversation, Draft, Population, Spread};
use super::random::Random;
use crate::clock;

/// Who registers users: any client may.
const REGISTRAR: &str = "anon-bench";

/// Appends the events of whole commands, in groups as large as the broker takes.
pub(super) struct Preload<'l> {
    log: &'l EventLog,
    append: Append,
}

impl<'l> Preload<'l> {
    pub(super) fn new(log: &'l EventLog) -> Self {
        Self { log, append: Append::default() }
    }

    /// Everybody, and where they talk.
    pub(super) async fn population(
        mut self,
        population: &Population,
        settings: &Settings,
    ) -> anyhow::Result<()> {
        for (number, user) in population.users.iter().enumerate() {
            let target = StreamKey::of(Stream::User, *user);
            let events = registered(*user, &format!("user{number}"), settings);
            self.command(REGISTRAR, &target, events).await?;
            // As any log begins. What nobody has takes as long as asking for the first event.
            if number == 0 {
                self.flush().await?;
            }
        }
        for conversation in &population.conversations {
            let Conversation { id, members } = conversation;
            let target = StreamKey::of(Stream::Conversation, *id);
            self.command(&members[0].to_string(), &target, created(conversation)).await?;
        }
        self.flush().await
    }

    /// So many messages, spread evenly.
    pub(super) async fn messages(
        mut self,
        population: &Population,
        count: u64,
        random: &mut Random,
    ) -> anyhow::Result<()> {
        let spread = Spread::uniform(population);
        for _ in 0..count {
            let draft = population.draft(spread.pick(random), random);
            let target = StreamKey::of(Stream::Message, draft.conversation);
            let sent = vec![(target.clone(), sent(draft))];
            self.command(&draft.sender.to_string(), &target, sent).await?;
        }
        self.flush().await
    }

    /// Adds the events of one command; they stay together.
    async fn command(
        &mut self,
        actor: &str,
        target: &StreamKey,
        events: Vec<(StreamKey, Event)>,
    ) -> anyhow::Result<()> {
        if self.append.records.len() + events.len() > Append::MAX {
            self.flush().await?;
        }
        let (command, time) = (clock::new_id(), clock::now());
        for (index, (key, event)) in events.into_iter().enumerate() {
            let meta = Meta {
                event_id: event_id(actor, &target.id, command, index),
                time,
                actor: Some(actor.to_owned()),
                command_id: Some(command),
                session_id: None,
                correlation_id: None,
                traceparent: None,
                digest: (index == 0).then_some(command.as_u64_pair().1),
                position: None,
            };
            let partition = partition_of(&key.id);
            self.append.records.push(NewRecord { partition, key, meta, event, expected: None });
        }
        Ok(())
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        if !self.append.records.is_empty() {
            self.log.append(&self.append).await.context("the log cannot be filled")?;
            self.append.records.clear();
        }
        Ok(())
    }
}

fn registered(user_id: Uuid, username: &str, settings: &Settings) -> Vec<(StreamKey, Event)> {
    let registered = UserRegistered {
        user_id,
        username: Some(username.to_owned()),
        email: None,
        phone_number: None,
        password_hash: None,
        display_name: username.to_owned(),
        user_type: UserType::default(),
        role: UserRole::User,
        account_status: AccountStatus::Active,
    };
    let claim = ClaimId::new(&settings.claim_key, ClaimKind::Username, username).stream_key();
    let claimed = IdentifierClaimed { kind: ClaimKind::Username, owner_id: user_id };
    vec![
        (StreamKey::of(Stream::User, user_id), Event::Auth(AuthEvent::UserRegistered(registered))),
        (claim, Event::Auth(AuthEvent::IdentifierClaimed(claimed))),
    ]
}

fn created(conversation: &Conversation) -> Vec<(StreamKey, Event)> {
    let Conversation { id, members } = conversation;
    let owner = members[0];
    let direct = members.len() == 2;
    let conversation_type = if direct { ConversationType::Direct } else { ConversationType::Group };
    let created = ConversationCreated {
        conversation_id: *id,
        conversation_type,
        creator_user_id: owner,
        title: (!direct).then(|| format!("conversation {id}")),
        description: None,
        avatar_url: None,
        is_public: false,
        is_encrypted: false,
        direct_key: direct.then(|| {
            let (smaller, larger) = (owner.min(members[1]), owner.max(members[1]));
            format!("{smaller}:{larger}")
        }),
    };
    let joined = members.iter().map(|member| {
        let is_owner = *member == owner;
        MessagesEvent::ParticipantJoined(ParticipantJoined {
            conversation_id: *id,
            user_id: *member,
            role: if is_owner { Role::Owner } else { Role::Member },
            invited_by_user_id: (!is_owner).then_some(owner),
        })
    });
    let events = std::iter::once(MessagesEvent::ConversationCreated(created)).chain(joined);
    events.map(|event| (event.stream(), Event::Messages(event))).collect()
}

fn sent(draft: Draft<'_>) -> Event {
    Event::Messages(MessagesEvent::MessageSent(MessageSent {
        conversation_id: draft.conversation,
        message_id: clock::new_id(),
        sender_user_id: draft.sender,
        recipient_user_id: draft.recipient,
        message_type: MessageType::Text,
        content: draft.text.to_owned(),
        content_encrypted: false,
        metadata: JsonMap::new(),
        reply_to_message_id: None,
        thread_root_message_id: None,
        forward_from_message_id: None,
        forward_from_conversation_id: None,
        mentions: Vec::new(),
    }))
}
