//! One conversation: the rows that say what has happened in it.

use echolog_events::{ConversationType, Uuid};
use serde_json::{Value, json};

use super::audit::{Facts, facts};
use super::talk::{Member, Message, Move, Passage, Receipt, Stay, Talk};
use super::{at, id_of_event, id_of_key, text};

impl Talk {
    pub(super) fn table(&self, table: &str) -> Vec<Value> {
        let of_messages = |rows: fn(&Self, &Message) -> Vec<Value>| -> Vec<Value> {
            self.messages.iter().flat_map(|message| rows(self, message)).collect()
        };
        match table {
            "conversations" => vec![self.conversation()],
            "members" => self.members.iter().map(|(id, it)| self.member_row(*id, it)).collect(),
            "membership_periods" => self.stays.iter().map(|it| self.period(it)).collect(),
            "messages" => of_messages(|talk, message| vec![talk.message_row(message)]),
            "cursor_moves" => self.moves.iter().map(|it| self.cursor_move(it)).collect(),
            "message_reactions" => of_messages(Self::reactions),
            "message_edits" => of_messages(Self::edits),
            "pinned_messages" => of_messages(Self::pins),
            "threads" => of_messages(Self::threads),
            "participant_history" => self.history.iter().map(|it| self.passage(it)).collect(),
            _ => panic!("the model does not know table {table}"),
        }
    }

    /// What the audit records.
    pub(super) fn facts(&self) -> Facts {
        facts(Some(self.id().to_string()), |table| self.table(table))
    }

    pub(super) fn unread(&self) -> Vec<String> {
        let row = |(user, member): (&Uuid, &Member)| {
            let unread = member.unread.len();
            format!("({},{user},{unread},{unread})", self.id())
        };
        self.members.iter().map(row).collect()
    }

    pub(super) fn receipts(&self) -> Vec<Value> {
        let rows = |message: &Message| -> Vec<Value> {
            let row = |(user, receipt): (&Uuid, &Receipt)| {
                let status = match receipt {
                    Receipt { read: Some(_), .. } => "read",
                    Receipt { delivered: Some(_), .. } => "delivered",
                    Receipt { .. } => "sent",
                };
                let first = receipt.delivered.into_iter().chain(receipt.read).min();
                json!({
                    "conversation_id": self.id(), "message_id": message.sent.message_id,
                    "user_id": user, "status": status, "delivered_at": first.map(at),
                    "read_at": receipt.read.map(at),
                })
            };
            message.receipts.iter().map(row).collect()
        };
        self.messages.iter().flat_map(rows).collect()
    }

    fn id(&self) -> Uuid {
        self.created.conversation_id
    }

    fn conversation(&self) -> Value {
        let e = &self.created;
        let everyone =
            matches!(e.conversation_type, ConversationType::Direct | ConversationType::Group);
        let last = self.messages.iter().rfind(|message| message.deleted.is_none());
        let preview = |message: &Message| {
            let shown = message.text().chars().take(200).collect::<String>();
            (!message.sent.content_encrypted).then_some(shown)
        };
        json!({
            "id": self.id(), "conversation_type": e.conversation_type, "direct_key": e.direct_key,
            "title": text(&self.title), "description": text(&self.description),
            "avatar_url": text(&self.avatar_url), "creator_user_id": e.creator_user_id,
            "owner_user_id": self.owner, "is_encrypted": e.is_encrypted, "is_public": e.is_public,
            "member_count": self.members.values().filter(|member| member.is_active).count(),
            "message_count": self.messages.len(), "last_seq": self.messages.len(),
            "last_message_id": last.map(|it| it.sent.message_id),
            "last_message_at": last.map(|it| at(it.event.meta.time)),
            "last_message_sender_id": last.map(|it| it.sent.sender_user_id),
            "last_message_preview": last.and_then(preview), "last_activity_at": at(self.active_at),
            "invite_link": null, "invite_link_expires_at": null,
            "who_can_send_messages": if everyone { "everyone" } else { "admins" },
            "who_can_add_members": "admins", "settings": {}, "metadata": {}, "is_archived": false,
            "created_at": at(self.created_at), "updated_at": at(self.updated_at),
            "deleted_at": null,
        })
    }

    fn member_row(&self, user: Uuid, member: &Member) -> Value {
        let key = [&*self.id().to_string(), &*user.to_string()];
        let since_read = self.messages.len() - member.read;
        let uncounted = if member.is_active { since_read - member.unread.len() } else { 0 };
        json!({
            "id": id_of_key("messages.members", &key), "conversation_id": self.id(),
            "user_id": user, "role": member.role, "invited_by_user_id": member.invited_by,
            "removed_by_user_id": member.removed_by, "is_active": member.is_active,
            "joined_at": at(member.joined_at), "left_at": member.left_at.map(at),
            "read_seq": member.read, "delivered_seq": member.delivered, "uncounted": uncounted,
            "last_read_message_id": member.last_read.map(|(message, _)| message),
            "last_read_at": member.last_read.map(|(_, time)| at(time)),
            "created_at": at(member.created_at), "updated_at": at(member.updated_at),
        })
    }

    fn period(&self, stay: &Stay) -> Value {
        let Stay { user, from, to } = stay;
        json!({ "conversation_id": self.id(), "user_id": user, "from_seq": from, "to_seq": to })
    }

    fn cursor_move(&self, it: &Move) -> Value {
        json!({
            "conversation_id": self.id(), "user_id": it.user, "kind": it.kind,
            "up_to_seq": it.to, "moved_at": at(it.time), "event_seq": it.seq,
        })
    }

    fn passage(&self, it: &Passage) -> Value {
        let (time, [old_role, new_role]) = (at(it.event.meta.time), it.roles);
        json!({
            "id": id_of_event(&it.event, it.ordinal), "conversation_id": self.id(),
            "user_id": it.user, "action": it.action, "old_role": old_role, "new_role": new_role,
            "actor_user_id": it.actor, "occurred_at": time, "created_at": time,
            "updated_at": time,
        })
    }

    fn message_row(&self, message: &Message) -> Value {
        let e = &message.sent;
        let place = self.messages.iter().position(|it| it.sent.message_id == e.message_id);
        let replies = |it: &&Message| it.sent.reply_to_message_id == Some(e.message_id);
        let edited_at = message.edits.last().map(|(event, _)| event.meta.time);
        let deleted_at = message.deleted.map(|(time, _)| time);
        let created_at = message.event.meta.time;
        json!({
            "id": e.message_id, "conversation_id": self.id(), "seq": place.map(|place| place + 1),
            "event_seq": message.event.seq, "sender_user_id": e.sender_user_id,
            "recipient_user_id": e.recipient_user_id, "message_type": e.message_type,
            "content": message.text(), "content_encrypted": e.content_encrypted,
            "reply_to_message_id": e.reply_to_message_id,
            "forward_from_message_id": e.forward_from_message_id,
            "forward_from_conversation_id": e.forward_from_conversation_id,
            "is_edited": !message.edits.is_empty(), "edited_at": edited_at.map(at),
            "edit_count": message.edits.len(), "is_deleted": deleted_at.is_some(),
            "deleted_at": deleted_at.map(at),
            "deleted_by_user_id": message.deleted.map(|(_, by)| by), "mentions": e.mentions,
            "link_preview": null,
            "metadata": if deleted_at.is_some() { json!({}) } else { json!(e.metadata) },
            "reaction_count": message.reactions.len(),
            "reply_count": self.messages.iter().filter(replies).count(),
            "created_at": at(created_at),
            "updated_at": at(deleted_at.or(edited_at).unwrap_or(created_at)),
        })
    }

    fn reactions(&self, message: &Message) -> Vec<Value> {
        let (talk, id) = (self.id(), message.sent.message_id);
        let rows = message.reactions.iter().map(|((user, emoji), time)| {
            let key = [&*talk.to_string(), &*id.to_string(), &*user.to_string(), emoji];
            json!({
                "id": id_of_key("messages.message_reactions", &key), "conversation_id": talk,
                "message_id": id, "user_id": user, "emoji": emoji,
                "created_at": at(*time), "updated_at": at(*time),
            })
        });
        rows.collect()
    }

    fn edits(&self, message: &Message) -> Vec<Value> {
        let mut old = &message.sent.content;
        let rows = (1..).zip(&message.edits).map(|(number, (event, e))| {
            let time = at(event.meta.time);
            let before = std::mem::replace(&mut old, &e.content);
            json!({
                "id": id_of_event(event, 0), "conversation_id": self.id(),
                "message_id": e.message_id, "editor_user_id": e.editor_user_id,
                "edit_number": number, "old_content": before, "new_content": e.content,
                "edited_at": time, "created_at": time, "updated_at": time,
            })
        });
        rows.collect()
    }

    fn pins(&self, message: &Message) -> Vec<Value> {
        let (talk, id) = (self.id(), message.sent.message_id);
        let rows = message.pinned.iter().map(|(by, time)| {
            let key = [&*talk.to_string(), &*id.to_string()];
            json!({
                "id": id_of_key("messages.pinned_messages", &key), "conversation_id": talk,
                "message_id": id, "pinned_by_user_id": by, "pinned_at": at(*time),
                "created_at": at(*time), "updated_at": at(*time),
            })
        });
        rows.collect()
    }

    fn threads(&self, message: &Message) -> Vec<Value> {
        let (e, time) = (&message.sent, at(message.event.meta.time));
        let rows = e.reply_to_message_id.iter().map(|parent| {
            json!({
                "id": id_of_event(&message.event, 0), "conversation_id": self.id(),
                "parent_message_id": parent, "reply_message_id": e.message_id,
                "root_message_id": self.root(e.message_id), "created_at": time,
                "updated_at": time,
            })
        });
        rows.collect()
    }

    /// The message that a thread began with: up from answer to answer.
    fn root(&self, id: Uuid) -> Uuid {
        let message = self.messages.iter().find(|it| it.sent.message_id == id);
        match message.and_then(|message| message.sent.reply_to_message_id) {
            Some(parent) => self.root(parent),
            None => id,
        }
    }
}

impl Message {
    /// What it says now.
    fn text(&self) -> &str {
        match (&self.deleted, self.edits.last()) {
            (Some(_), _) => "",
            (None, Some((_, edit))) => &edit.content,
            (None, None) => &self.sent.content,
        }
    }
}
