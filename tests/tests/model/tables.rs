//! From the log to the tables: two projectors, and a PostgreSQL that loses its last transactions.

use stateright::{Model, Property};

/// How many events the log has.
const EVENTS: usize = 3;

/// The tables: how often each event was applied, and the checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Tables {
    applied: [u8; EVENTS],
    checkpoint: usize,
}

/// A batch that a projector has read and not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Batch {
    from: usize,
    to: usize,
    /// The rows are written, the checkpoint is not.
    half: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    tables: Tables,
    /// What is on disk.
    durable: Tables,
    projectors: [Option<Batch>; 2],
    crashes: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Reads the checkpoint and so many events behind it.
    Read(usize, usize),
    Write(usize),
    Sync,
    CrashProjector(usize),
    CrashPostgres,
}

/// Which guards are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guards {
    compare_and_set: bool,
    one_transaction: bool,
}

const ALL: Guards = Guards { compare_and_set: true, one_transaction: true };

impl State {
    fn write(&mut self, projector: usize, guards: &Guards) {
        let Some(batch) = self.projectors[projector].take() else { return };
        if guards.compare_and_set && batch.from != self.tables.checkpoint {
            return;
        }
        if !batch.half {
            self.tables.applied[batch.from..batch.to].iter_mut().for_each(|count| *count += 1);
        }
        if guards.one_transaction || batch.half {
            self.tables.checkpoint = batch.to;
        } else {
            self.projectors[projector] = Some(Batch { half: true, ..batch });
        }
    }
}

impl Model for Guards {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let tables = Tables::default();
        vec![State { tables, durable: tables, projectors: [None; 2], crashes: 0 }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, batch) in state.projectors.iter().enumerate() {
            match batch {
                None => {
                    let left = EVENTS - state.tables.checkpoint;
                    actions.extend((1..=left).map(|count| Action::Read(index, count)));
                }
                Some(_) => actions.extend([Action::Write(index), Action::CrashProjector(index)]),
            }
        }
        actions.push(Action::Sync);
        if state.crashes < 2 {
            actions.push(Action::CrashPostgres);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Read(projector, count) => {
                let from = state.tables.checkpoint;
                state.projectors[projector] = Some(Batch { from, to: from + count, half: false });
            }
            Action::Write(projector) => state.write(projector, self),
            Action::Sync => state.durable = state.tables,
            Action::CrashProjector(projector) => state.projectors[projector] = None,
            // Those who wrote do not notice.
            Action::CrashPostgres => {
                state.tables = state.durable;
                state.crashes += 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing is applied twice", |_, state: &State| {
                state.tables.applied.iter().all(|count| *count <= 1)
            }),
            Property::always("what is behind the checkpoint is applied", |_, state: &State| {
                state.tables.applied[..state.tables.checkpoint].iter().all(|count| *count > 0)
            }),
            Property::sometimes("everything is applied after two crashes", |_, state: &State| {
                state.crashes == 2 && state.tables.applied == [1; EVENTS]
            }),
        ]
    }
}

#[test]
fn with_every_guard_each_event_counts_once() {
    assert_eq!(super::broken(ALL), ["everything is applied after two crashes"]);
}

#[test]
fn every_guard_is_needed() {
    for without in
        [Guards { compare_and_set: false, ..ALL }, Guards { one_transaction: false, ..ALL }]
    {
        let broken = super::broken(without);
        assert!(broken.iter().any(|name| !name.starts_with("everything is")), "{without:?}");
    }
}
