//! However the log is cut into batches, the tables are the same; and unread numbers are those that
//! a simple model counts.

mod history;
mod model;

use std::cell::Cell;

use echolog_events::Recorded;
use echolog_projectors::{Projection, Target};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use self::history::{Step, log_of};
use self::model::Model;
use crate::support::{Log, Tables, id};

/// Each case builds all tables three times. `PROPTEST_CASES` asks for more.
const CASES: u32 = 24;

#[test]
fn batches_do_not_show() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let tables = runtime.block_on(Tables::new());
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |n| n.parse().expect("a number"));
    let config =
        Config { cases, max_shrink_iters: 50, failure_persistence: None, ..Config::default() };
    let events = Cell::new(0);
    let histories =
        (prop::collection::vec(any::<Step>(), 20..90), prop::collection::vec(1_usize..12, 1..8));
    TestRunner::new(config)
        .run(&histories, |(steps, cuts)| {
            let log = log_of(&steps);
            events.set(events.get() + log.events.len());
            runtime.block_on(check(&tables, &log, &cuts));
            Ok(())
        })
        .expect("however the log is cut");
    assert!(events.get() > 500, "the histories are long enough to mean something");
}

#[tokio::test]
async fn many_rows_take_another_way_to_the_same_tables() {
    let mut log = Log::default();
    log.group(id(100), &[id(1), id(2)]);
    for n in 0..10_000 {
        log.send(id(100), id(1000 + n), id(1 + n % 2), &format!("\"message\" \\ {n} ✓"));
    }
    let tables = Tables::new().await;
    let whole = build(&tables, &[&log.events]).await;
    let parts = build(&tables, &log.events.chunks(500).collect::<Vec<_>>()).await;
    same(&parts, &whole);
}

async fn check(tables: &Tables, log: &Log, cuts: &[usize]) {
    let whole = build(tables, &[&log.events]).await;
    let unread = "SELECT conversation_id, user_id, unread_count
        FROM messages.conversation_participants ORDER BY 1, 2";
    assert_eq!(tables.rows(unread).await, Model::of(log).unread());

    let single = build(tables, &log.events.chunks(1).collect::<Vec<_>>()).await;
    same(&single, &whole);

    let random = build(tables, &cut(&log.events, cuts)).await;
    same(&random, &whole);
}

fn same(cut: &[String], whole: &[String]) {
    let differs = cut.iter().zip(whole).find(|(cut, whole)| cut != whole);
    assert_eq!(differs, None, "cut, whole");
    assert_eq!(cut.len(), whole.len());
}

/// Builds all tables anew, and shows them.
async fn build(tables: &Tables, batches: &[&[Recorded]]) -> Vec<String> {
    tables.clear().await;
    tables.feed(batches).await;
    let mut dump = tables
        .rows("SELECT event_seq, projection, error FROM projection.parked ORDER BY 1 LIMIT 3")
        .await;
    assert_eq!(dump, Vec::<String>::new(), "every history is one that can happen");
    for projection in Projection::ALL {
        dump.extend(tables.dump(&Target::live(projection)).await);
    }
    dump
}

/// Cuts into batches of the given sizes, over and over.
fn cut<'a>(mut events: &'a [Recorded], sizes: &[usize]) -> Vec<&'a [Recorded]> {
    let mut batches = Vec::new();
    for size in sizes.iter().cycle() {
        if events.is_empty() {
            break;
        }
        let (batch, rest) = events.split_at((*size).min(events.len()));
        batches.push(batch);
        events = rest;
    }
    batches
}
