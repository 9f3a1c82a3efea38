//! What the projections keep for the write side.

use std::collections::BTreeMap;

use echolog_commands::Key;
use echolog_commands::state::Owner;
use echolog_events::{Body, Partition, Recorded, Stream, Uuid};
use serde_json::{Value, json};

use super::super::history::History;

/// Every command, and what became of it.
pub(super) fn ledger(history: &History) -> Vec<Value> {
    let row = |events: &[Recorded]| {
        let (first, last) = (events.first()?, events.last()?);
        let own = events.iter().rfind(|event| event.key == first.key)?;
        let digest = first.meta.digest?.cast_signed();
        Some(json!({
            "command_id": first.meta.command_id, "key": first.meta.event_id,
            "stream": first.key.stream.name(), "seq": last.seq, "version": own.seq,
            "events": events.iter().map(name).collect::<Vec<_>>(), "digest": digest,
        }))
    };
    let commands = history.commands.iter();
    commands.filter_map(|(events, _)| row(&history.log.events[events.clone()])).collect()
}

fn name(event: &Recorded) -> &'static str {
    match &event.body {
        Body::Known(known) => known.event_type().short(),
        Body::Unreadable(_) => "unreadable",
    }
}

/// The states that decisions had in the end, and who owns the partitions. What a state is belongs to
/// the write side: the table has to hold that and nothing else.
pub(super) fn deciders(history: &History) -> Vec<Value> {
    let mut rows = BTreeMap::new();
    let mut owners: BTreeMap<Partition, Owner> = BTreeMap::new();
    for event in &history.log.events {
        let id = Uuid::try_parse(&event.key.id).ok();
        let key = match (event.key.stream, id) {
            (Stream::User, Some(id)) => Some(Key::User(id)),
            (Stream::Block, Some(id)) => Some(Key::Block(id)),
            (Stream::Session | Stream::Password, Some(id)) => Some(Key::Sessions(id)),
            (Stream::Credential, Some(id)) => Some(Key::Credentials(id)),
            (Stream::Code, Some(id)) => Some(Key::Codes(id)),
            (Stream::Conversation, Some(id)) => Some(Key::Conversation(id)),
            _ => None,
        };
        if let Some(key) = key {
            let state = history.story.state(&key).to_bytes().expect("a state that is kept");
            let password = event.key.stream == Stream::Password;
            let kept_as = if password { "session" } else { event.key.stream.name() };
            rows.insert((kept_as, event.key.id.clone()), (event.seq, state));
        }
        let owner = owners.entry(event.partition).or_default();
        if owner.evolve(event) {
            let state = rmp_serde::to_vec_named(owner).expect("MessagePack");
            rows.insert(("owner", event.partition.to_string()), (event.seq, state));
        }
    }
    let row = |((stream, id), (seq, state)): ((&str, String), (u64, Vec<u8>))| {
        let hex: String = state.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "stream": stream, "id": id, "seq": seq, "state": format!("\\x{hex}") })
    };
    rows.into_iter().map(row).collect()
}
