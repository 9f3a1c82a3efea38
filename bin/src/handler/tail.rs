//! The end of the log: what PostgreSQL may not show yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use echolog_commands::state::{Owner, State};
use echolog_commands::{Key, World};
use echolog_events::{Body, PARTITIONS, Partition, Recorded, Time};

use super::window::Window;

/// How many events the tail may hold while the projections lag behind.
const CAPACITY: usize = 1_000_000;

/// Everything after the projections' checkpoints, by the state that it changes; the owners of all
/// partitions; and the ids of the last commands.
#[derive(Debug)]
pub(super) struct Tail {
    position: u64,
    floor: u64,
    order: VecDeque<(u64, Key)>,
    events: HashMap<Key, VecDeque<Arc<Recorded>>>,
    owners: [Owner; PARTITIONS as usize],
    owners_at: [u64; PARTITIONS as usize],
    /// Ids under which something stands that this build cannot read, and where: a newer build may
    /// have written it, so what this one would make of the states of that id is not to be trusted.
    strange: HashMap<String, u64>,
    pub(super) window: Window,
}

impl Tail {
    /// A tail that will be read from `floor` on. `owners` are the owners' states as of the given
    /// positions, none of which is before `floor`.
    pub(super) fn new(floor: u64, owners: [(Owner, u64); PARTITIONS as usize]) -> Self {
        Self {
            position: floor,
            floor,
            order: VecDeque::new(),
            events: HashMap::new(),
            owners: owners.map(|(owner, _)| owner),
            owners_at: owners.map(|(_, position)| position),
            strange: HashMap::new(),
            window: Window::new(floor),
        }
    }

    /// The sequence up to which the log has been read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Every event behind this sequence is here.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// What is known about the ownership of a partition.
    pub(super) fn owner(&self, partition: Partition) -> Owner {
        self.owners[partition.index()]
    }

    /// Takes in a page of the log. The states of `worlds` follow it where `foreign` says so: those
    /// of partitions that this process decides have evolved already.
    pub(super) fn read(
        &mut self,
        events: Vec<Recorded>,
        stored: Time,
        worlds: &mut [&mut World],
        foreign: impl Fn(Partition) -> bool,
    ) {
        self.window.read(&events, stored);
        for event in events {
            let event = Arc::new(event);
            self.position = event.seq;
            let index = event.partition.index();
            if event.seq > self.owners_at[index] {
                self.owners[index].evolve(&event);
            }
            let Body::Known(known) = &event.body else {
                if foreign(event.partition) {
                    for world in &mut *worlds {
                        world.retain(|key| key.id() != event.key.id);
                    }
                }
                self.strange.insert(event.key.id.clone(), event.seq);
                continue;
            };
            if foreign(event.partition) {
                for world in &mut *worlds {
                    world.evolve(&event.key, known, event.seq);
                }
            }
            match Key::changed_by(&event.key, known) {
                None => {}
                // Those are always read from the log itself.
                Some(key) if key.read_from_log().is_some() => {}
                Some(key) => {
                    self.order.push_back((event.seq, key.clone()));
                    self.events.entry(key).or_default().push_back(Arc::clone(&event));
                }
            }
        }
    }

    /// Forgets what every projection has up to `position`. A tail that grows beyond its bound
    /// forgets more: what it then cannot tell, nobody is told.
    pub(super) fn trim(&mut self, position: u64) {
        while let Some((seq, key)) = self.order.front() {
            if *seq > position && self.order.len() <= CAPACITY {
                break;
            }
            if let Some(events) = self.events.get_mut(key) {
                events.pop_front();
                if events.is_empty() {
                    self.events.remove(key);
                }
            }
            self.floor = *seq;
            self.order.pop_front();
        }
        self.floor = self.floor.max(position.min(self.position));
        self.strange.retain(|_, seq| *seq > position);
    }

    /// Whether something unreadable happened to this state after `position`.
    pub(super) fn is_strange(&self, key: &Key, position: u64) -> bool {
        !self.strange.is_empty() && self.strange.get(&key.id()).is_some_and(|seq| *seq > position)
    }

    /// How many events are held.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Lets what happened after `position` change a state that was read as of it.
    pub(super) fn evolve(&self, key: &Key, state: &mut State, position: u64) {
        for event in self.events.get(key).into_iter().flatten() {
            if event.seq <= position {
                continue;
            }
            if let Body::Known(known) = &event.body {
                state.evolve(known, event.seq);
            }
        }
    }
}
