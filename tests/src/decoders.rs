//! Everything that reads bytes from outside, each with what has to hold whatever the bytes are. A
//! function panics where it does not; `fuzz/` looks for bytes that make it.

use std::borrow::Cow;

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use echolog::handler;
use echolog_commands::{
    Actor, COMMANDS, Command, CommandType, ContentType, ErrorCode, MAX_BODY, Outcome, Rejection,
    State, fields,
};
use echolog_events::{
    Body, CommandPosition, Event, EventSubject, EventType, Partition, Recorded, Stream, Time,
};
use echolog_nats::codec::{self, Headers};
use echolog_nats::{CommandSubject, Delivery, IncomingHeaders, Place};

/// A decoder by the name of its fuzz target and of the directory of its corpus.
pub type Decoder = (&'static str, fn(&[u8]));

/// Every decoder.
pub const DECODERS: &[Decoder] = &[
    ("command_json", command_json),
    ("command_msgpack", command_msgpack),
    ("command_message", command_message),
    ("event", event),
    ("event_message", event_message),
    ("header", header),
    ("outcome", outcome),
    ("state", state),
    ("subject", subject),
];

/// A command's body in JSON, behind a line that says which command.
pub fn command_json(data: &[u8]) {
    command(ContentType::Json, data);
}

/// A command's body in MessagePack, behind a line that says which command.
pub fn command_msgpack(data: &[u8]) {
    command(ContentType::MessagePack, data);
}

fn command(encoding: ContentType, data: &[u8]) {
    let (line, body) = first_line(data);
    let known = line.split_once('.').and_then(|(domain, name)| CommandType::find(domain, name));
    // Any line will do, so that few inputs are worth nothing.
    let command_type = known.unwrap_or_else(|| COMMANDS[line.len() % COMMANDS.len()]);
    match Command::decode(command_type, encoding, body) {
        // The request path hands it on in our own spelling.
        Ok(command) => {
            let encoded = command.encode();
            // A number may take more room there than in JSON.
            if encoded.len() <= MAX_BODY {
                let again = Command::decode(command_type, ContentType::MessagePack, &encoded);
                assert_eq!(again.map(|it| it.digest()), Ok(command.digest()));
            }
        }
        Err(rejection) => is_about_the_input(&rejection),
    }
}

/// A command with its subject and headers, up to where states are needed.
pub fn command_message(data: &[u8]) {
    let Message { subject, headers, body } = Message::read(data);
    let delivery = Delivery {
        partition: CommandSubject::parse(&subject)
            .map_or_else(|| Partition::all().next().expect("sixteen"), |it| it.partition()),
        run: 1,
        position: CommandPosition { sequence: 1, nanoseconds: 1_795_238_171_345_842_070 },
        again: false,
        subject,
        headers: IncomingHeaders::new(Some(headers)),
        body: body.to_vec().into(),
    };
    if let Some(Err(refusal)) = handler::admit(delivery) {
        for encoding in [ContentType::MessagePack, ContentType::Json] {
            let read = encoding.decode_outcome(&encoding.encode(&refusal));
            assert_eq!(read.as_ref(), Ok(&refusal));
        }
        let error = refusal.error.expect("a refusal says why");
        is_about_the_input(&Rejection {
            code: error.code,
            message: error.message,
            field: error.field,
            data: refusal.data,
            events: Box::default(),
        });
    }
}

/// An event's payload, behind a line with its name and version: `{name}.v{version}`.
pub fn event(data: &[u8]) {
    let (line, payload) = first_line(data);
    let (name, version) = line.rsplit_once(".v").unwrap_or((&line, ""));
    let Ok(schema) = version.parse() else { return };
    match Event::decode(name, schema, payload) {
        Body::Known(event) => {
            let EventType { name, schema } = event.event_type();
            let again = Event::decode(name, schema, &event.encode());
            assert_eq!(again, Body::Known(event));
        }
        Body::Unreadable(unreadable) => assert!(!unreadable.reason.is_empty()),
    }
}

/// An event with its subject and headers.
pub fn event_message(data: &[u8]) {
    let Message { subject, headers, body } = Message::read(data);
    let read = |headers: &HeaderMap, body: &[u8]| {
        codec::recorded(&subject, &Headers::of(Some(headers)), body, 7, Time::default())
    };
    // What is not ours, time in nanoseconds say, may be lost once, and never again.
    let write = |recorded: &Recorded| match &recorded.body {
        Body::Known(event) => read(&codec::headers("main", event, &recorded.meta), &event.encode()),
        Body::Unreadable(unreadable) => {
            assert!(!unreadable.reason.is_empty());
            Some(recorded.clone())
        }
    };
    let Some(recorded) = read(&headers, body) else { return };
    let ours = write(&recorded).expect("the subject is an event's");
    assert_eq!(ours.body, recorded.body);
    assert_eq!(write(&ours), Some(ours));
}

/// The value of a header, or a token of a subject.
pub fn header(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(actor) = Actor::parse(text) {
        assert_eq!(actor.to_string(), text);
    }
    if let Ok(id) = fields::parse_id(text) {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(position) = text.parse::<CommandPosition>() {
        assert_eq!(position.to_string().parse(), Ok(position));
    }
    match ContentType::parse(Some(text)) {
        Ok(content_type) => {
            assert_eq!(ContentType::parse(Some(content_type.name())), Ok(content_type));
        }
        Err(rejection) => is_about_the_input(&rejection),
    }
}

/// An outcome, in either encoding.
pub fn outcome(data: &[u8]) {
    for encoding in [ContentType::MessagePack, ContentType::Json] {
        match encoding.decode_outcome(data) {
            Ok(outcome) => {
                let again: Result<Outcome, _> = encoding.decode_outcome(&encoding.encode(&outcome));
                assert_eq!(again, Ok(outcome));
            }
            Err(rejection) => is_about_the_input(&rejection),
        }
    }
}

/// A state as PostgreSQL keeps it, behind a line with its kind of stream.
pub fn state(data: &[u8]) {
    let (line, bytes) = first_line(data);
    let Some(stream) = Stream::ALL.into_iter().find(|stream| stream.name() == line) else {
        return;
    };
    if let Ok(state) = State::from_bytes(stream, bytes) {
        let kept = state.to_bytes().expect("what was kept is kept again");
        assert_eq!(State::from_bytes(stream, &kept).expect("our own bytes"), state);
    }
}

/// A subject: of an event, of a command, or of the broker's for an acknowledgement.
pub fn subject(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(subject) = text.parse::<EventSubject>() {
        assert_eq!(subject.to_string(), text);
    }
    if let Some(subject) = CommandSubject::parse(text) {
        let CommandSubject { actor, domain, command, target } = &subject;
        let last = format!("{actor}.{domain}.{command}.{target}");
        assert!(text.ends_with(&last));
        assert_eq!(CommandSubject::parse(&last), Some(subject));
    }
    if let Some(place) = Place::parse(text) {
        let Place { position, consumer_sequence } = place;
        let plain = format!(
            "$JS.ACK.s.c.1.{}.{consumer_sequence}.{}.0",
            position.sequence, position.nanoseconds
        );
        assert_eq!(Place::parse(&plain), Some(place));
    }
}

/// A no that blames the input, in a sentence, and repeats no more than a little of it.
fn is_about_the_input(rejection: &Rejection) {
    let Rejection { code, message, field, .. } = rejection;
    assert!(matches!(code, ErrorCode::Invalid | ErrorCode::TooLarge), "{rejection:?}");
    assert!(message.ends_with('.') && is_short(message), "{rejection:?}");
    assert!(field.as_deref().is_none_or(is_short), "{rejection:?}");
}

fn is_short(text: &str) -> bool {
    text.chars().count() < 500
}

/// A message as text: its subject, a line for each header, an empty line, its body.
struct Message<'a> {
    subject: String,
    headers: HeaderMap,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    fn read(data: &'a [u8]) -> Self {
        let (subject, mut rest) = first_line(data);
        let mut headers = HeaderMap::new();
        loop {
            let (line, next) = first_line(rest);
            rest = next;
            if line.is_empty() {
                return Self { subject: subject.into_owned(), headers, body: rest };
            }
            let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
            {
                headers.append(name, value);
            }
        }
    }
}

fn first_line(data: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (line, rest) = end.map_or((data, &[][..]), |end| (&data[..end], &data[end + 1..]));
    (String::from_utf8_lossy(line), rest)
}
