//! Table `messages.members`: roles and cursors.

use echolog_events::{ParticipantJoined, Recorded, Role, Time, Uuid};
use sqlx::PgConnection;

use super::MemberKey;
use crate::map::{HashMap, HashSet};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target, ids};

const LOAD: &str = "SELECT m.conversation_id, m.user_id, m.role, m.invited_by_user_id,
        m.removed_by_user_id, m.is_active, m.joined_at, m.left_at, m.read_seq, m.delivered_seq,
        m.last_read_message_id, m.last_read_at, m.created_at, m.updated_at
    FROM unnest($1::uuid[], $2::uuid[]) AS d (conversation_id, user_id)
    JOIN {schema}.members AS m USING (conversation_id, user_id)";

const UPSERT: &str = "INSERT INTO {schema}.members AS m (id, conversation_id, user_id, role,
        invited_by_user_id, removed_by_user_id, is_active, joined_at, left_at, read_seq,
        delivered_seq, uncounted, last_read_message_id, last_read_at, created_at, updated_at)
    SELECT id, conversation_id, user_id, role, invited_by_user_id, removed_by_user_id, is_active,
        joined_at, left_at, read_seq, delivered_seq, 0, last_read_message_id, last_read_at,
        created_at, updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[],
        $7::boolean[], $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::bigint[],
        $12::uuid[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[])
        AS d (id, conversation_id, user_id, role, invited_by_user_id, removed_by_user_id,
        is_active, joined_at, left_at, read_seq, delivered_seq, last_read_message_id, last_read_at,
        created_at, updated_at)
    ON CONFLICT (conversation_id, user_id) DO UPDATE SET
        role = excluded.role,
        invited_by_user_id = excluded.invited_by_user_id,
        removed_by_user_id = excluded.removed_by_user_id,
        is_active = excluded.is_active,
        joined_at = excluded.joined_at,
        left_at = excluded.left_at,
        read_seq = excluded.read_seq,
        delivered_seq = excluded.delivered_seq,
        uncounted = CASE WHEN excluded.is_active THEN m.uncounted ELSE 0 END,
        last_read_message_id = excluded.last_read_message_id,
        last_read_at = excluded.last_read_at,
        updated_at = excluded.updated_at";

const MOVE: &str = "UPDATE {schema}.members AS m SET
        read_seq = d.read_seq,
        delivered_seq = d.delivered_seq,
        last_read_message_id = d.last_read_message_id,
        last_read_at = d.last_read_at,
        updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[], $6::timestamptz[],
        $7::timestamptz[]) AS d (conversation_id, user_id, read_seq, delivered_seq,
        last_read_message_id, last_read_at, updated_at)
    WHERE m.conversation_id = d.conversation_id AND m.user_id = d.user_id";

#[derive(Debug)]
pub(super) struct Statements {
    load: Sql,
    upsert: Sql,
    r#move: Sql,
}

/// A member, as the batch leaves it.
#[derive(sqlx::FromRow)]
pub(super) struct Member {
    conversation_id: Uuid,
    user_id: Uuid,
    role: String,
    invited_by_user_id: Option<Uuid>,
    removed_by_user_id: Option<Uuid>,
    is_active: bool,
    joined_at: Time,
    left_at: Option<Time>,
    read_seq: i64,
    delivered_seq: i64,
    last_read_message_id: Option<Uuid>,
    last_read_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
    #[sqlx(skip)]
    changed: Changed,
}

/// What the batch changed about a member.
#[derive(Clone, Copy, Default)]
struct Changed {
    /// Role, or being a member at all.
    membership: bool,
    /// One of the cursors.
    cursors: bool,
    /// What `uncounted` counts from.
    start: bool,
}

/// What a batch does to members.
#[derive(Default)]
pub(super) struct Members(HashMap<MemberKey, Member>);

impl Members {
    /// Someone who is or was a member.
    pub(super) fn get(
        &mut self,
        event: &Recorded,
        key: MemberKey,
    ) -> Result<&mut Member, ProjectionError> {
        self.0.get_mut(&key).ok_or_else(|| {
            ProjectionError::data(event, format!("{} is no member of {}", key.1, key.0))
        })
    }

    /// Makes someone a member; `false` if they are one already, who then only gets the role.
    pub(super) fn join(&mut self, event: &Recorded, e: &ParticipantJoined, last_seq: i64) -> bool {
        let time = event.meta.time;
        let key = (e.conversation_id, e.user_id);
        let before = self.0.get(&key);
        if before.is_some_and(|member| member.is_active) {
            if let Some(member) = self.0.get_mut(&key) {
                member.change_role(event, e.role);
            }
            return false;
        }
        let member = Member {
            conversation_id: e.conversation_id,
            user_id: e.user_id,
            role: e.role.name().to_owned(),
            invited_by_user_id: e.invited_by_user_id,
            removed_by_user_id: None,
            is_active: true,
            joined_at: time,
            left_at: None,
            // What was said before is nothing that the member has to read.
            read_seq: last_seq,
            delivered_seq: last_seq,
            last_read_message_id: before.and_then(|member| member.last_read_message_id),
            last_read_at: before.and_then(|member| member.last_read_at),
            created_at: before.map_or(time, |member| member.created_at),
            updated_at: time,
            changed: Changed { membership: true, cursors: true, start: true },
        };
        self.0.insert(key, member);
        true
    }

    /// Active members whose uncounted messages have to be counted anew.
    pub(super) fn moved(&self) -> Vec<MemberKey> {
        self.0
            .iter()
            .filter(|(_, member)| member.changed.start && member.is_active)
            .map(|(key, _)| *key)
            .collect()
    }

    fn changed(&self, which: impl Fn(Changed) -> bool) -> Vec<&Member> {
        self.0.values().filter(|member| which(member.changed)).collect()
    }
}

impl Member {
    pub(super) fn change_role(&mut self, event: &Recorded, role: Role) {
        role.name().clone_into(&mut self.role);
        self.changed.membership = true;
        self.updated_at = event.meta.time;
    }

    /// Ends the membership; `false` if it has ended already.
    pub(super) fn part(&mut self, event: &Recorded, removed_by: Option<Uuid>) -> bool {
        if !self.is_active {
            return false;
        }
        self.is_active = false;
        self.left_at = Some(event.meta.time);
        self.removed_by_user_id = removed_by;
        self.changed.membership = true;
        self.updated_at = event.meta.time;
        true
    }

    /// Moves the cursor of what has arrived; `false` if it is there or beyond.
    pub(super) fn deliver(&mut self, event: &Recorded, seq: i64) -> bool {
        if !self.is_active || seq <= self.delivered_seq {
            return false;
        }
        self.delivered_seq = seq;
        self.changed.cursors = true;
        self.updated_at = event.meta.time;
        true
    }

    /// Moves the cursor of what is read; `false` if it is there or beyond.
    pub(super) fn read(&mut self, event: &Recorded, message: Uuid, seq: i64) -> bool {
        if !self.is_active || seq <= self.read_seq {
            return false;
        }
        self.read_seq = seq;
        self.delivered_seq = self.delivered_seq.max(seq);
        self.last_read_message_id = Some(message);
        self.last_read_at = Some(event.meta.time);
        self.changed.cursors = true;
        self.changed.start = true;
        self.updated_at = event.meta.time;
        true
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { load: target.sql(LOAD), upsert: target.sql(UPSERT), r#move: target.sql(MOVE) }
    }

    pub(super) async fn load(
        &self,
        connection: &mut PgConnection,
        keys: &HashSet<MemberKey>,
    ) -> Result<Members, ProjectionError> {
        if keys.is_empty() {
            return Ok(Members::default());
        }
        let (conversations, users): (Vec<Uuid>, Vec<Uuid>) = keys.iter().copied().unzip();
        let rows: Vec<Member> =
            self.load.query_as().bind(conversations).bind(users).fetch_all(connection).await?;
        Ok(Members(rows.into_iter().map(|row| ((row.conversation_id, row.user_id), row)).collect()))
    }

    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        members: &Members,
    ) -> Result<(), ProjectionError> {
        let joined_or_left = members.changed(|changed| changed.membership);
        if !joined_or_left.is_empty() {
            self.upsert(connection, &joined_or_left).await?;
        }
        let moved = members.changed(|changed| changed.cursors && !changed.membership);
        if !moved.is_empty() {
            self.move_cursors(connection, &moved).await?;
        }
        Ok(())
    }

    async fn upsert(
        &self,
        connection: &mut PgConnection,
        rows: &[&Member],
    ) -> Result<(), ProjectionError> {
        self.upsert
            .query()
            .bind(column(rows, |row| ids::member(row.conversation_id, row.user_id)))
            .bind(column(rows, |row| row.conversation_id))
            .bind(column(rows, |row| row.user_id))
            .bind(column(rows, |row| row.role.as_str()))
            .bind(column(rows, |row| row.invited_by_user_id))
            .bind(column(rows, |row| row.removed_by_user_id))
            .bind(column(rows, |row| row.is_active))
            .bind(column(rows, |row| row.joined_at))
            .bind(column(rows, |row| row.left_at))
            .bind(column(rows, |row| row.read_seq))
            .bind(column(rows, |row| row.delivered_seq))
            .bind(column(rows, |row| row.last_read_message_id))
            .bind(column(rows, |row| row.last_read_at))
            .bind(column(rows, |row| row.created_at))
            .bind(column(rows, |row| row.updated_at))
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn move_cursors(
        &self,
        connection: &mut PgConnection,
        rows: &[&Member],
    ) -> Result<(), ProjectionError> {
        self.r#move
            .query()
            .bind(column(rows, |row| row.conversation_id))
            .bind(column(rows, |row| row.user_id))
            .bind(column(rows, |row| row.read_seq))
            .bind(column(rows, |row| row.delivered_seq))
            .bind(column(rows, |row| row.last_read_message_id))
            .bind(column(rows, |row| row.last_read_at))
            .bind(column(rows, |row| row.updated_at))
            .execute(connection)
            .await?;
        Ok(())
    }
}
