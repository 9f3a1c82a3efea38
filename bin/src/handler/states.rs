//! The states that decisions read: kept in memory, loaded in bulk.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use echolog_commands::state::Claim;
use echolog_commands::{Key, State, World};
use echolog_events::{Body, Partition, Recorded, Stream, StreamKey, Uuid, partition_of};
use echolog_nats::{BusError, EventLog};
use echolog_projectors::store::{LoadRequest, Loaded, Store};
use futures::future::try_join_all;

use super::tail::Tail;
use crate::roster;

/// How long PostgreSQL may take: every command of the process waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many messages a generation holds, and how many other states; two are kept of each. Every
/// message that is sent is one: they must not drive out those who send.
const MESSAGES: usize = 100_000;
const OTHERS: usize = 200_000;

/// States in two generations: what was not asked for during a whole generation goes.
#[derive(Debug, Default)]
pub(super) struct States {
    pub(super) world: World,
    old: World,
    /// States that cannot be told now; asked for again in the next tick.
    unknown: HashSet<Key>,
    /// The claims that this tick has read.
    claims: Vec<Key>,
}

/// The partition that decides about a state.
fn partition(key: &Key) -> Partition {
    partition_of(&key.id())
}

/// The stream of a state that `projection.deciders` keeps.
fn stream(key: &Key) -> Option<StreamKey> {
    match key {
        Key::User(id) => Some(StreamKey::of(Stream::User, *id)),
        Key::Sessions(id) => Some(StreamKey::of(Stream::Session, *id)),
        Key::Credentials(id) => Some(StreamKey::of(Stream::Credential, *id)),
        Key::Codes(id) => Some(StreamKey::of(Stream::Code, *id)),
        Key::Block(id) => Some(StreamKey::of(Stream::Block, *id)),
        Key::Conversation(id) => Some(StreamKey::of(Stream::Conversation, *id)),
        Key::Message(..) | Key::Claim(_) | Key::Roster => None,
    }
}

impl States {
    /// Both generations, for the tail to evolve.
    pub(super) fn worlds(&mut self) -> [&mut World; 2] {
        [&mut self.world, &mut self.old]
    }

    /// Begins a tick. Claims are forgotten: others append them too.
    pub(super) fn begin(&mut self) {
        self.unknown.clear();
        self.forget_claims();
        self.world.age(&mut self.old, MESSAGES, OTHERS);
    }

    /// Forgets what is read from the log itself.
    pub(super) fn forget_claims(&mut self) {
        for key in self.claims.drain(..) {
            self.world.remove(&key);
        }
    }

    /// Whether a state cannot be told now.
    pub(super) fn is_unknown(&self, key: &Key) -> bool {
        self.unknown.contains(key)
    }

    /// Whether a state has to be loaded.
    pub(super) fn misses(&mut self, key: &Key) -> bool {
        if self.world.has(key) || self.unknown.contains(key) {
            return false;
        }
        match self.old.remove(key) {
            Some(state) => {
                self.world.insert(key.clone(), state);
                false
            }
            None => true,
        }
    }

    /// Forgets everything: what was decided on top of it did not come to be.
    pub(super) fn clear(&mut self) {
        self.world = World::default();
        self.old = World::default();
    }

    /// Forgets the states of a partition that changed hands.
    pub(super) fn forget(&mut self, lost: Partition) {
        for world in self.worlds() {
            world.retain(|key| partition(key) != lost);
        }
    }

    /// Puts a claim in, for this tick.
    pub(super) fn insert_claim(&mut self, key: Key, claim: State) {
        self.claims.push(key.clone());
        self.world.insert(key, claim);
    }

    /// Puts loaded states in, brought up to the end of the log. What the tail cannot reach back
    /// to, and what is parked, stays unknown.
    pub(super) fn fill(&mut self, keys: &HashSet<Key>, loaded: &mut Loaded, tail: &Tail) {
        for key in keys {
            let (base, position) = match (stream(key), key) {
                (Some(stream), _) => {
                    let position = loaded.positions.deciders[partition(key).index()];
                    let parked = loaded.parked.deciders.contains(&stream.id);
                    let state = loaded.deciders.remove(&stream).or(State::initial(stream.stream));
                    (state.filter(|_| !parked), position)
                }
                (None, Key::Message(conversation, message)) => {
                    let position = loaded.positions.messages[partition(key).index()];
                    let parked = loaded.parked.messages.contains(&conversation.to_string());
                    let state = State::Message(loaded.messages.remove(&(*conversation, *message)));
                    (Some(state).filter(|_| !parked), position)
                }
                (
                    None,
                    Key::User(_)
                    | Key::Sessions(_)
                    | Key::Credentials(_)
                    | Key::Codes(_)
                    | Key::Block(_)
                    | Key::Conversation(_)
                    | Key::Claim(_)
                    | Key::Roster,
                ) => {
                    continue;
                }
            };
            match base {
                Some(mut state) if position >= tail.floor() && !tail.is_strange(key, position) => {
                    tail.evolve(key, &mut state, position);
                    self.world.insert(key.clone(), state);
                }
                _ => self.fail(key),
            }
        }
    }

    /// Notes that a state cannot be told in this tick.
    pub(super) fn fail(&mut self, key: &Key) {
        self.unknown.insert(key.clone());
    }
}

/// What PostgreSQL has to be asked for these states and commands.
pub(super) fn request(keys: &HashSet<Key>, ledger: Vec<(Uuid, Uuid)>) -> LoadRequest {
    let mut request = LoadRequest { ledger, ..LoadRequest::default() };
    for key in keys {
        match (stream(key), key) {
            (Some(stream), _) => request.deciders.push(stream),
            (None, Key::Message(conversation, message)) => {
                request.messages.push((*conversation, *message));
            }
            (
                None,
                Key::User(_)
                | Key::Sessions(_)
                | Key::Credentials(_)
                | Key::Codes(_)
                | Key::Block(_)
                | Key::Conversation(_)
                | Key::Claim(_)
                | Key::Roster,
            ) => {}
        }
    }
    request
}

/// Asks PostgreSQL; nothing is asked for nothing.
pub(super) async fn load(store: &Store, request: LoadRequest) -> Option<Loaded> {
    if request.is_empty() {
        return Some(Loaded::default());
    }
    match tokio::time::timeout(PATIENCE, store.load(&request)).await {
        Ok(Ok(loaded)) => Some(loaded),
        Ok(Err(error)) => {
            tracing::warn!(%error, "states cannot be read");
            None
        }
        Err(_) => {
            tracing::warn!("PostgreSQL does not answer in time");
            None
        }
    }
}

/// Reads claims, and who the administrators are, from the log itself.
pub(super) async fn claims(
    log: &EventLog,
    keys: &HashSet<Key>,
) -> Result<HashMap<Key, State>, BusError> {
    let reads = keys.iter().filter_map(|key| {
        let stream = key.read_from_log()?;
        Some(async move { Ok((key.clone(), last_of(log, key, &stream).await?)) })
    });
    Ok(try_join_all(reads).await?.into_iter().collect())
}

/// What the last event of a stream says.
async fn last_of(log: &EventLog, key: &Key, stream: &StreamKey) -> Result<State, BusError> {
    if let Key::Roster = key {
        return Ok(State::Roster(roster::read(log).await?));
    }
    let mut claim = State::Claim(Claim::default());
    let last = log.last(partition(key), stream).await?;
    if let Some(Recorded { body: Body::Known(event), seq, .. }) = last {
        claim.evolve(&event, seq);
        if log.is_torn(seq).await? {
            // Nobody has it: only what is free is ever claimed.
            claim = State::Claim(Claim { owner: None, seq });
        }
    }
    Ok(claim)
}
