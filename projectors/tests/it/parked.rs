//! What an operator does about ids that are set aside.

use std::convert::Infallible;

use echolog_events::{Recorded, partition_of};
use echolog_projectors::parked::{
    Lookup, ParkedError, Retried, Skip, Stuck, list, retry, skip, skipped,
};
use echolog_projectors::rebuild::{EventSource, Page, Rebuild};
use echolog_projectors::verify::verify;
use echolog_projectors::{Projection, ProjectionError, Target};

use crate::support::{Log, Tables, id};

/// The log as a build reads it that knows more events, or fewer.
struct Events<'a>(&'a [Recorded]);

impl Lookup for Events<'_> {
    type Error = Infallible;

    async fn events(&self, seqs: &[u64]) -> Result<Vec<Recorded>, Infallible> {
        Ok(self.0.iter().filter(|event| seqs.contains(&event.seq)).cloned().collect())
    }
}

impl EventSource for Events<'_> {
    type Error = Infallible;

    async fn read(&mut self, after: u64) -> Result<Page, Infallible> {
        let events: Vec<Recorded> =
            self.0.iter().filter(|event| event.seq > after).cloned().collect();
        let to = events.last().map_or(after, |event| event.seq);
        Ok(Page { events, to })
    }
}

/// A conversation whose fifth event nobody can read, with three more behind it, as it stands in
/// the log and as it was meant.
fn spoiled() -> (Log, Log) {
    let (mut log, mut meant) = (Log::default(), Log::default());
    for log in [&mut log, &mut meant] {
        log.register(id(1), "Ada");
        log.group(id(100), &[id(1)]);
        log.send(id(100), id(11), id(1), "one");
        log.send(id(100), id(12), id(1), "two");
    }
    log.spoil();
    for log in [&mut log, &mut meant] {
        log.send(id(100), id(13), id(1), "three");
        log.edit(id(100), id(12), id(1), "zwei");
        log.group(id(200), &[id(1)]);
        log.send(id(200), id(14), id(1), "elsewhere");
    }
    (log, meant)
}

const KEY: u128 = 100;

fn key() -> String {
    id(KEY).to_string()
}

fn gives_up(seq: u64) -> Skip {
    let (reason, by) = ("written by hand".to_owned(), "ada".to_owned());
    Skip { seq, reason, by, at: echolog_events::Time::default() }
}

async fn retry_all(tables: &Tables, log: &Log) -> Vec<Retried> {
    let mut all = Vec::new();
    for parked in list(&tables.database).await.expect("a list") {
        let events = Events(&log.events);
        let retried = retry(&tables.workers, parked.projection, &parked.key, &events).await;
        all.push(retried.expect("tried again"));
    }
    all
}

#[tokio::test]
async fn what_is_parked_is_listed_by_key() {
    let (log, _) = spoiled();
    let tables = Tables::given(&log).await;
    let keys = list(&tables.database).await.expect("a list");
    let shown: Vec<_> =
        keys.iter().map(|it| (it.projection, it.seq, it.events, it.error.as_str())).collect();
    let expected = |projection| (projection, 6, 3, "no such event type");
    assert_eq!(shown, [expected(Projection::Messages), expected(Projection::Audit)]);
    assert_eq!(keys[0].since, log.events[5].meta.time);
    let findings = verify(&tables.database).await.expect("verified");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].check.contains("parked list"));
}

#[tokio::test]
async fn a_build_that_knows_the_event_makes_the_tables_as_they_were_meant() {
    let (log, meant) = spoiled();
    let tables = Tables::given(&log).await;
    let retried = retry_all(&tables, &meant).await;
    assert_eq!(retried, vec![Retried { applied: 3, stuck: None }; 2]);
    let after = dumps(&tables).await;
    assert!(list(&tables.database).await.expect("a list").is_empty());

    let wanted = Tables::given(&meant).await;
    for (after, wanted) in after.iter().zip(dumps(&wanted).await) {
        assert_eq!(*after, wanted);
    }
}

async fn dumps(tables: &Tables) -> Vec<Vec<String>> {
    let mut dumps = Vec::new();
    for projection in [Projection::Messages, Projection::Audit, Projection::Deciders] {
        dumps.push(tables.dump(&Target::live(projection)).await);
    }
    dumps
}

#[tokio::test]
async fn what_still_does_not_fit_stays() {
    let (log, mut meant) = spoiled();
    let tables = Tables::given(&log).await;
    let still = Retried {
        applied: 0,
        stuck: Some(Stuck { seq: 6, error: "no such event type".to_owned(), waiting: 2 }),
    };
    assert_eq!(retry_all(&tables, &log).await, vec![still; 2]);

    // The first is readable now, another one behind it does not fit.
    let last = meant.events.iter().position(|event| event.seq == 8).expect("an edit");
    let mut wrong = Log::default();
    wrong.edit(id(KEY), id(99), id(1), "of no message");
    meant.events[last].body = wrong.events[0].body.clone();
    let events = Events(&meant.events);
    let retried = retry(&tables.workers, Projection::Messages, &key(), &events).await;
    let Retried { applied, stuck } = retried.expect("tried again");
    assert_eq!((applied, stuck.as_ref().map(|it| (it.seq, it.waiting))), (2, Some((8, 0))));
    assert_eq!(
        tables
            .rows("SELECT event_seq, error FROM projection.parked WHERE projection = 'messages'")
            .await,
        [r#"(8,"event 8: no message #63 in conversation #64")"#]
    );
    assert_eq!(
        tables.value("SELECT count(*) FROM messages.messages WHERE seq < 4").await,
        "4",
        "the two before it are in the tables"
    );
}

#[tokio::test]
async fn the_one_wrong_event_of_many_is_found() {
    let (mut log, mut meant) = (Log::default(), Log::default());
    for log in [&mut log, &mut meant] {
        log.group(id(KEY), &[id(1)]);
        log.send(id(KEY), id(1000), id(1), "unreadable");
    }
    log.spoil();
    for log in [&mut log, &mut meant] {
        for n in 1..=100 {
            log.send(id(KEY), id(1000 + n), id(1), if n == 77 { "\0" } else { "fine" });
        }
    }
    let tables = Tables::given(&log).await;
    let events = Events(&meant.events);
    let retried = retry(&tables.workers, Projection::Messages, &key(), &events).await;
    let Retried { applied, stuck } = retried.expect("tried again");
    assert_eq!((applied, stuck.map(|it| it.waiting)), (77, Some(23)));
    assert_eq!(tables.value("SELECT max(seq) FROM messages.messages").await, "77");
}

#[tokio::test]
async fn a_projector_at_work_notices() {
    let (mut log, meant) = spoiled();
    let tables = Tables::new().await;
    let mut runner = tables.runner(Target::live(Projection::Messages)).await;
    runner.apply(&log.events, log.end()).await.expect("applied");
    retry_all(&tables, &meant).await;

    let end = log.events.len();
    log.send(id(KEY), id(20), id(1), "later");
    let error = runner.apply(&log.events[end..], log.end()).await.expect_err("it is fenced");
    assert!(matches!(error, ProjectionError::Fenced(_)), "{error}");
    drop(runner);
    tables.feed_one(Target::live(Projection::Messages), &[&log.events]).await;
    assert_eq!(
        tables
            .rows("SELECT seq, content FROM messages.messages WHERE conversation_id::text LIKE '%64' ORDER BY seq")
            .await,
        ["(1,one)", "(2,zwei)", "(3,three)", "(4,later)"]
    );
}

#[tokio::test]
async fn an_event_that_is_given_up_is_given_up_in_every_rebuild() {
    let (log, _) = spoiled();
    let tables = Tables::given(&log).await;
    for projection in [Projection::Messages, Projection::Audit] {
        // The edit behind it is one of the message that is given up; the audit does not mind.
        let events = Events(&log.events);
        let skipped = skip(&tables.database, projection, &key(), &gives_up(6), &events).await;
        let Retried { applied, stuck } = skipped.expect("given up");
        let expected = if projection == Projection::Messages { (1, Some(8)) } else { (2, None) };
        assert_eq!((applied, stuck.map(|it| it.seq)), expected);
    }
    let events = Events(&log.events);
    let both = skip(&tables.database, Projection::Messages, &key(), &gives_up(8), &events).await;
    assert_eq!(both.expect("given up"), Retried { applied: 0, stuck: None });
    assert!(list(&tables.database).await.expect("a list").is_empty());

    for projection in [Projection::Messages, Projection::Audit] {
        let rebuild = Rebuild::new(&tables.database, projection);
        rebuild.create_shadow().await.expect("a copy");
        let comparison = rebuild.compare(&mut Events(&log.events)).await.expect("compared");
        assert_eq!(comparison.differences, [], "{}", projection.name());
    }
    let given_up = skipped(&tables.database).await.expect("a list");
    let shown: Vec<_> =
        given_up.iter().map(|it| (it.projection, it.seq, it.reason.as_str())).collect();
    let reason = "written by hand";
    assert_eq!(
        shown,
        [
            (Projection::Audit, 6, reason),
            (Projection::Messages, 6, reason),
            (Projection::Messages, 8, reason)
        ]
    );
}

#[tokio::test]
async fn only_what_holds_the_others_up_is_given_up() {
    let (log, _) = spoiled();
    let tables = Tables::given(&log).await;
    let events = Events(&log.events);
    let error = skip(&tables.database, Projection::Messages, &key(), &gives_up(7), &events).await;
    assert!(matches!(error, Err(ParkedError::NotFirst { first: 6, .. })), "{error:?}");
    let other = id(200).to_string();
    let error = skip(&tables.database, Projection::Messages, &other, &gives_up(6), &events).await;
    assert!(matches!(error, Err(ParkedError::NotParked { .. })), "{error:?}");
    let error = retry(&tables.workers, Projection::Ledger, &key(), &events).await;
    assert!(matches!(error, Err(ParkedError::NotParked { .. })), "{error:?}");
    let gone = retry(&tables.workers, Projection::Messages, &key(), &Events(&[])).await;
    assert!(matches!(gone, Err(ParkedError::Gone(6))), "{gone:?}");
    assert_eq!(skipped(&tables.database).await.expect("a list"), []);
    assert_eq!(
        tables.value("SELECT max(generation) FROM projection.checkpoints").await,
        "0",
        "nothing has changed"
    );
}

#[tokio::test]
async fn ownership_does_not_go_back() {
    let (mut log, mut meant) = (Log::default(), Log::default());
    for log in [&mut log, &mut meant] {
        log.register(id(1), "Ada");
        log.profile(echolog_events::ProfileUpdated {
            user_id: id(1),
            bio: Some("unreadable".to_owned()),
            ..echolog_events::ProfileUpdated::default()
        });
    }
    log.spoil();
    // Somebody else of the same partition, whose command is handled after that.
    let partition = |n: &u128| partition_of(&id(*n).to_string());
    let other = (2..).find(|n| partition(n) == partition(&1)).expect("one in sixteen");
    for log in [&mut log, &mut meant] {
        log.register(id(other), "Bob");
    }
    let owner = "SELECT seq, state FROM projection.deciders WHERE stream = 'owner'";
    let tables = Tables::given(&log).await;
    let before = tables.rows(owner).await;
    retry_all(&tables, &meant).await;
    assert_eq!(tables.rows(owner).await, before);
}
