//! However the log is cut into batches, and however its partitions are spread, the tables are the
//! same: those of a simple model.

mod history;
mod model;
mod ways;

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use echolog_projectors::verify::verify;
use echolog_projectors::{Projection, Target};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use serde_json::Value;

use self::history::{History, steps};
use self::model::Model;
use self::ways::Split;
use crate::support::{Log, Tables, id};

/// Each case builds all tables four times and more. `PROPTEST_CASES` asks for more.
const CASES: u32 = 12;

/// Who the message was for, and how far it came.
const RECEIPTS: &str = "SELECT conversation_id, message_id, user_id, status, delivered_at, read_at
    FROM messages.message_receipts";

#[test]
fn any_history_makes_the_tables_of_the_model() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
    let tables = runtime.block_on(Tables::new());
    let events = Cell::new(0);
    let cases = (steps(), prop::collection::vec(1_usize..12, 1..8), splits());
    let result = TestRunner::new(config()).run(&cases, |(steps, cuts, split)| {
        let history = History::of(&steps);
        events.set(events.get() + history.log.events.len());
        runtime.block_on(check(&tables, &history, &cuts, &split));
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Err(TestError::Fail(reason, (steps, cuts, split))) => {
            panic!("{reason}\nafter\n{}in {cuts:?} or {split:?}", History::of(&steps))
        }
    }
    assert!(events.get() > 100, "the histories are long enough to mean something");
}

/// `PROPTEST_RNG_SEED` repeats a run.
fn config() -> Config {
    let given = Config::default();
    let seed = match given.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(()),
    };
    println!("PROPTEST_RNG_SEED={seed} repeats it");
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |n| n.parse().expect("a number"));
    Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 50,
        failure_persistence: None,
        ..given
    }
}

/// From one projector of everything to one for each partition, mostly a few.
fn splits() -> impl Strategy<Value = Split> {
    let count = prop_oneof![4 => 1_u8..5, 1 => 5_u8..17];
    let projectors = count.prop_flat_map(|count| prop::collection::vec(0..count, 16));
    let turns = prop::collection::vec((any::<u8>(), 1_usize..30), 1..20);
    (projectors, turns).prop_map(|(projectors, turns)| Split { projectors, turns })
}

async fn check(tables: &Tables, history: &History, cuts: &[usize], split: &Split) {
    let events = &history.log.events;
    ways::in_batches(tables, events, &[events.len()]).await;
    let whole = dump(tables).await;
    compare(tables, history).await;
    let findings = verify(&tables.database).await.expect("an answer");
    assert!(findings.is_empty(), "{findings:#?}");

    ways::rebuilt(tables, events, Projection::Messages).await;
    ways::rebuilt(tables, events, Projection::Auth).await;

    ways::one_by_one(tables, history).await;
    same(&dump(tables).await, &whole);

    ways::in_batches(tables, events, cuts).await;
    same(&dump(tables).await, &whole);

    ways::apart(tables, events, split).await;
    same(&dump(tables).await, &whole);
}

/// All rows of all tables.
async fn dump(tables: &Tables) -> Vec<String> {
    let mut dump = tables
        .rows("SELECT event_seq, projection, error FROM projection.parked ORDER BY 1 LIMIT 3")
        .await;
    assert_eq!(dump, Vec::<String>::new(), "every history is one that can happen");
    for projection in Projection::ALL {
        dump.extend(tables.dump(&Target::live(projection)).await);
    }
    dump
}

fn same(one: &[String], other: &[String]) {
    let differs = one.iter().zip(other).find(|(one, other)| one != other);
    assert_eq!(differs, None, "this way, at once");
    assert_eq!(one.len(), other.len());
}

/// Row by row and column by column.
async fn compare(tables: &Tables, history: &History) {
    let mut model = Model::default();
    for event in &history.log.events {
        model.see(event);
    }
    for projection in Projection::ALL {
        let schema = projection.schema();
        for table in projection.tables() {
            let mut rows = tables.json(&format!("SELECT * FROM {schema}.{table}")).await;
            if *table == "record_changes" {
                // Their ids number the changes of one event, in an order that says nothing.
                rows.iter_mut()
                    .for_each(|row| drop(row.as_object_mut().expect("a row").remove("id")));
            }
            equal(table, &rows, &model.table(history, schema, table));
        }
    }
    equal("message_receipts", &tables.json(RECEIPTS).await, &model.receipts());
}

fn equal(table: &str, rows: &[Value], expected: &[Value]) {
    let surplus = rows.iter().find(|row| !expected.contains(row));
    let missing = expected.iter().find(|row| !rows.contains(row));
    if surplus.is_some() || missing.is_some() {
        let columns = surplus.map(|row| differences(row, expected));
        panic!("{table}: a row\n{surplus:?}\nthat should be\n{missing:?}\n{columns:?}");
    }
    assert_eq!(rows.len(), expected.len(), "{table}");
}

/// The columns in which a row differs from the one that is most like it.
fn differences(row: &Value, others: &[Value]) -> Vec<String> {
    let columns = row.as_object().expect("a row");
    let differing = |other: &Value| -> Vec<String> {
        let differs = columns.iter().filter(|(name, value)| other.get(*name) != Some(*value));
        differs.map(|(name, value)| format!("{name}: {value}, not {:?}", other.get(name))).collect()
    };
    others.iter().map(differing).min_by_key(Vec::len).unwrap_or_default()
}

#[tokio::test]
async fn many_rows_take_another_way_to_the_same_tables() {
    let mut log = Log::default();
    log.group(id(100), &[id(1), id(2)]);
    for n in 0..10_000 {
        log.send(id(100), id(1000 + n), id(1 + n % 2), &format!("\"message\" \\ {n} ✓"));
    }
    let tables = Tables::new().await;
    ways::in_batches(&tables, &log.events, &[log.events.len()]).await;
    let whole = dump(&tables).await;
    ways::in_batches(&tables, &log.events, &[500]).await;
    same(&dump(&tables).await, &whole);
}
