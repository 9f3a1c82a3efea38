//! From commands to the log: clients, a broker, two handlers, one partition.
//!
//! What a handler knows is what it has read: that may be old. What it appends arrives late, or
//! without an answer, or both. A crash loses what it knows; whoever stops for long and goes on is
//! a handler that does nothing for many steps. The broker loses the end of its queue once, and
//! gives the sequences out again.

use stateright::{Model, Property};

/// A command is always possible, or only once something has happened in another partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Command {
    Possible,
    Depends,
}

impl Command {
    /// How often its client sends it.
    fn times(self) -> usize {
        match self {
            Self::Possible => 1,
            Self::Depends => 2,
        }
    }
}

/// One delivery of a command to the broker. The time is unique, the place in the queue is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Queued {
    command: Command,
    time: u8,
}

/// How far the commands were handled: a number of places in the queue, and the time of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Position {
    places: usize,
    time: u8,
}

/// What goes into the log in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Record {
    /// A handler takes the partition over.
    Epoch,
    /// An accepted command, or a note that one was rejected.
    Handled { position: Position, accepted: Option<Command> },
}

/// A record on its way to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Append {
    owner: usize,
    /// The owner's epoch, as a length of the log.
    fence: usize,
    record: Record,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Owner {
    epoch: usize,
    position: Position,
    /// How much of the log it has read.
    known: usize,
    /// Everything up to this time was handled, whatever is in the queue now.
    handled_until: u8,
    /// What it has appended and waits for.
    waits_for: Option<Append>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    sent: [usize; 2],
    queue: Vec<Queued>,
    /// The time of the next command in the queue.
    time: u8,
    broker_crashes: usize,
    handler_crashes: usize,
    log: Vec<Record>,
    on_the_way: Vec<Append>,
    handlers: [Option<Owner>; 2],
    /// Whether [`Command::Depends`] is possible now.
    happened: bool,
    /// By time: what clients were told.
    told: Vec<(Queued, bool)>,
    /// The times of the commands that somebody has decided.
    decided: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Send(Command),
    Happen,
    TakeOver(usize),
    Handle(usize),
    /// An append reaches the broker, and perhaps its answer the handler.
    Arrive(Append, bool),
    GiveUp(usize),
    CrashHandler(usize),
    /// The broker dies and keeps so much of the queue.
    CrashBroker(usize),
}

/// Which guards are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guards {
    fence: bool,
    position_in_the_log: bool,
    time_in_the_position: bool,
    ids: bool,
    new_epoch_without_an_answer: bool,
    rejections_in_the_log: bool,
    one_decision_when_read_again: bool,
    mark_outlasts_the_position: bool,
}

const ALL: Guards = Guards {
    fence: true,
    position_in_the_log: true,
    time_in_the_position: true,
    ids: true,
    new_epoch_without_an_answer: true,
    rejections_in_the_log: true,
    one_decision_when_read_again: true,
    mark_outlasts_the_position: true,
};

impl State {
    fn epoch(&self) -> usize {
        self.log.iter().rposition(|record| *record == Record::Epoch).map_or(0, |place| place + 1)
    }

    fn accepted(&self, known: usize) -> impl Iterator<Item = (Position, Command)> {
        self.log[..known].iter().filter_map(|record| match record {
            Record::Handled { position, accepted } => Some((*position, (*accepted)?)),
            Record::Epoch => None,
        })
    }

    fn positions(&self) -> impl Iterator<Item = Position> {
        self.log.iter().filter_map(|record| match record {
            Record::Handled { position, .. } => Some(*position),
            Record::Epoch => None,
        })
    }

    fn take_over(&mut self, handler: usize, guards: &Guards) {
        let mut position = Position::default();
        let mut handled_until = 0;
        if guards.position_in_the_log {
            position = self.positions().last().unwrap_or_default();
            handled_until = position.time;
            if guards.mark_outlasts_the_position {
                let times = self.positions().map(|position| position.time);
                handled_until = times.max().unwrap_or_default();
            }
        }
        self.log.push(Record::Epoch);
        if let Some(last) = position.places.checked_sub(1) {
            let there = self.queue.get(last);
            let same = there.is_some_and(|queued| queued.time == position.time);
            if !same && (guards.time_in_the_position || there.is_none()) {
                position.places = 0;
            }
        }
        let epoch = self.log.len();
        let owner = Owner { epoch, position, known: epoch, handled_until, waits_for: None };
        self.handlers[handler] = Some(owner);
    }

    fn handle(&mut self, handler: usize, guards: &Guards) {
        let Some(owner) = &mut self.handlers[handler] else { return };
        let queued = self.queue[owner.position.places];
        let Queued { command, time } = queued;
        let position = Position { places: owner.position.places + 1, time };
        let known = owner.known;
        if guards.ids && self.accepted(known).any(|(_, accepted)| accepted == command) {
            self.tell(handler, position, queued, true);
            return;
        }
        let Some(owner) = &mut self.handlers[handler] else { return };
        let again = guards.one_decision_when_read_again && time <= owner.handled_until;
        let possible = !again && (command == Command::Possible || self.happened);
        if possible || guards.rejections_in_the_log {
            let accepted = possible.then_some(command);
            let record = Record::Handled { position, accepted };
            let append = Append { owner: handler, fence: owner.epoch, record };
            owner.waits_for = Some(append);
            self.on_the_way.push(append);
        } else if owner.epoch == self.epoch() {
            self.tell(handler, position, queued, false);
        } else {
            self.handlers[handler] = None;
        }
    }

    fn tell(&mut self, handler: usize, position: Position, queued: Queued, accepted: bool) {
        let Some(owner) = &mut self.handlers[handler] else { return };
        owner.position = position;
        note(&mut self.told, (queued, accepted));
        note(&mut self.decided, queued.time);
    }

    fn arrive(&mut self, append: Append, answered: bool, guards: &Guards) {
        self.on_the_way.retain(|other| *other != append);
        let appended = !guards.fence || append.fence == self.epoch();
        if appended {
            self.log.push(append.record);
            if let Record::Handled { position, .. } = append.record {
                note(&mut self.decided, position.time);
            }
        }
        let waits = self.handlers[append.owner].as_mut().filter(|it| it.waits_for == Some(append));
        let (Some(owner), true) = (waits, answered) else { return };
        if !appended {
            self.handlers[append.owner] = None;
            return;
        }
        (owner.waits_for, owner.known) = (None, self.log.len());
        if let Record::Handled { position, accepted } = append.record {
            let command = self.queue[position.places - 1].command;
            let queued = Queued { command, time: position.time };
            self.tell(append.owner, position, queued, accepted.is_some());
        }
    }
}

/// Sorted, so that the order in which things happened does not make another state.
fn note<T: PartialEq + Copy + Key>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
        list.sort_unstable_by_key(Key::key);
    }
}

trait Key {
    fn key(&self) -> (u8, bool);
}

impl Key for u8 {
    fn key(&self) -> (u8, bool) {
        (*self, false)
    }
}

impl Key for (Queued, bool) {
    fn key(&self) -> (u8, bool) {
        (self.0.time, self.1)
    }
}

impl Model for Guards {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            sent: [0; 2],
            queue: Vec::new(),
            time: 1,
            broker_crashes: 0,
            handler_crashes: 0,
            log: Vec::new(),
            on_the_way: Vec::new(),
            handlers: [None; 2],
            happened: false,
            told: Vec::new(),
            decided: Vec::new(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for command in [Command::Possible, Command::Depends] {
            if state.sent[command as usize] < command.times() {
                actions.push(Action::Send(command));
            }
        }
        if !state.happened {
            actions.push(Action::Happen);
        }
        for (index, handler) in state.handlers.iter().enumerate() {
            match handler {
                None => actions.push(Action::TakeOver(index)),
                Some(owner) if owner.waits_for.is_some() => actions.push(Action::GiveUp(index)),
                Some(owner) if owner.position.places < state.queue.len() => {
                    actions.push(Action::Handle(index));
                }
                Some(_) => {}
            }
            if handler.is_some() && state.handler_crashes == 0 {
                actions.push(Action::CrashHandler(index));
            }
        }
        for append in &state.on_the_way {
            actions.extend([true, false].map(|answered| Action::Arrive(*append, answered)));
        }
        if state.broker_crashes == 0 {
            actions.extend((0..state.queue.len()).map(Action::CrashBroker));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Send(command) => {
                state.sent[command as usize] += 1;
                state.queue.push(Queued { command, time: state.time });
                state.time += 1;
            }
            Action::Happen => state.happened = true,
            Action::TakeOver(handler) => state.take_over(handler, self),
            Action::Handle(handler) => state.handle(handler, self),
            Action::Arrive(append, answered) => state.arrive(append, answered, self),
            Action::GiveUp(handler) if self.new_epoch_without_an_answer => {
                state.handlers[handler] = None;
            }
            Action::GiveUp(handler) => state.handlers[handler].as_mut()?.waits_for = None,
            Action::CrashHandler(handler) => {
                state.handlers[handler] = None;
                state.handler_crashes += 1;
            }
            Action::CrashBroker(kept) => {
                state.queue.truncate(kept);
                state.handlers = [None; 2];
                state.broker_crashes += 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a command is in the log once", |_, state: &State| {
                let mut commands: Vec<_> =
                    state.accepted(state.log.len()).map(|(_, command)| command).collect();
                commands.sort_unstable();
                commands.windows(2).all(|pair| pair[0] != pair[1])
            }),
            Property::always("what was told holds", |_, state: &State| {
                state.told.iter().all(|(queued, accepted)| {
                    let mut log = state.accepted(state.log.len());
                    if *accepted {
                        log.any(|(_, command)| command == queued.command)
                    } else {
                        !log.any(|(position, _)| position.time == queued.time)
                    }
                })
            }),
            Property::always("no command is passed over", |_, state: &State| {
                state.handlers.iter().flatten().filter(|it| it.epoch == state.epoch()).all(|it| {
                    let passed = state.queue.iter().take(it.position.places);
                    passed.into_iter().all(|queued| state.decided.contains(&queued.time))
                })
            }),
            Property::sometimes("all are told after every mishap", |_, state: &State| {
                state.told.len() >= 3 && state.broker_crashes + state.handler_crashes == 2
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        let epochs = state.log.iter().filter(|record| **record == Record::Epoch).count();
        epochs <= 3 && state.queue.len() <= 3 && state.on_the_way.len() <= 2
    }
}

#[test]
fn with_every_guard_nothing_is_lost_or_doubled() {
    assert_eq!(super::broken(ALL), ["all are told after every mishap"]);
}

#[test]
fn every_guard_is_needed() {
    for (guard, without) in [
        ("fence", Guards { fence: false, ..ALL }),
        ("position in the log", Guards { position_in_the_log: false, ..ALL }),
        ("time in the position", Guards { time_in_the_position: false, ..ALL }),
        ("ids", Guards { ids: false, ..ALL }),
        ("new epoch", Guards { new_epoch_without_an_answer: false, ..ALL }),
        ("rejections in the log", Guards { rejections_in_the_log: false, ..ALL }),
        ("one decision", Guards { one_decision_when_read_again: false, ..ALL }),
        ("the mark", Guards { mark_outlasts_the_position: false, ..ALL }),
    ] {
        println!("without {guard}");
        let broken = super::broken(without);
        assert!(broken.iter().any(|name| !name.starts_with("all are told")), "without {guard}");
    }
}
