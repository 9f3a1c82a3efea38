//! What the tables forget because it is too old.

use echolog_events::{Body, Event, Recorded, RetentionApplied, SessionEvent};
use sqlx::PgConnection;

use crate::map::HashMap;
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// Refresh tokens go with their session. One that has not ended stays, however long its time has been
/// over: that it ended is still to come.
const SESSIONS: &str = "WITH gone AS (
        DELETE FROM {schema}.sessions AS s
        USING unnest($1::uuid[], $2::timestamptz[]) AS d (account_id, before)
        WHERE s.user_id = d.account_id AND s.expires_at < d.before AND s.revoked_at IS NOT NULL
        RETURNING s.user_id, s.id
    )
    DELETE FROM {schema}.refresh_tokens AS r USING gone
    WHERE r.user_id = gone.user_id AND r.session_id = gone.id";

const CODES: &str = "DELETE FROM {schema}.otp_verifications AS o
    USING unnest($1::uuid[], $2::timestamptz[]) AS d (account_id, before)
    WHERE o.account_id = d.account_id AND o.created_at < d.before";

const RESETS: &str = "DELETE FROM {schema}.password_reset_tokens AS t
    USING unnest($1::uuid[], $2::timestamptz[]) AS d (account_id, before)
    WHERE t.user_id = d.account_id AND t.created_at < d.before";

#[derive(Debug)]
pub(super) struct Statements {
    sessions: Sql,
    codes: Sql,
    resets: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            sessions: target.sql(SESSIONS),
            codes: target.sql(CODES),
            resets: target.sql(RESETS),
        }
    }
}

/// The events of a batch in rounds: of each account, up to where it forgets something, and what comes
/// then in the next. So what is forgotten is what was there, however the log is cut into batches.
pub(super) fn rounds<'a>(events: &[&'a Recorded]) -> Vec<Vec<&'a Recorded>> {
    if !events.iter().any(|event| applied(event).is_some()) {
        return vec![events.to_vec()];
    }
    let mut rounds = vec![Vec::new()];
    let mut begun: HashMap<&str, usize> = HashMap::default();
    for event in events {
        let account = event.key.id.as_str();
        let round = begun.get(account).copied().unwrap_or_default();
        rounds[round].push(*event);
        if applied(event).is_some() {
            begun.insert(account, round + 1);
            if rounds.len() == round + 1 {
                rounds.push(Vec::new());
            }
        }
    }
    rounds
}

fn applied(event: &Recorded) -> Option<&RetentionApplied> {
    let Body::Known(Event::Sessions(SessionEvent::RetentionApplied(applied))) = &event.body else {
        return None;
    };
    Some(applied)
}

/// Forgets, after everything else of a round has been written.
pub(super) async fn forget(
    connection: &mut PgConnection,
    statements: &Statements,
    round: &[&Recorded],
) -> Result<(), ProjectionError> {
    let applied: Vec<&RetentionApplied> = round.iter().filter_map(|event| applied(event)).collect();
    if applied.is_empty() {
        return Ok(());
    }
    let accounts = column(&applied, |it| it.account_id);
    for (sql, before) in [
        (&statements.sessions, column(&applied, |it| it.sessions_before)),
        (&statements.codes, column(&applied, |it| it.codes_before)),
        (&statements.resets, column(&applied, |it| it.codes_before)),
    ] {
        sql.query().bind(&accounts).bind(before).execute(&mut *connection).await?;
    }
    Ok(())
}
