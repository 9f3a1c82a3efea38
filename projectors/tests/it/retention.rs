//! What the tables forget because it is too old.

use echolog_events::{Recorded, RetentionApplied, RevokedReason, SessionEvent, Time, Uuid};
use echolog_projectors::due::{DueStore, Kind};
use echolog_projectors::rebuild::Rebuild;
use echolog_projectors::{Projection, Target};

use crate::support::codes::{guessed, requested, reset_requested};
use crate::support::sessions::{day, expired, refresh, revoked};
use crate::support::{Log, Source, Tables, id};

const HERE: [&str; 4] = [
    "SELECT user_id, id FROM auth.sessions ORDER BY 1, 2",
    "SELECT user_id, session_id FROM auth.refresh_tokens ORDER BY 1, 2",
    "SELECT account_id, id FROM auth.otp_verifications ORDER BY 1, 2",
    "SELECT user_id, id FROM auth.password_reset_tokens ORDER BY 1, 2",
];

fn forgets(account_id: Uuid, sessions_before: Time, codes_before: Time) -> SessionEvent {
    let applied = RetentionApplied { account_id, sessions_before, codes_before };
    SessionEvent::RetentionApplied(applied)
}

async fn here(tables: &Tables) -> Vec<Vec<String>> {
    let mut here = Vec::new();
    for query in HERE {
        here.push(tables.rows(query).await);
    }
    here
}

/// The same in whatever batches, and the same again from the log.
async fn all_ways(log: &Log) -> Vec<Vec<String>> {
    let tables = Tables::given(log).await;
    let whole = here(&tables).await;
    let target = Target::live(Projection::Auth);
    let dump = tables.dump(&target).await;
    for size in [1, 2, 3, 5] {
        let tables = Tables::new().await;
        let batches: Vec<&[Recorded]> = log.events.chunks(size).collect();
        tables.feed(&batches).await;
        assert_eq!(tables.dump(&target).await, dump, "in batches of {size}");
    }
    let rebuild = Rebuild::new(&tables.database, Projection::Auth);
    rebuild.create_shadow().await.expect("a copy");
    let mut source = Source(&log.events);
    rebuild.catch_up(&mut source, None, |_| {}).await.expect("caught up");
    let comparison = rebuild.compare(&mut source).await.expect("compared");
    assert_eq!(comparison.differences, []);
    whole
}

#[tokio::test]
async fn what_is_too_old_leaves_the_tables() {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.register(id(2), "Bob");
    for user in [1, 2] {
        log.log_in(id(user), id(10), "a phone");
        log.log_in(id(user), id(11), "a desk");
        log.log_in(id(user), id(12), "a table");
        log.account(vec![refresh(id(user), id(12), 1)]);
        log.codes(vec![requested(id(user), Some(id(user)), id(20), None)]);
        log.codes(vec![reset_requested(id(user), id(30 + user), None)]);
    }
    log.account(vec![expired(id(1), id(10), 31)]);
    log.account(vec![revoked(id(1), id(12), RevokedReason::Logout)]);
    log.account(vec![expired(id(2), id(10), 31)]);
    // The first session is over and has ended, the second has not, the third was refreshed.
    log.account(vec![forgets(id(1), day(31), day(2))]);
    // What comes later is nothing to forget for what came before.
    log.account(vec![expired(id(1), id(11), 31)]);
    log.codes(vec![requested(id(1), Some(id(1)), id(21), Some(id(20)))]);
    log.codes(vec![guessed(id(1), id(20), 1)]);
    let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        all_ways(&log).await,
        [
            rows(&["(#1,#b)", "(#1,#c)", "(#2,#a)", "(#2,#b)", "(#2,#c)"]),
            rows(&["(#1,#b)", "(#1,#c)", "(#1,#c)", "(#2,#a)", "(#2,#b)", "(#2,#c)", "(#2,#c)"]),
            rows(&["(#1,#15)", "(#2,#14)"]),
            rows(&["(#2,#20)"]),
        ]
    );
    log.account(vec![forgets(id(1), day(32), day(2))]);
    let left = all_ways(&log).await;
    assert_eq!((left[0].len(), left[1].len()), (3, 4), "nothing is left of Ada's");
    assert_eq!(left[2], ["(#2,#14)"]);
}

#[tokio::test]
async fn what_is_due_is_found_however_old_it_is() {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.log_in(id(1), id(10), "a phone");
    log.codes(vec![requested(id(1), Some(id(1)), id(20), None)]);
    log.codes(vec![requested(id(0xd1ce), None, id(21), None)]);
    log.codes(vec![reset_requested(id(1), id(30), None)]);
    let tables = Tables::given(&log).await;
    let due = DueStore::new(&tables.database);
    let found = async |kind, at| {
        let found = due.read(kind, at, None, 10).await.expect("an answer");
        found.iter().map(|due| due.user_id).collect::<Vec<Uuid>>()
    };
    let late = day(20 * 365);
    assert_eq!(found(Kind::Session, late).await, [id(1)]);
    assert!(found(Kind::EndedSession, late).await.is_empty());
    assert_eq!(found(Kind::Code, late).await, [id(1), id(0xd1ce)]);
    assert_eq!(found(Kind::Reset, late).await, [id(1)]);
    assert!(found(Kind::Code, day(0)).await.is_empty());
    log.account(vec![expired(id(1), id(10), 31)]);
    tables.clear().await;
    tables.feed(&[&log.events]).await;
    assert!(found(Kind::Session, late).await.is_empty());
    assert_eq!(found(Kind::EndedSession, late).await, [id(1)]);
    assert!(found(Kind::EndedSession, day(30)).await.is_empty());
}
