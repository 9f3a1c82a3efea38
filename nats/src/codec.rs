//! Events as messages: CloudEvents 1.0 in binary mode.

use std::borrow::Cow;

use async_nats::HeaderMap;
use chrono::{DateTime, SecondsFormat};
use echolog_events::{Body, Event, EventSubject, Meta, Recorded, Time, Unreadable, Uuid, header};

/// The headers of a message: each name once. (The client library would make a map, with a name and
/// a value of its own for each.)
#[derive(Debug)]
pub struct Headers<'a>(Vec<(&'a str, Cow<'a, str>)>);

impl<'a> Headers<'a> {
    /// Takes apart what the client library has.
    #[must_use]
    pub fn of(headers: Option<&'a HeaderMap>) -> Self {
        Self(headers.map(HeaderMap::pairs).unwrap_or_default())
    }

    /// The value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }
}

/// The headers of an event that is about to be appended.
#[must_use]
pub fn headers(tenant: &str, event: &Event, meta: &Meta) -> HeaderMap {
    let event_type = event.event_type();
    let mut headers = HeaderMap::new();
    headers.insert(header::SPEC_VERSION, "1.0");
    headers.insert(header::ID, meta.event_id.to_string());
    headers.insert(header::SOURCE, format!("echolog/{tenant}"));
    headers.insert(header::TYPE, event_type.name);
    headers.insert(header::TIME, meta.time.to_rfc3339_opts(SecondsFormat::Micros, true));
    headers.insert(header::SCHEMA, event_type.schema.to_string());
    headers.insert(header::CONTENT_TYPE, "application/msgpack");
    let mut optional = |name: &'static str, value: Option<String>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    optional(header::ACTOR, meta.actor.clone());
    optional(header::COMMAND, meta.command_id.map(|id| id.to_string()));
    optional(header::SESSION, meta.session_id.map(|id| id.to_string()));
    optional(header::CORRELATION, meta.correlation_id.clone());
    optional(header::TRACEPARENT, meta.traceparent.clone());
    optional(header::DIGEST, meta.digest.map(|digest| format!("{digest:016x}")));
    optional(header::POSITION, meta.position.map(|position| position.to_string()));
    headers
}

/// Reads a stored message. `None` only for a subject that is no event's: nothing that Echolog
/// writes, and nothing that a projection could place.
#[must_use]
pub fn recorded(
    subject: &str,
    headers: &Headers<'_>,
    payload: &[u8],
    seq: u64,
    stored: Time,
) -> Option<Recorded> {
    let subject: EventSubject = subject.parse().ok()?;
    let get = |name| headers.get(name);
    let name = get(header::TYPE).unwrap_or_default();
    let body = match get(header::SCHEMA).and_then(|schema| schema.parse().ok()) {
        Some(schema) => placed(Event::decode(name, schema, payload), &subject),
        None => Body::Unreadable(Unreadable {
            name: name.to_owned(),
            reason: format!("no readable `{}` header", header::SCHEMA),
        }),
    };
    let uuid = |name| get(name).and_then(|id| Uuid::try_parse(id).ok());
    let meta = Meta {
        // An event without an id of its own was written by hand; its place names it.
        event_id: uuid(header::ID).unwrap_or(Uuid::from_u64_pair(0, seq)),
        time: get(header::TIME)
            .and_then(|time| DateTime::parse_from_rfc3339(time).ok())
            .map_or(stored, |time| time.to_utc()),
        actor: get(header::ACTOR).map(str::to_owned),
        command_id: uuid(header::COMMAND),
        session_id: uuid(header::SESSION),
        correlation_id: get(header::CORRELATION).map(str::to_owned),
        traceparent: get(header::TRACEPARENT).map(str::to_owned),
        digest: get(header::DIGEST).and_then(|digest| u64::from_str_radix(digest, 16).ok()),
        position: get(header::POSITION).and_then(|position| position.parse().ok()),
    };
    Some(Recorded { seq, partition: subject.partition, key: subject.key, meta, body })
}

/// What an event says, if it stands where such an event belongs. Whoever folds a stream relies on
/// that: each partition and each id is folded apart from all others.
fn placed(body: Body, subject: &EventSubject) -> Body {
    let Body::Known(event) = &body else { return body };
    let reason = if !subject.is_in_its_partition() {
        format!("it stands in partition {}, where its id does not belong", subject.partition)
    } else if !event.belongs_to(&subject.key) {
        format!("it is not about {} {}", subject.key.stream.name(), subject.key.id)
    } else {
        return body;
    };
    Body::Unreadable(Unreadable { name: event.event_type().name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use echolog_events::{
        Partition, PositionRecorded, Stream, StreamKey, SystemEvent, UserUnblocked, UsersEvent,
    };

    use super::*;

    fn unblocked(user: u128) -> Event {
        let (user_id, blocked_user_id) = (Uuid::from_u128(user), Uuid::from_u128(2));
        Event::Users(UsersEvent::UserUnblocked(UserUnblocked { user_id, blocked_user_id }))
    }

    fn is_read(subject: &EventSubject, event: &Event) -> bool {
        matches!(placed(Body::Known(event.clone()), subject), Body::Known(_))
    }

    #[test]
    fn an_event_is_read_only_where_it_belongs() {
        let subject = |stream| EventSubject::new("t", StreamKey::of(stream, Uuid::from_u128(1)));
        assert!(is_read(&subject(Stream::Block), &unblocked(1)));
        assert!(!is_read(&subject(Stream::Block), &unblocked(3)), "of somebody else");
        assert!(!is_read(&subject(Stream::User), &unblocked(1)), "another stream");
        let here = subject(Stream::Block);
        let other = Partition::all().find(|it| *it != here.partition).expect("sixteen");
        assert!(!is_read(&EventSubject { partition: other, ..here }, &unblocked(1)));
        let position = Event::System(SystemEvent::PositionRecorded(PositionRecorded {}));
        assert!(is_read(&EventSubject::owner("t", other), &position));
    }
}
