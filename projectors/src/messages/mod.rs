//! Projection `messages`: conversations, members, what is said, reactions, cursors.
//!
//! A batch is folded in memory on top of the few rows that it needs to know, then every table is
//! written with one statement. A batch of sent messages costs four: read the conversations, put in the
//! messages, move the conversations and the senders.
//!
//! Unread numbers: see `messages.members` in the migrations. `uncounted` is a function of the other
//! columns and of the messages, so members whose cursor moved are counted anew at the end of the
//! batch, and all others get the difference.
//!
//! A copy that is being filled has no keys on messages until a batch asks for an old one. Until then
//! `uncounted` is left alone as well, and counted once for everybody with those keys.

mod conversations;
mod cursors;
mod edits;
mod fold;
mod history;
mod members;
mod needs;
mod periods;
mod pins;
mod reactions;
mod texts;
mod uncounted;

use echolog_events::{Body, Event, MessagesEvent, Recorded, Uuid};
use sqlx::PgConnection;

use self::conversations::Conversations;
use self::cursors::CursorMoves;
use self::edits::Edits;
use self::history::{History, Threads};
use self::members::Members;
use self::needs::Needs;
use self::periods::Periods;
use self::pins::Pins;
use self::reactions::Reactions;
use self::texts::Texts;
use self::uncounted::Uncounted;
use crate::projection::Keys;
use crate::sql::Sql;
use crate::{ProjectionError, Target};

/// Conversation and message: an id of a message alone says nothing.
type MessageKey = (Uuid, Uuid);

/// Conversation and user.
type MemberKey = (Uuid, Uuid);

/// From when on a copy that is being filled has one of the keys and indexes. A batch finds its way
/// in the small tables always; in the large one, among the messages, only for what happens to a
/// message of an earlier batch.
pub(crate) fn keys(name: &str) -> Keys {
    match name {
        "conversations_pkey"
        | "uq_members"
        | "membership_periods_pkey"
        | "uq_message_reactions"
        | "uq_pinned_messages" => Keys::Always,
        "messages_pkey" | "uq_messages_seq" => Keys::Lookup,
        _ => Keys::Last,
    }
}

/// The statements of projection `messages`.
#[derive(Debug)]
pub(crate) struct Messages {
    conversations: conversations::Statements,
    members: members::Statements,
    uncounted: uncounted::Statements,
    periods: periods::Statements,
    cursors: cursors::Statements,
    texts: texts::Statements,
    edits: edits::Statements,
    pins: pins::Statements,
    reactions: reactions::Statements,
    history: history::Statements,
    /// There are no keys on messages yet.
    bare: bool,
}

/// What a batch does to the tables.
#[derive(Default)]
struct Batch<'a> {
    conversations: Conversations<'a>,
    members: Members,
    uncounted: Uncounted,
    periods: Periods,
    cursors: CursorMoves,
    texts: Texts<'a>,
    edits: Edits,
    pins: Pins,
    reactions: Reactions<'a>,
    history: History,
    threads: Threads,
}

impl Messages {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            conversations: conversations::Statements::new(target),
            members: members::Statements::new(target),
            uncounted: uncounted::Statements::new(target),
            periods: periods::Statements::new(target),
            cursors: cursors::Statements::new(target),
            texts: texts::Statements::new(target),
            edits: edits::Statements::new(target),
            pins: pins::Statements::new(target),
            reactions: reactions::Statements::new(target),
            history: history::Statements::new(target),
            bare: false,
        }
    }

    /// Whether keys of kind [`Keys::Lookup`] are missing.
    pub(crate) fn set_bare(&mut self, bare: bool) {
        self.bare = bare;
    }

    /// What was left alone while those keys were missing.
    pub(crate) fn settle(target: &Target) -> Sql {
        uncounted::everybody(target)
    }

    /// Whether these events ask for messages that are in the table.
    pub(crate) fn looks_up(events: &[Recorded]) -> bool {
        let events: Vec<_> = events.iter().filter_map(ours).collect();
        Needs::of(&events).look_up()
    }

    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
    ) -> Result<(), ProjectionError> {
        let events: Vec<_> = events.iter().filter_map(|event| ours(event)).collect();
        if events.is_empty() {
            return Ok(());
        }
        let mut batch = self.load(connection, Needs::of(&events)).await?;
        for (recorded, event) in &events {
            batch.apply(recorded, event)?;
        }
        self.store(connection, batch).await
    }

    async fn load<'a>(
        &self,
        connection: &mut PgConnection,
        needs: Needs,
    ) -> Result<Batch<'a>, ProjectionError> {
        Ok(Batch {
            conversations: self.conversations.load(connection, needs.conversations).await?,
            members: self.members.load(connection, &needs.members).await?,
            texts: self.texts.load(connection, &needs.messages).await?,
            ..Batch::default()
        })
    }

    async fn store(
        &self,
        connection: &mut PgConnection,
        mut batch: Batch<'_>,
    ) -> Result<(), ProjectionError> {
        self.conversations.insert(connection, &batch.conversations).await?;
        self.texts.insert(connection, &batch.texts).await?;
        self.edits.insert(connection, batch.edits).await?;
        self.history.insert(connection, batch.history, batch.threads).await?;
        self.cursors.insert(connection, batch.cursors).await?;
        for (message, change) in self.reactions.write(connection, batch.reactions).await? {
            batch.texts.count_reactions(message, change);
        }
        self.pins.write(connection, batch.pins).await?;
        self.texts.update(connection, &batch.texts).await?;
        self.members.write(connection, &batch.members).await?;
        self.periods.write(connection, batch.periods).await?;
        // After the members: it counts from where their cursors are now.
        if !self.bare {
            let moved = batch.members.moved();
            self.uncounted.write(connection, batch.uncounted, &moved).await?;
        }
        self.conversations.update(connection, &batch.conversations).await
    }
}

/// The event, if it is one of this domain.
fn ours(event: &Recorded) -> Option<(&Recorded, &MessagesEvent)> {
    match &event.body {
        Body::Known(Event::Messages(known)) => Some((event, known)),
        Body::Known(
            Event::Auth(_)
            | Event::Accounts(_)
            | Event::Sessions(_)
            | Event::Credentials(_)
            | Event::Passwords(_)
            | Event::Codes(_)
            | Event::Users(_)
            | Event::Audit(_)
            | Event::System(_),
        )
        | Body::Unreadable(_) => None,
    }
}
