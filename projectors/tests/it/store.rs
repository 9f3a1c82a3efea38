//! What the command handler reads.

use echolog_commands::State;
use echolog_commands::state::content_digest;
use echolog_events::{Stream, StreamKey, event_id};
use echolog_projectors::Projection;
use echolog_projectors::store::{LoadRequest, Store};

use crate::support::{Log, Tables, id};

#[tokio::test]
async fn everything_is_loaded_in_one_snapshot() {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.group(id(100), &[id(1), id(2)]);
    log.send(id(100), id(11), id(1), "one");
    log.reply(id(100), id(12), id(2), id(11));
    log.delete(id(100), id(12), id(2));
    let tables = Tables::given(&log).await;
    let command = log.events[0].meta.command_id.expect("a command");
    let key = event_id(&id(1).to_string(), &id(1).to_string(), command, 0);
    let request = LoadRequest {
        deciders: vec![
            StreamKey::of(Stream::User, id(1)),
            StreamKey::of(Stream::User, id(9)),
            StreamKey::of(Stream::Conversation, id(100)),
        ],
        messages: vec![(id(100), id(11)), (id(100), id(12)), (id(100), id(99))],
        ledger: vec![(command, key), (command, id(9))],
    };
    let loaded = Store::new(&tables.workers).load(&request).await.expect("loaded");

    assert_eq!(loaded.positions.all(), log.end());
    assert_eq!(loaded.positions.deciders, [log.end(); 16]);
    assert!(loaded.parked.deciders.is_empty() && loaded.parked.messages.is_empty());
    assert_eq!(loaded.deciders.len(), 2);
    let conversation = &loaded.deciders[&StreamKey::of(Stream::Conversation, id(100))];
    assert!(matches!(conversation, State::Conversation(Some(it)) if it.members.len() == 2));

    assert_eq!(loaded.messages.len(), 2);
    let first = &loaded.messages[&(id(100), id(11))];
    assert_eq!(first.sender, id(1));
    assert_eq!(first.content, content_digest("one"));
    assert_eq!(first.thread_root, None);
    let reply = &loaded.messages[&(id(100), id(12))];
    assert!(reply.is_deleted);
    assert_eq!(reply.thread_root, Some(id(11)));

    assert_eq!(loaded.ledger.len(), 1);
    assert_eq!(loaded.ledger[&key].seq, 2);
    assert_eq!(loaded.ledger[&key].version, 1);
    assert_eq!(loaded.ledger[&key].events, ["user_registered", "identifier_claimed"]);
}

#[tokio::test]
async fn parked_ids_are_named() {
    let mut log = Log::default();
    log.group(id(100), &[id(1), id(2)]);
    log.group(id(200), &[id(1), id(2)]);
    log.join(id(100), id(3));
    log.spoil();
    let tables = Tables::given(&log).await;
    let request = LoadRequest {
        deciders: vec![
            StreamKey::of(Stream::Conversation, id(100)),
            StreamKey::of(Stream::Conversation, id(200)),
        ],
        messages: vec![(id(100), id(11))],
        ledger: vec![],
    };
    let store = Store::new(&tables.workers);
    let loaded = store.load(&request).await.expect("loaded");
    assert_eq!(loaded.parked.deciders.iter().collect::<Vec<_>>(), [&id(100).to_string()]);
    assert_eq!(loaded.parked.messages.iter().collect::<Vec<_>>(), [&id(100).to_string()]);
    let positions = store.positions().await.expect("positions");
    assert_eq!(positions.lowest(Projection::Auth), log.end());
    assert_eq!(positions.ledger(), log.end());
    assert_eq!(positions.states(), log.end());
}
