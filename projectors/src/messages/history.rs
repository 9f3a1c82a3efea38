//! Tables `messages.participant_history` and `messages.threads`.

use echolog_events::{MessageSent, Recorded, Role, Uuid};
use sqlx::PgConnection;

use super::MemberKey;
use crate::rows::{Rows, Table};
use crate::{ProjectionError, Target, ids};

/// Of `participant_history`.
const HISTORY: &str = "id uuid, conversation_id uuid, user_id uuid, action text, old_role text,
    new_role text, actor_user_id uuid, occurred_at timestamptz, created_at timestamptz,
    updated_at timestamptz";

/// Of `threads`.
const THREADS: &str = "id uuid, conversation_id uuid, parent_message_id uuid,
    reply_message_id uuid, root_message_id uuid, created_at timestamptz, updated_at timestamptz";

#[derive(Debug)]
pub(super) struct Statements {
    history: Table,
    threads: Table,
}

/// What happened to a member.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    Joined { invited_by: Option<Uuid>, role: Role },
    Left { by: Uuid, old_role: Role },
    Removed { by: Uuid, old_role: Role },
    RoleChanged { old_role: Role, new_role: Role },
}

/// What happened to members in a batch.
#[derive(Default)]
pub(super) struct History(Rows);

impl History {
    /// Notes it. The ordinal tells the entries of one event apart.
    pub(super) fn add(&mut self, event: &Recorded, ordinal: u8, member: MemberKey, entry: Entry) {
        let (conversation, user) = member;
        let (action, old_role, new_role, actor) = match entry {
            Entry::Joined { invited_by, role } => {
                let inviter = invited_by.filter(|inviter| *inviter != user);
                let action = if inviter.is_some() { "added" } else { "joined" };
                (action, None, Some(role), Some(inviter.unwrap_or(user)))
            }
            Entry::Left { by, old_role } => ("left", Some(old_role), None, Some(by)),
            Entry::Removed { by, old_role } => ("removed", Some(old_role), None, Some(by)),
            Entry::RoleChanged { old_role, new_role } => {
                ("role_changed", Some(old_role), Some(new_role), event.meta.actor_user_id())
            }
        };
        self.0.row(&[
            &ids::of_event(event.meta.event_id, ordinal),
            &conversation,
            &user,
            &action,
            &old_role.map(Role::name),
            &new_role.map(Role::name),
            &actor,
            &event.meta.time,
            &event.meta.time,
            &event.meta.time,
        ]);
    }
}

/// The replies of a batch.
#[derive(Default)]
pub(super) struct Threads(Rows);

impl Threads {
    pub(super) fn add(&mut self, event: &Recorded, e: &MessageSent, parent: Uuid) {
        self.0.row(&[
            &ids::of_event(event.meta.event_id, 0),
            &e.conversation_id,
            &parent,
            &e.message_id,
            &e.thread_root_message_id,
            &event.meta.time,
            &event.meta.time,
        ]);
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            history: Table::new(target, "participant_history", HISTORY),
            threads: Table::new(target, "threads", THREADS),
        }
    }

    pub(super) async fn insert(
        &self,
        connection: &mut PgConnection,
        history: History,
        threads: Threads,
    ) -> Result<(), ProjectionError> {
        history.0.send(&mut *connection, &self.history).await?;
        Ok(threads.0.send(connection, &self.threads).await?)
    }
}
