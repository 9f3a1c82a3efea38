//! Projection `deciders`.

use echolog_events::{OwnershipTaken, Partition, SystemEvent};
use echolog_projectors::store::Store;

use crate::support::{Log, Tables, id};

#[tokio::test]
async fn every_stream_has_its_state() {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.block(id(1), id(2));
    log.group(id(100), &[id(1), id(2)]);
    log.send(id(100), id(11), id(1), "one");
    log.unblock(id(1), id(2));
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows("SELECT stream, id, seq FROM projection.deciders WHERE stream <> 'owner' ORDER BY seq")
            .await,
        ["(user,#1,1)", "(conversation,#64,6)", "(block,#1,8)"]
    );
}

#[tokio::test]
async fn owners_have_an_epoch_and_a_position() {
    let mut log = Log::default();
    let partition = Partition::new(3).expect("one of sixteen");
    log.system(partition, SystemEvent::OwnershipTaken(OwnershipTaken { owner: "a".to_owned() }));
    log.register(id(1), "Ada");
    let tables = Tables::given(&log).await;
    let owners = Store::new(&tables.workers).owners().await.expect("owners");
    assert_eq!(owners[3].0.epoch, 1);
    assert!(owners.iter().all(|(_, position)| *position == 3));
    let registered = log.events[1].partition.index();
    assert_eq!(owners[registered].0.position.sequence, 2);
}
