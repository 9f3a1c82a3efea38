//! Tables `messages.participant_history` and `messages.threads`.

use echolog_events::{MessageSent, Recorded, Role, Uuid};
use sqlx::PgConnection;

use super::MemberKey;
use crate::copy::Rows;
use crate::sql::Sql;
use crate::{ProjectionError, Target, ids};

const COPY_HISTORY: &str =
    "COPY {schema}.participant_history (id, conversation_id, user_id, action,
    old_role, new_role, actor_user_id, occurred_at, created_at, updated_at) FROM STDIN BINARY";

const COPY_THREADS: &str = "COPY {schema}.threads (id, conversation_id, parent_message_id,
    reply_message_id, root_message_id, created_at, updated_at) FROM STDIN BINARY";

#[derive(Debug)]
pub(super) struct Statements {
    history: Sql,
    threads: Sql,
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
pub(super) struct History(Option<Rows>);

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
        self.0.get_or_insert_with(Rows::new).row(&[
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
pub(super) struct Threads(Option<Rows>);

impl Threads {
    pub(super) fn add(&mut self, event: &Recorded, e: &MessageSent, parent: Uuid) {
        self.0.get_or_insert_with(Rows::new).row(&[
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
        Self { history: target.sql(COPY_HISTORY), threads: target.sql(COPY_THREADS) }
    }

    pub(super) async fn insert(
        &self,
        connection: &mut PgConnection,
        history: History,
        threads: Threads,
    ) -> Result<(), ProjectionError> {
        if let Some(rows) = history.0 {
            rows.send(&mut *connection, &self.history).await?;
        }
        if let Some(rows) = threads.0 {
            rows.send(connection, &self.threads).await?;
        }
        Ok(())
    }
}
