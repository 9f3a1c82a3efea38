//! Which event does what: the central route of projection `messages`.

use echolog_events::{
    ConversationDelivered, ConversationRead, MessageDeleted, MessageEdited, MessageSent,
    MessagesEvent, OwnershipTransferred, ParticipantJoined, Reaction, Recorded, Role, Uuid,
};

use super::Batch;
use super::cursors::Kind;
use super::history::Entry;
use crate::ProjectionError;

type Applied = Result<(), ProjectionError>;

impl<'a> Batch<'a> {
    /// Lets an event change the batch.
    pub(super) fn apply(&mut self, event: &'a Recorded, body: &'a MessagesEvent) -> Applied {
        match body {
            MessagesEvent::ConversationCreated(e) => {
                self.conversations.create(event, e);
                Ok(())
            }
            MessagesEvent::ConversationUpdated(e) => self.conversations.describe(event, e),
            MessagesEvent::ConversationOwnershipTransferred(e) => self.transfer(event, e),
            MessagesEvent::ParticipantJoined(e) => self.join(event, e),
            MessagesEvent::ParticipantLeft(e) => {
                let entry = Entry::Left { by: e.user_id, old_role: e.old_role };
                self.part(event, (e.conversation_id, e.user_id), None, entry)
            }
            MessagesEvent::ParticipantRemoved(e) => {
                let by = e.removed_by_user_id;
                let entry = Entry::Removed { by, old_role: e.old_role };
                self.part(event, (e.conversation_id, e.user_id), Some(by), entry)
            }
            MessagesEvent::ParticipantRoleChanged(e) => {
                let key = (e.conversation_id, e.user_id);
                self.change_role(event, key, e.old_role, e.new_role, 0)
            }
            MessagesEvent::MessageSent(e) => self.send(event, e),
            MessagesEvent::MessageEdited(e) => self.edit(event, e),
            MessagesEvent::MessageDeleted(e) => self.delete(event, e),
            MessagesEvent::ReactionAdded(e) => self.react(event, e),
            MessagesEvent::ReactionRemoved(e) => {
                self.texts.get(event, (e.conversation_id, e.message_id))?;
                self.reactions.remove(e);
                Ok(())
            }
            MessagesEvent::MessagePinned(e) => {
                self.texts.get(event, (e.conversation_id, e.message_id))?;
                self.pins.add(event, e);
                Ok(())
            }
            MessagesEvent::MessageUnpinned(e) => {
                self.pins.remove((e.conversation_id, e.message_id));
                Ok(())
            }
            MessagesEvent::MessageDelivered(e) => self.deliver(event, e),
            MessagesEvent::ConversationRead(e) => self.read(event, e),
        }
    }

    fn transfer(&mut self, event: &Recorded, e: &OwnershipTransferred) -> Applied {
        self.conversations.get(event, e.conversation_id)?.hand_over(event, e.new_owner_user_id);
        let old = (e.conversation_id, e.old_owner_user_id);
        let new = (e.conversation_id, e.new_owner_user_id);
        self.change_role(event, old, Role::Owner, Role::Admin, 0)?;
        self.change_role(event, new, e.old_role, Role::Owner, 1)
    }

    fn change_role(
        &mut self,
        event: &Recorded,
        key: (Uuid, Uuid),
        old_role: Role,
        new_role: Role,
        ordinal: u8,
    ) -> Applied {
        self.members.get(event, key)?.change_role(event, new_role);
        self.history.add(event, ordinal, key, Entry::RoleChanged { old_role, new_role });
        Ok(())
    }

    fn join(&mut self, event: &Recorded, e: &ParticipantJoined) -> Applied {
        let conversation = self.conversations.get(event, e.conversation_id)?;
        let last_seq = conversation.last_seq();
        if self.members.join(event, e, last_seq) {
            conversation.member_joined(event);
            self.periods.open((e.conversation_id, e.user_id), last_seq);
            let entry = Entry::Joined { invited_by: e.invited_by_user_id, role: e.role };
            self.history.add(event, 0, (e.conversation_id, e.user_id), entry);
        }
        Ok(())
    }

    fn part(
        &mut self,
        event: &Recorded,
        key: (Uuid, Uuid),
        removed_by: Option<Uuid>,
        entry: Entry,
    ) -> Applied {
        let conversation = self.conversations.get(event, key.0)?;
        if self.members.get(event, key)?.part(event, removed_by) {
            conversation.member_left(event);
            self.periods.close(key, conversation.last_seq());
            self.history.add(event, 0, key, entry);
        }
        Ok(())
    }

    fn send(&mut self, event: &'a Recorded, e: &'a MessageSent) -> Applied {
        if let Some(parent) = e.reply_to_message_id {
            self.texts.get(event, (e.conversation_id, parent))?.count_reply();
            self.threads.add(event, e, parent);
        }
        let seq = self.conversations.get(event, e.conversation_id)?.say(event, e);
        self.texts.send(event, e, seq)?;
        self.uncounted.sent((e.conversation_id, e.sender_user_id));
        Ok(())
    }

    fn edit(&mut self, event: &'a Recorded, e: &'a MessageEdited) -> Applied {
        let text = self.texts.get(event, (e.conversation_id, e.message_id))?;
        // What is taken back stays taken back.
        if let Some(edit) = text.edit(event, e) {
            self.edits.add(event, e, &edit);
            self.conversations.get(event, e.conversation_id)?.reword(event);
        }
        Ok(())
    }

    fn delete(&mut self, event: &Recorded, e: &MessageDeleted) -> Applied {
        let text = self.texts.get(event, (e.conversation_id, e.message_id))?;
        if let Some(deleted) = text.delete(event, e) {
            self.pins.remove((e.conversation_id, e.message_id));
            self.uncounted.deleted(e.conversation_id, deleted);
            self.conversations.get(event, e.conversation_id)?.take_back(event);
        }
        Ok(())
    }

    fn react(&mut self, event: &Recorded, e: &'a Reaction) -> Applied {
        self.texts.get(event, (e.conversation_id, e.message_id))?;
        self.reactions.add(event, e);
        self.conversations.get(event, e.conversation_id)?.stir(event);
        Ok(())
    }

    fn deliver(&mut self, event: &Recorded, e: &ConversationDelivered) -> Applied {
        let seq = self.texts.get(event, (e.conversation_id, e.message_id))?.seq();
        let key = (e.conversation_id, e.user_id);
        if self.members.get(event, key)?.deliver(event, seq) {
            self.cursors.add(event, key, Kind::Delivered, seq);
        }
        Ok(())
    }

    fn read(&mut self, event: &Recorded, e: &ConversationRead) -> Applied {
        let seq = self.texts.get(event, (e.conversation_id, e.message_id))?.seq();
        let key = (e.conversation_id, e.user_id);
        if self.members.get(event, key)?.read(event, e.message_id, seq) {
            self.cursors.add(event, key, Kind::Read, seq);
        }
        Ok(())
    }
}
