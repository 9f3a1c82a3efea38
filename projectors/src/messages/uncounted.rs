//! Column `messages.members.uncounted`: messages after a member's `read_seq` that are the member's
//! own or deleted, each once.

use echolog_events::Uuid;
use sqlx::PgConnection;

use super::MemberKey;
use crate::map::HashMap;
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

const OWN: &str = "UPDATE {schema}.members AS m SET uncounted = m.uncounted + d.n
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS d (conversation_id, user_id, n)
    WHERE m.conversation_id = d.conversation_id AND m.user_id = d.user_id AND m.is_active";

const DELETED: &str = "UPDATE {schema}.members AS m SET uncounted = m.uncounted + d.n
    FROM (
        SELECT x.conversation_id, x.user_id, count(*) AS n
        FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS t (conversation_id, seq, sender)
        JOIN {schema}.members AS x ON x.conversation_id = t.conversation_id
        WHERE x.is_active AND x.user_id <> t.sender AND x.read_seq < t.seq
        GROUP BY x.conversation_id, x.user_id
    ) AS d
    WHERE m.conversation_id = d.conversation_id AND m.user_id = d.user_id";

const COUNT: &str = "UPDATE {schema}.members AS m SET uncounted = (
        SELECT count(*) FROM {schema}.messages AS x
        WHERE x.conversation_id = m.conversation_id AND x.seq > m.read_seq
            AND (x.sender_user_id = m.user_id OR x.is_deleted)
    )
    FROM unnest($1::uuid[], $2::uuid[]) AS d (conversation_id, user_id)
    WHERE m.conversation_id = d.conversation_id AND m.user_id = d.user_id";

/// For a copy in which nothing was deleted yet.
const EVERYBODY: &str = "UPDATE {schema}.members AS m SET uncounted = d.n
    FROM (
        SELECT conversation_id, x.user_id, count(*) AS n
        FROM {schema}.members AS x JOIN {schema}.messages AS t USING (conversation_id)
        WHERE x.is_active AND t.sender_user_id = x.user_id AND t.seq > x.read_seq
        GROUP BY conversation_id, x.user_id
    ) AS d
    WHERE m.conversation_id = d.conversation_id AND m.user_id = d.user_id";

/// Counts everybody's own messages, in a copy that was filled without counting.
pub(super) fn everybody(target: &Target) -> Sql {
    target.sql(EVERYBODY)
}

#[derive(Debug)]
pub(super) struct Statements {
    own: Sql,
    deleted: Sql,
    count: Sql,
}

/// A message that was deleted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deleted {
    pub(super) seq: i64,
    pub(super) sender: Uuid,
}

/// What a batch adds.
#[derive(Default)]
pub(super) struct Uncounted {
    own: HashMap<MemberKey, i64>,
    deleted: Vec<(Uuid, Deleted)>,
}

impl Uncounted {
    /// A member said something, which is no news to them.
    pub(super) fn sent(&mut self, sender: MemberKey) {
        *self.own.entry(sender).or_default() += 1;
    }

    /// A message was deleted. It is no news to its sender anyway.
    pub(super) fn deleted(&mut self, conversation: Uuid, deleted: Deleted) {
        self.deleted.push((conversation, deleted));
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { own: target.sql(OWN), deleted: target.sql(DELETED), count: target.sql(COUNT) }
    }

    /// Adds the differences, then counts anew for the members in `moved`, for whom a difference
    /// means nothing because their `read_seq` is another now.
    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        uncounted: Uncounted,
        moved: &[MemberKey],
    ) -> Result<(), ProjectionError> {
        let own: Vec<_> = uncounted.own.into_iter().collect();
        if !own.is_empty() {
            self.own
                .query()
                .bind(column(&own, |((conversation, _), _)| *conversation))
                .bind(column(&own, |((_, user), _)| *user))
                .bind(column(&own, |(_, n)| *n))
                .execute(&mut *connection)
                .await?;
        }
        let deleted = uncounted.deleted;
        if !deleted.is_empty() {
            self.deleted
                .query()
                .bind(column(&deleted, |(conversation, _)| *conversation))
                .bind(column(&deleted, |(_, deleted)| deleted.seq))
                .bind(column(&deleted, |(_, deleted)| deleted.sender))
                .execute(&mut *connection)
                .await?;
        }
        if !moved.is_empty() {
            self.count
                .query()
                .bind(column(moved, |(conversation, _)| *conversation))
                .bind(column(moved, |(_, user)| *user))
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}
