//! Random histories, all of which the write side could have written, and some that it refuses:
//! the same again, backwards, to what is gone.

use std::collections::BTreeSet;

use echolog_events::{ConversationUpdated, ProfileUpdated, Role, Uuid};
use proptest::prelude::*;

use crate::support::{Log, id};

const USERS: u128 = 4;
const CONVERSATIONS: u128 = 2;

/// Something that a user does. Numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Send { conversation: u8, user: u8 },
    Reply { conversation: u8, user: u8, message: u8 },
    Edit { message: u8 },
    Delete { message: u8 },
    React { message: u8, user: u8, emoji: u8 },
    Unreact { message: u8, user: u8, emoji: u8 },
    Pin { message: u8, user: u8 },
    Unpin { message: u8, user: u8 },
    Deliver { message: u8, user: u8 },
    Read { message: u8, user: u8 },
    Join { conversation: u8, user: u8 },
    Leave { conversation: u8, user: u8 },
    Remove { conversation: u8, user: u8 },
    ChangeRole { conversation: u8, user: u8 },
    HandOver { conversation: u8, user: u8 },
    Describe { conversation: u8 },
    Profile { user: u8, text: u8 },
    Block { user: u8 },
    Unblock { user: u8 },
}

impl Arbitrary for Step {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let numbers = any::<(u8, u8, u8)>();
        (0_u8..33, numbers).prop_map(|(kind, numbers)| Self::of(kind, numbers)).boxed()
    }
}

impl Step {
    /// The kinds that matter most come most often.
    fn of(kind: u8, (a, user, b): (u8, u8, u8)) -> Self {
        match kind {
            0..6 => Self::Send { conversation: a, user },
            6..8 => Self::Reply { conversation: a, user, message: b },
            8 => Self::Edit { message: a },
            9..12 => Self::Delete { message: a },
            12..14 => Self::React { message: a, user, emoji: b },
            14 => Self::Unreact { message: a, user, emoji: b },
            15..17 => Self::Deliver { message: a, user },
            17..21 => Self::Read { message: a, user },
            21..23 => Self::Join { conversation: a, user },
            23 => Self::Leave { conversation: a, user },
            24 => Self::Remove { conversation: a, user },
            25 => Self::ChangeRole { conversation: a, user },
            26 => Self::HandOver { conversation: a, user },
            27 => Self::Describe { conversation: a },
            28 => Self::Profile { user, text: a },
            29..31 => Self::Pin { message: a, user },
            31 => Self::Unpin { message: a, user },
            _ if a % 2 == 0 => Self::Block { user },
            _ => Self::Unblock { user },
        }
    }
}

/// What there is to act on.
struct World {
    log: Log,
    /// Everyone who was ever a member.
    known: BTreeSet<(Uuid, Uuid)>,
    active: BTreeSet<(Uuid, Uuid)>,
    /// Conversation, message, sender.
    messages: Vec<(Uuid, Uuid, Uuid)>,
}

/// A log in which these steps were taken, as far as there was anything to act on.
pub(super) fn log_of(steps: &[Step]) -> Log {
    let mut world = World::new();
    for step in steps {
        world.take(*step);
    }
    world.log
}

impl World {
    fn new() -> Self {
        let mut log = Log::default();
        for user in 1..=USERS {
            log.register(id(user), &format!("user {user}"));
        }
        let mut known = BTreeSet::new();
        for conversation in 1..=CONVERSATIONS {
            let members = [id(1), id(2), id(3)];
            log.group(id(100 * conversation), &members);
            known.extend(members.map(|user| (id(100 * conversation), user)));
        }
        Self { log, active: known.clone(), known, messages: Vec::new() }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Send { conversation, user } => {
                let key = member(conversation, user);
                self.say(key, |log, new, text| log.send(key.0, new, key.1, text));
            }
            Step::Reply { conversation, user, message } => {
                let key = member(conversation, user);
                if let Some((there, parent, _)) = self.message(message)
                    && there == key.0
                {
                    self.say(key, |log, new, _| log.reply(key.0, new, key.1, parent));
                }
            }
            Step::Edit { message } => {
                let text = format!("edited at {}", self.log.end());
                self.act_on(message, |log, (conversation, message, sender)| {
                    log.edit(conversation, message, sender, &text);
                });
            }
            Step::Delete { message } => {
                self.act_on(message, |log, (conversation, message, sender)| {
                    log.delete(conversation, message, sender);
                });
            }
            Step::React { message, user, emoji } => {
                self.act_on(message, |log, (conversation, message, _)| {
                    log.react(conversation, message, self::user(user), self::emoji(emoji));
                });
            }
            Step::Unreact { message, user, emoji } => {
                self.act_on(message, |log, (conversation, message, _)| {
                    log.unreact(conversation, message, self::user(user), self::emoji(emoji));
                });
            }
            Step::Pin { message, user } => {
                self.act_on(message, |log, (conversation, message, _)| {
                    log.pin(conversation, message, self::user(user));
                });
            }
            Step::Unpin { message, user } => {
                self.act_on(message, |log, (conversation, message, _)| {
                    log.unpin(conversation, message, self::user(user));
                });
            }
            Step::Deliver { message, user } => self.move_cursor(message, user, Log::deliver),
            Step::Read { message, user } => self.move_cursor(message, user, Log::read),
            Step::Join { conversation, user } => self.join(member(conversation, user)),
            Step::Leave { conversation, user } => {
                self.part(member(conversation, user), |log, key| log.leave(key.0, key.1));
            }
            Step::Remove { conversation, user } => {
                self.part(member(conversation, user), |log, key| log.remove(key.0, key.1, id(1)));
            }
            Step::ChangeRole { conversation, user } => {
                let key = member(conversation, user);
                if self.active.contains(&key) {
                    self.log.change_role(key.0, key.1, Role::ALL[usize::from(user) % 3]);
                }
            }
            Step::HandOver { conversation, user } => self.hand_over(member(conversation, user)),
            Step::Describe { conversation } => self.log.describe(ConversationUpdated {
                conversation_id: self::conversation(conversation),
                description: Some("y".repeat(usize::from(conversation % 3))),
                ..ConversationUpdated::default()
            }),
            Step::Profile { user, text } => self.log.profile(ProfileUpdated {
                user_id: self::user(user),
                bio: Some("x".repeat(usize::from(text % 3))),
                ..ProfileUpdated::default()
            }),
            Step::Block { user } => self.log.block(self::user(user), id(9)),
            Step::Unblock { user } => self.log.unblock(self::user(user), id(9)),
        }
    }

    /// Sends a new message, where the sender is a member.
    fn say(&mut self, member: (Uuid, Uuid), send: impl FnOnce(&mut Log, Uuid, &str)) {
        if self.active.contains(&member) {
            let n = self.messages.len() as u128;
            send(&mut self.log, id(1000 + n), &format!("message {n}"));
            self.messages.push((member.0, id(1000 + n), member.1));
        }
    }

    fn act_on(&mut self, message: u8, act: impl FnOnce(&mut Log, (Uuid, Uuid, Uuid))) {
        if let Some(message) = self.message(message) {
            act(&mut self.log, message);
        }
    }

    fn move_cursor(&mut self, message: u8, user: u8, to: impl FnOnce(&mut Log, Uuid, Uuid, Uuid)) {
        if let Some((conversation, message, _)) = self.message(message)
            && self.known.contains(&(conversation, self::user(user)))
        {
            to(&mut self.log, conversation, self::user(user), message);
        }
    }

    fn join(&mut self, key: (Uuid, Uuid)) {
        if self.active.insert(key) {
            self.known.insert(key);
            self.log.join(key.0, key.1);
        }
    }

    fn part(&mut self, key: (Uuid, Uuid), part: impl FnOnce(&mut Log, (Uuid, Uuid))) {
        if self.active.remove(&key) {
            part(&mut self.log, key);
        }
    }

    fn hand_over(&mut self, (conversation, to): (Uuid, Uuid)) {
        let from = id(1);
        let both = [from, to].iter().all(|user| self.active.contains(&(conversation, *user)));
        if both && to != from {
            self.log.hand_over(conversation, from, to);
        }
    }

    fn message(&self, n: u8) -> Option<(Uuid, Uuid, Uuid)> {
        let count = self.messages.len();
        // The latest ones are the most interesting.
        (count > 0).then(|| self.messages[count - 1 - usize::from(n) % count.min(12)])
    }
}

fn user(n: u8) -> Uuid {
    id(1 + u128::from(n) % USERS)
}

fn emoji(n: u8) -> &'static str {
    ["👍", "🎉"][usize::from(n % 2)]
}

fn member(conversation: u8, user: u8) -> (Uuid, Uuid) {
    (self::conversation(conversation), self::user(user))
}

fn conversation(n: u8) -> Uuid {
    id(100 * (1 + u128::from(n) % CONVERSATIONS))
}
