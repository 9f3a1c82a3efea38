//! Who writes, and from where.

use echolog_events::Partition;
use echolog_projectors::{Projection, ProjectionError, Recovery, Runner, Target};

use crate::support::{Log, Tables, id};

fn all() -> Vec<Partition> {
    Partition::all().collect()
}

fn users() -> Log {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.register(id(2), "Bob");
    log
}

#[tokio::test]
async fn there_is_one_at_a_time() {
    let tables = Tables::new().await;
    let target = Target::live(Projection::Auth);
    let first = tables.runner(target.clone()).await;
    let second = Runner::start(&tables.database, target.clone(), &all()).await.expect("an answer");
    assert!(second.is_none());
    drop(first);
    tables.runner(target).await;
}

#[tokio::test]
async fn nothing_is_applied_twice() {
    let log = users();
    let tables = Tables::new().await;
    let target = Target::live(Projection::Auth);
    let mut runner = tables.runner(target.clone()).await;
    runner.apply(&log.events[..1], 1).await.expect("applied");
    let flush = runner.apply(&log.events, 4).await.expect("applied");
    assert_eq!((flush.position, flush.events), (4, 3));
    drop(runner);
    let mut runner = tables.runner(target).await;
    assert_eq!(runner.position(), 4);
    let flush = runner.apply(&log.events, 4).await.expect("applied");
    assert_eq!(flush.events, 0);
    assert_eq!(tables.value("SELECT count(*) FROM auth.users").await, "2");
}

#[tokio::test]
async fn a_checkpoint_moves_without_events() {
    let tables = Tables::new().await;
    let mut runner = tables.runner(Target::live(Projection::Users)).await;
    runner.apply(&[], 7).await.expect("applied");
    assert_eq!(tables.value("SELECT projection.position('users')").await, "7");
}

#[tokio::test]
async fn a_projector_that_was_overtaken_is_fenced() {
    let log = users();
    let tables = Tables::new().await;
    let target = Target::live(Projection::Auth);
    let mut runner = tables.runner(target.clone()).await;
    // Somebody writes without asking for the lease.
    tables
        .execute("UPDATE projection.checkpoints SET position = 1 WHERE projection = 'auth'")
        .await;
    let error = runner.apply(&log.events, 4).await.expect_err("fenced");
    assert!(matches!(error, ProjectionError::Fenced(_)), "{error}");
    assert_eq!(error.recovery(), Recovery::Restart);
    assert_eq!(tables.value("SELECT count(*) FROM auth.users").await, "0");

    drop(runner);
    let mut runner = tables.runner(target).await;
    tables
        .execute("UPDATE projection.checkpoints SET generation = 1 WHERE projection = 'auth'")
        .await;
    let error = runner.apply(&log.events, 4).await.expect_err("fenced");
    assert_eq!(error.recovery(), Recovery::Restart);
}

#[tokio::test]
async fn partitions_can_be_applied_apart() {
    let mut log = Log::default();
    for n in 1..=20 {
        log.register(id(n), &format!("user {n}"));
    }
    let tables = Tables::new().await;
    let target = Target::live(Projection::Auth);
    let (even, odd): (Vec<_>, Vec<_>) = Partition::all().partition(|it| it.number() % 2 == 0);
    let mut first =
        Runner::start(&tables.database, target.clone(), &even).await.expect("ok").expect("free");
    let mut second =
        Runner::start(&tables.database, target, &odd).await.expect("ok").expect("free");
    let a = first.apply(&log.events, log.end()).await.expect("applied");
    assert_eq!(tables.value("SELECT projection.position('auth')").await, "0");
    let b = second.apply(&log.events, log.end()).await.expect("applied");
    assert_eq!(a.events + b.events, 40);
    assert_eq!(tables.value("SELECT count(*) FROM auth.users").await, "20");
    assert_eq!(tables.value("SELECT projection.position('auth')").await, "40");

    let divided = Runner::start(&tables.database, Target::live(Projection::Ledger), &even).await;
    assert_eq!(divided.expect_err("refused").recovery(), Recovery::Stop);
}

#[tokio::test]
async fn tables_of_another_fold_are_left_alone() {
    let tables = Tables::new().await;
    tables.execute("UPDATE projection.folds SET version = 99 WHERE projection = 'users'").await;
    let error = Runner::start(&tables.database, Target::live(Projection::Users), &all())
        .await
        .expect_err("refused");
    assert_eq!(error.recovery(), Recovery::Stop);
    assert!(error.to_string().contains("echolog replay users"), "{error}");

    let earlier = Projection::Users.version() - 1;
    let sql = format!("UPDATE projection.folds SET version = {earlier} WHERE projection = 'users'");
    tables.execute(&sql).await;
    let error = Runner::start(&tables.database, Target::live(Projection::Users), &all())
        .await
        .expect_err("refused");
    assert_eq!(error.recovery(), Recovery::Restart, "until they are built anew");
}
