//! One conversation: what happens in it.

use std::collections::{BTreeMap, BTreeSet};

use echolog_events::{
    ConversationCreated, MessageDeleted, MessageEdited, MessageSent, MessagesEvent,
    OwnershipTransferred, ParticipantJoined, Recorded, Role, Time, Uuid,
};

/// Conversation, with everything that was ever in it.
pub(super) struct Talk {
    pub(super) created: ConversationCreated,
    pub(super) created_at: Time,
    pub(super) active_at: Time,
    pub(super) updated_at: Time,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) avatar_url: String,
    pub(super) owner: Uuid,
    /// Everyone who was ever a member.
    pub(super) members: BTreeMap<Uuid, Member>,
    /// In the order in which they were sent; the first has place 1.
    pub(super) messages: Vec<Message>,
    pub(super) stays: Vec<Stay>,
    pub(super) moves: Vec<Move>,
    pub(super) history: Vec<Passage>,
}

pub(super) struct Message {
    pub(super) sent: MessageSent,
    pub(super) event: Recorded,
    pub(super) edits: Vec<(Recorded, MessageEdited)>,
    pub(super) deleted: Option<(Time, Uuid)>,
    pub(super) reactions: BTreeMap<(Uuid, String), Time>,
    pub(super) pinned: Option<(Uuid, Time)>,
    /// Who was there when it was sent, the sender aside, and when it came to them.
    pub(super) receipts: BTreeMap<Uuid, Receipt>,
}

#[derive(Default)]
pub(super) struct Receipt {
    pub(super) delivered: Option<Time>,
    pub(super) read: Option<Time>,
}

pub(super) struct Member {
    pub(super) role: Role,
    pub(super) invited_by: Option<Uuid>,
    pub(super) removed_by: Option<Uuid>,
    pub(super) is_active: bool,
    pub(super) created_at: Time,
    pub(super) joined_at: Time,
    pub(super) left_at: Option<Time>,
    pub(super) updated_at: Time,
    /// How many messages there were when the member came.
    pub(super) came_at: usize,
    /// The place up to which everything is read, or has arrived.
    pub(super) read: usize,
    pub(super) delivered: usize,
    pub(super) last_read: Option<(Uuid, Time)>,
    /// Every single message that is news to the member.
    pub(super) unread: BTreeSet<Uuid>,
}

/// From when to when someone was a member, in places of messages.
pub(super) struct Stay {
    pub(super) user: Uuid,
    pub(super) from: usize,
    pub(super) to: Option<usize>,
}

/// A cursor that moved.
pub(super) struct Move {
    pub(super) user: Uuid,
    pub(super) kind: &'static str,
    pub(super) to: usize,
    pub(super) time: Time,
    pub(super) seq: u64,
}

/// Someone came, went, or became something.
pub(super) struct Passage {
    pub(super) event: Recorded,
    pub(super) ordinal: u8,
    pub(super) user: Uuid,
    pub(super) action: &'static str,
    pub(super) roles: [Option<Role>; 2],
    pub(super) actor: Option<Uuid>,
}

impl Talk {
    pub(super) fn new(event: &Recorded, e: &ConversationCreated) -> Self {
        let time = event.meta.time;
        Self {
            created: e.clone(),
            created_at: time,
            active_at: time,
            updated_at: time,
            title: e.title.clone().unwrap_or_default(),
            description: e.description.clone().unwrap_or_default(),
            avatar_url: e.avatar_url.clone().unwrap_or_default(),
            owner: e.creator_user_id,
            members: BTreeMap::new(),
            messages: Vec::new(),
            stays: Vec::new(),
            moves: Vec::new(),
            history: Vec::new(),
        }
    }

    pub(super) fn see(&mut self, event: &Recorded, known: &MessagesEvent) {
        let time = event.meta.time;
        self.touch(time, known);
        match known {
            MessagesEvent::ConversationCreated(_) => {}
            MessagesEvent::ConversationUpdated(e) => {
                for (field, value) in [
                    (&mut self.title, &e.title),
                    (&mut self.description, &e.description),
                    (&mut self.avatar_url, &e.avatar_url),
                ] {
                    field.clone_from(value.as_ref().unwrap_or(&field.clone()));
                }
            }
            MessagesEvent::ConversationOwnershipTransferred(e) => self.hand_over(event, e),
            MessagesEvent::ParticipantJoined(e) => self.join(event, e),
            MessagesEvent::ParticipantLeft(e) => {
                self.part(event, e.user_id, None);
                let roles = [Some(e.old_role), None];
                self.note(event, 0, e.user_id, "left", roles, Some(e.user_id));
            }
            MessagesEvent::ParticipantRemoved(e) => {
                let by = Some(e.removed_by_user_id);
                self.part(event, e.user_id, by);
                self.note(event, 0, e.user_id, "removed", [Some(e.old_role), None], by);
            }
            MessagesEvent::ParticipantRoleChanged(e) => {
                self.change_role(event, 0, e.user_id, e.new_role);
            }
            MessagesEvent::MessageSent(e) => self.send(event, e),
            MessagesEvent::MessageEdited(e) => {
                self.message(e.message_id).edits.push((event.clone(), e.clone()));
            }
            MessagesEvent::MessageDeleted(e) => self.delete(time, e),
            MessagesEvent::ReactionAdded(e) => {
                let reaction = (e.user_id, e.emoji.clone());
                self.message(e.message_id).reactions.entry(reaction).or_insert(time);
            }
            MessagesEvent::ReactionRemoved(e) => {
                let reaction = (e.user_id, e.emoji.clone());
                self.message(e.message_id).reactions.remove(&reaction);
            }
            MessagesEvent::MessagePinned(e) => {
                self.message(e.message_id).pinned.get_or_insert((e.user_id, time));
            }
            MessagesEvent::MessageUnpinned(e) => self.message(e.message_id).pinned = None,
            MessagesEvent::MessageDelivered(e) => self.deliver(event, e.user_id, e.message_id),
            MessagesEvent::ConversationRead(e) => self.read(event, e.user_id, e.message_id),
        }
    }

    /// What is activity in a conversation, and what changes it without being any.
    fn touch(&mut self, time: Time, known: &MessagesEvent) {
        match known {
            MessagesEvent::ConversationCreated(_)
            | MessagesEvent::ConversationUpdated(_)
            | MessagesEvent::ParticipantJoined(_)
            | MessagesEvent::MessageSent(_)
            | MessagesEvent::MessageEdited(_)
            | MessagesEvent::ReactionAdded(_) => {
                self.active_at = time;
                self.updated_at = time;
            }
            MessagesEvent::ConversationOwnershipTransferred(_)
            | MessagesEvent::ParticipantLeft(_)
            | MessagesEvent::ParticipantRemoved(_)
            | MessagesEvent::MessageDeleted(_) => self.updated_at = time,
            MessagesEvent::ParticipantRoleChanged(_)
            | MessagesEvent::ReactionRemoved(_)
            | MessagesEvent::MessagePinned(_)
            | MessagesEvent::MessageUnpinned(_)
            | MessagesEvent::MessageDelivered(_)
            | MessagesEvent::ConversationRead(_) => {}
        }
    }

    fn join(&mut self, event: &Recorded, e: &ParticipantJoined) {
        let (time, here) = (event.meta.time, self.messages.len());
        let before = self.members.remove(&e.user_id);
        let member = Member {
            role: e.role,
            invited_by: e.invited_by_user_id,
            removed_by: None,
            is_active: true,
            created_at: before.as_ref().map_or(time, |member| member.created_at),
            joined_at: time,
            left_at: None,
            updated_at: time,
            came_at: here,
            read: here,
            delivered: here,
            last_read: before.and_then(|member| member.last_read),
            unread: BTreeSet::new(),
        };
        self.members.insert(e.user_id, member);
        self.stays.push(Stay { user: e.user_id, from: here, to: None });
        let action = if e.invited_by_user_id.is_some() { "added" } else { "joined" };
        let actor = e.invited_by_user_id.unwrap_or(e.user_id);
        self.note(event, 0, e.user_id, action, [None, Some(e.role)], Some(actor));
    }

    fn part(&mut self, event: &Recorded, user: Uuid, by: Option<Uuid>) {
        let here = self.messages.len();
        let member = self.member(user);
        member.is_active = false;
        member.left_at = Some(event.meta.time);
        member.removed_by = by;
        member.updated_at = event.meta.time;
        member.unread.clear();
        for stay in self.stays.iter_mut().filter(|stay| stay.user == user) {
            stay.to.get_or_insert(here);
        }
        // A stay in which nothing was said is as good as none.
        self.stays.retain(|stay| stay.to != Some(stay.from));
    }

    fn hand_over(&mut self, event: &Recorded, e: &OwnershipTransferred) {
        self.owner = e.new_owner_user_id;
        self.change_role(event, 0, e.old_owner_user_id, Role::Admin);
        self.change_role(event, 1, e.new_owner_user_id, Role::Owner);
    }

    fn change_role(&mut self, event: &Recorded, ordinal: u8, user: Uuid, role: Role) {
        let member = self.member(user);
        let old = std::mem::replace(&mut member.role, role);
        member.updated_at = event.meta.time;
        let actor = event.meta.actor_user_id();
        self.note(event, ordinal, user, "role_changed", [Some(old), Some(role)], actor);
    }

    fn send(&mut self, event: &Recorded, e: &MessageSent) {
        let mut receipts = BTreeMap::new();
        for (user, member) in &mut self.members {
            if member.is_active && *user != e.sender_user_id {
                member.unread.insert(e.message_id);
                receipts.insert(*user, Receipt::default());
            }
        }
        self.messages.push(Message {
            sent: e.clone(),
            event: event.clone(),
            edits: Vec::new(),
            deleted: None,
            reactions: BTreeMap::new(),
            pinned: None,
            receipts,
        });
    }

    fn delete(&mut self, time: Time, e: &MessageDeleted) {
        let message = self.message(e.message_id);
        message.deleted = Some((time, e.deleted_by_user_id));
        message.pinned = None;
        for member in self.members.values_mut() {
            member.unread.remove(&e.message_id);
        }
    }

    fn deliver(&mut self, event: &Recorded, user: Uuid, message: Uuid) {
        let place = self.place(message);
        let member = self.member(user);
        if place > member.delivered {
            member.delivered = place;
            self.arrive(event, user, place, "delivered");
        }
    }

    fn read(&mut self, event: &Recorded, user: Uuid, message: Uuid) {
        let place = self.place(message);
        let read: Vec<Uuid> = self.messages[..place].iter().map(|it| it.sent.message_id).collect();
        let member = self.member(user);
        if place > member.read {
            member.read = place;
            member.delivered = member.delivered.max(place);
            member.last_read = Some((message, event.meta.time));
            member.unread.retain(|message| !read.contains(message));
            self.arrive(event, user, place, "read");
        }
    }

    /// Everything up to a place, since the member came, has arrived or is read.
    fn arrive(&mut self, event: &Recorded, user: Uuid, place: usize, kind: &'static str) {
        let time = event.meta.time;
        let member = self.member(user);
        member.updated_at = time;
        let from = member.came_at;
        for message in &mut self.messages[from..place] {
            if let Some(receipt) = message.receipts.get_mut(&user) {
                let receipt =
                    if kind == "read" { &mut receipt.read } else { &mut receipt.delivered };
                receipt.get_or_insert(time);
            }
        }
        self.moves.push(Move { user, kind, to: place, time, seq: event.seq });
    }

    fn note(
        &mut self,
        event: &Recorded,
        ordinal: u8,
        user: Uuid,
        action: &'static str,
        roles: [Option<Role>; 2],
        actor: Option<Uuid>,
    ) {
        self.history.push(Passage { event: event.clone(), ordinal, user, action, roles, actor });
    }

    fn place(&self, message: Uuid) -> usize {
        let index = self.messages.iter().position(|it| it.sent.message_id == message);
        1 + index.expect("it was sent")
    }

    fn message(&mut self, id: Uuid) -> &mut Message {
        let place = self.place(id);
        &mut self.messages[place - 1]
    }

    fn member(&mut self, user: Uuid) -> &mut Member {
        self.members.get_mut(&user).expect("a member")
    }
}
