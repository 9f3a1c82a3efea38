//! What has to hold whatever died.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use echolog::client::Client;
use echolog::projector::rebuild;
use echolog_commands::Status;
use echolog_events::{
    AuthEvent, Body, CommandKey, Event, MessagesEvent, Recorded, StreamKey, Uuid, event_id,
};
use echolog_tests::cluster::Cluster;
use echolog_tests::eventually;

use super::load::{Done, ask};

/// How many accepted commands are asked for again.
const AGAIN: usize = 300;

/// What a command led to.
#[derive(Clone, Debug, PartialEq)]
struct Effect {
    stream: StreamKey,
    seq: u64,
    version: u64,
    events: Vec<String>,
}

/// The commands of the log. Each is there once, its events side by side.
#[derive(Debug, Default)]
struct Commands(HashMap<(String, String, Uuid), Effect>);

impl Commands {
    fn read(events: &[Recorded]) -> anyhow::Result<Self> {
        let mut commands = Self::default();
        let mut last: Option<(String, String, Uuid)> = None;
        for (event, place) in events.iter().zip(1_u64..) {
            anyhow::ensure!(event.seq == place, "the log has a gap before {event:?}");
            let Body::Known(known) = &event.body else { anyhow::bail!("unreadable: {event:?}") };
            if let Some(CommandKey { actor, target, id }) = event.first_of_command() {
                let effect = Effect {
                    stream: event.key.clone(),
                    seq: event.seq,
                    version: event.seq,
                    events: vec![known.event_type().short().to_owned()],
                };
                let name = (actor, target, id);
                last = Some(name.clone());
                let twice = commands.0.insert(name, effect);
                anyhow::ensure!(twice.is_none(), "twice in the log: {event:?} and {twice:?}");
                continue;
            }
            let Some(command) = event.meta.command_id else {
                last = None;
                continue;
            };
            let name = last.as_ref().filter(|(actor, _, id)| {
                *id == command && Some(actor) == event.meta.actor.as_ref()
            });
            let effect = name.and_then(|name| commands.0.get_mut(name));
            let Some(effect) = effect else { anyhow::bail!("torn from its command: {event:?}") };
            effect.seq = event.seq;
            if event.key == effect.stream {
                effect.version = event.seq;
            }
            effect.events.push(known.event_type().short().to_owned());
        }
        Ok(commands)
    }

    /// Every accepted command is here just as its outcome says.
    fn contain(&self, done: &[Done]) -> anyhow::Result<()> {
        for Done { request, outcome, .. } in done {
            let Some(seq) = outcome.seq else { continue };
            let name = (request.actor.clone(), request.target.clone(), request.id);
            let Some(effect) = self.0.get(&name) else {
                anyhow::bail!("accepted and not in the log: {request:?} {outcome:?}")
            };
            let same = effect.seq == seq
                && outcome.version == Some(effect.version)
                && outcome.events == effect.events;
            anyhow::ensure!(same, "{outcome:?} but the log has {effect:?}");
        }
        Ok(())
    }
}

/// Proves that what was promised holds. Everything has to run again.
pub(super) async fn holds(
    cluster: &mut Cluster,
    client: &Client,
    done: &[Done],
) -> anyhow::Result<()> {
    let answered_again = ask_again(client, done).await?;
    let events = cluster.events().await?;
    let commands = Commands::read(&events)?;
    commands.contain(done)?;
    one_owner_per_claim(&events)?;
    tables_show(cluster, &events, &commands).await?;
    cluster.check_alive()?;
    let count = |status| done.iter().filter(|done| done.outcome.status == status).count();
    let longest = done.iter().map(|done| done.waited).max().unwrap_or_default();
    println!(
        "{} accepted, {} rejected, {answered_again} asked again; {} commands and {} events in the log; nobody waited longer than {longest:.1?}",
        count(Status::Accepted),
        count(Status::Rejected),
        commands.0.len(),
        events.len(),
    );
    Ok(())
}

/// Who asks again under the same id is told the same.
async fn ask_again(client: &Client, done: &[Done]) -> anyhow::Result<usize> {
    let accepted: Vec<&Done> = done.iter().filter(|done| done.outcome.seq.is_some()).collect();
    let every = accepted.len().div_ceil(AGAIN).max(1);
    for Done { request, outcome, .. } in accepted.iter().step_by(every) {
        let again = ask(client, request).await?;
        anyhow::ensure!(again == *outcome, "{again:?} at first was {outcome:?}");
    }
    Ok(accepted.len().div_ceil(every))
}

fn one_owner_per_claim(events: &[Recorded]) -> anyhow::Result<()> {
    let mut claims = BTreeSet::new();
    for event in events {
        if let Body::Known(Event::Auth(AuthEvent::IdentifierClaimed(_))) = &event.body {
            anyhow::ensure!(claims.insert(&event.key.id), "claimed twice: {event:?}");
        }
    }
    Ok(())
}

/// The tables catch up with the log and show it.
async fn tables_show(
    cluster: &Cluster,
    events: &[Recorded],
    commands: &Commands,
) -> anyhow::Result<()> {
    let head = events.last().map_or(0, |event| event.seq);
    eventually("the tables catch up", || async {
        let behind = "SELECT count(*) FROM projection.checkpoints
            WHERE projection NOT LIKE '%:%' AND position < ";
        Ok(cluster.value(&format!("{behind}{head}")).await? == "0")
    })
    .await?;

    let mut messages: BTreeMap<String, u64> = BTreeMap::new();
    for event in events {
        if let Body::Known(Event::Messages(MessagesEvent::MessageSent(_))) = &event.body {
            *messages.entry(event.key.id.clone()).or_default() += 1;
        }
    }
    let rows = cluster
        .rows(
            "SELECT conversation_id, count(*), min(seq), max(seq), count(DISTINCT seq)
             FROM messages.messages GROUP BY 1 ORDER BY conversation_id::text",
        )
        .await?;
    let dense: Vec<Vec<String>> = messages
        .iter()
        .map(|(conversation, count)| {
            let count = count.to_string();
            vec![conversation.clone(), count.clone(), "1".to_owned(), count.clone(), count]
        })
        .collect();
    anyhow::ensure!(rows == dense, "messages: {rows:?}, but the log has {dense:?}");

    for (what, differ) in [
        ("events are set aside", "SELECT event_seq FROM projection.parked"),
        (
            "messages are not in the order of the log",
            "SELECT id FROM (SELECT id, seq, row_number()
                 OVER (PARTITION BY conversation_id ORDER BY event_seq) AS place
             FROM messages.messages) AS m WHERE seq <> place",
        ),
        (
            "unread numbers differ from a recount",
            "SELECT p.conversation_id, p.user_id, p.unread_count, m.read_seq
             FROM messages.conversation_participants AS p
             JOIN messages.members AS m USING (conversation_id, user_id)
             WHERE p.is_active AND p.unread_count <> (
                 SELECT count(*) FROM messages.messages AS x
                 WHERE x.conversation_id = p.conversation_id AND x.seq > m.read_seq
                     AND x.sender_user_id <> p.user_id AND NOT x.is_deleted)",
        ),
        (
            "reaction counts differ from a recount",
            "SELECT m.id, m.reaction_count FROM messages.messages AS m
             WHERE reaction_count <> (SELECT count(*) FROM messages.message_reactions AS r
                 WHERE r.conversation_id = m.conversation_id AND r.message_id = m.id)",
        ),
    ] {
        let rows = cluster.rows(differ).await?;
        anyhow::ensure!(rows.is_empty(), "{what}: {rows:?}");
    }
    ledger_shows(cluster, commands).await?;
    let report = rebuild::verify(&cluster.log()?, &cluster.database, None, |_, _| {}).await?;
    anyhow::ensure!(report.is_clean(), "the tables differ from a fold of the log: {report}");
    Ok(())
}

async fn ledger_shows(cluster: &Cluster, commands: &Commands) -> anyhow::Result<()> {
    let ledger = "SELECT key, seq, version, array_to_string(events, ',') FROM projection.ledger";
    let found: BTreeSet<Vec<String>> = cluster.rows(ledger).await?.into_iter().collect();
    let expected = commands.0.iter().map(|((actor, target, id), effect)| {
        vec![
            event_id(actor, target, *id, 0).to_string(),
            effect.seq.to_string(),
            effect.version.to_string(),
            effect.events.join(","),
        ]
    });
    let expected: BTreeSet<Vec<String>> = expected.collect();
    let differ: Vec<_> = found.symmetric_difference(&expected).take(5).collect();
    anyhow::ensure!(differ.is_empty(), "ledger and log differ: {differ:?}");
    Ok(())
}
