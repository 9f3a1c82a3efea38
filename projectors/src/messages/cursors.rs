//! Table `messages.cursor_moves`.

use echolog_events::{Recorded, Time};
use sqlx::PgConnection;

use super::MemberKey;
use crate::rows::{Rows, Table};
use crate::{ProjectionError, Target};

/// Of `cursor_moves`.
const COLUMNS: &str = "conversation_id uuid, user_id uuid, kind text, up_to_seq bigint,
    moved_at timestamptz, event_seq bigint";

#[derive(Debug)]
pub(super) struct Statements(Table);

/// The two cursors of a member.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Delivered,
    Read,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

/// One move.
struct Move {
    member: MemberKey,
    kind: Kind,
    up_to_seq: i64,
    moved_at: Time,
    event_seq: i64,
}

/// The moves of a batch.
#[derive(Default)]
pub(super) struct CursorMoves(Vec<Move>);

impl CursorMoves {
    pub(super) fn add(&mut self, event: &Recorded, member: MemberKey, kind: Kind, up_to_seq: i64) {
        let (moved_at, event_seq) = (event.meta.time, event.seq.cast_signed());
        self.0.push(Move { member, kind, up_to_seq, moved_at, event_seq });
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self(Table::new(target, "cursor_moves", COLUMNS))
    }

    pub(super) async fn insert(
        &self,
        connection: &mut PgConnection,
        moves: CursorMoves,
    ) -> Result<(), ProjectionError> {
        let mut rows = Rows::new();
        for it in moves.0 {
            rows.row(&[
                &it.member.0,
                &it.member.1,
                &it.kind.name(),
                &it.up_to_seq,
                &it.moved_at,
                &it.event_seq,
            ]);
        }
        Ok(rows.send(connection, &self.0).await?)
    }
}
