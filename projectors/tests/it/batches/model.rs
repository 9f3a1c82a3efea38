//! All tables in memory, the slow and obvious way: one event after the other, and every number is
//! counted when it is asked for.

mod audit;
mod books;
mod people;
mod talk;
mod talk_rows;

use std::collections::BTreeMap;

use echolog_events::{Body, Event, MessagesEvent, Recorded, SessionEvent, Time, Uuid};
use serde_json::{Value, json};

use self::audit::Audit;
use self::people::People;
use self::talk::Talk;
use super::history::History;

/// Namespace of the ids that rows derive from their keys.
const ROW_IDS: Uuid = Uuid::from_u128(0x1f0b_7a3c_66d1_5e52_9c0b_6563_686f_6c67);

/// What has happened so far.
#[derive(Default)]
pub(super) struct Model {
    people: People,
    talks: BTreeMap<Uuid, Talk>,
    audit: Audit,
}

impl Model {
    /// Lets an event happen.
    pub(super) fn see(&mut self, event: &Recorded) {
        let Body::Known(known) = &event.body else { return };
        let facts = match known {
            Event::Auth(known) => {
                self.people.see_account(event, known);
                self.people.facts()
            }
            Event::Accounts(known) => {
                self.people.see_operator(event, known);
                self.people.facts()
            }
            Event::Audit(known) => {
                self.people.see_audited(event, known);
                self.people.facts()
            }
            Event::Sessions(known) => {
                self.people.see_session(event, known);
                if let SessionEvent::RetentionApplied(_) = known {
                    return self.audit.forget(&self.people.facts());
                }
                self.people.facts()
            }
            Event::Credentials(known) => {
                self.people.see_credential(event, known);
                self.people.facts()
            }
            Event::Codes(known) => {
                self.people.see_code(event, known);
                self.people.facts()
            }
            Event::Passwords(known) => {
                self.people.see_password(event, known);
                self.people.facts()
            }
            Event::Users(known) => {
                self.people.see(event, known);
                self.people.facts()
            }
            Event::Messages(known) => {
                let id = known.conversation_id();
                if let MessagesEvent::ConversationCreated(e) = known {
                    self.talks.insert(id, Talk::new(event, e));
                }
                let talk = self.talks.get_mut(&id).expect("it was created");
                talk.see(event, known);
                talk.facts()
            }
            Event::System(_) => return,
        };
        self.audit.see(event, facts);
    }

    /// The rows of a table.
    pub(super) fn table(&self, history: &History, schema: &str, table: &str) -> Vec<Value> {
        match (schema, table) {
            ("projection", "ledger") => books::ledger(history),
            ("projection", "deciders") => books::deciders(history),
            ("audit", "record_changes") => self.audit.rows(),
            ("messages", _) => self.talks.values().flat_map(|talk| talk.table(table)).collect(),
            _ => self.people.table(table),
        }
    }

    /// Conversation, member and number of unread messages, twice: as the tables have them and as
    /// they are counted from what is there.
    pub(super) fn unread(&self) -> Vec<String> {
        self.talks.values().flat_map(Talk::unread).collect()
    }

    /// What became of each message on its way to each recipient.
    pub(super) fn receipts(&self) -> Vec<Value> {
        self.talks.values().flat_map(Talk::receipts).collect()
    }
}

/// A time as PostgreSQL writes it into JSON.
fn at(time: Time) -> Value {
    json!(time.to_rfc3339())
}

/// A time as it is written into JSON by hand.
fn micros(time: &Value) -> Value {
    json!(time.as_str().expect("a time").replace("+00:00", ".000000Z"))
}

/// The id of a row that an event adds to a table that only grows.
fn id_of_event(event: &Recorded, ordinal: u8) -> Uuid {
    Uuid::new_v5(&event.meta.event_id, &[ordinal])
}

/// The id of a row that its key names.
fn id_of_key(table: &str, key: &[&str]) -> Uuid {
    Uuid::new_v5(&ROW_IDS, format!("{table}\n{}", key.join("\n")).as_bytes())
}

/// A text, or NULL if it is empty.
fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}
