//! Bodies of commands and outcomes: MessagePack or JSON.

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer};
use serde_json::{Map, Value};

use crate::fields::TOO_LARGE;
use crate::tree::Fields;
use crate::{Outcome, Rejection};

/// The most bytes that a command's body may have.
pub const MAX_BODY: usize = 64 * 1024;

/// The encoding of a command and of its outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentType {
    /// `application/msgpack`.
    #[default]
    MessagePack,
    /// `application/json`.
    Json,
}

impl ContentType {
    /// Reads the header `Content-Type`; MessagePack without one.
    ///
    /// # Errors
    /// `invalid` for anything else.
    pub fn parse(header: Option<&str>) -> Result<Self, Rejection> {
        let media = header.map(|header| header.split(';').next().unwrap_or_default().trim());
        let Some(media) = media else { return Ok(Self::default()) };
        [Self::MessagePack, Self::Json]
            .into_iter()
            .find(|known| media.eq_ignore_ascii_case(known.name()))
            .ok_or_else(|| {
                let message = "The content type is `application/msgpack` or `application/json`.";
                Rejection::invalid("Content-Type", message)
            })
    }

    /// The media type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MessagePack => "application/msgpack",
            Self::Json => "application/json",
        }
    }

    /// Writes a value with named fields.
    #[must_use]
    pub fn encode<T: Serialize>(self, value: &T) -> Vec<u8> {
        match self {
            Self::MessagePack => {
                let mut bytes = Vec::with_capacity(128);
                let mut serializer =
                    rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
                value
                    .serialize(&mut serializer)
                    .expect("the value has nothing that MessagePack lacks");
                bytes
            }
            Self::Json => serde_json::to_vec(value).expect("the value has nothing that JSON lacks"),
        }
    }

    /// Reads an outcome.
    ///
    /// # Errors
    /// Anything that is none.
    pub fn decode_outcome(self, body: &[u8]) -> Result<Outcome, Rejection> {
        self.decode(body)
    }

    /// Reads a map with named fields. Nothing at all stands for an empty map.
    ///
    /// # Errors
    /// `too_large`, or `invalid` with the field that is wrong.
    pub fn decode<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, Rejection> {
        if body.len() > MAX_BODY {
            let message = format!("The body has {} bytes; at most {MAX_BODY} fit.", body.len());
            return Err(Rejection::too_large("", message));
        }
        let fields = self.fields(body)?;
        serde_path_to_error::deserialize(Value::Object(fields))
            .map_err(|error| rejection(error.path(), &error.inner().to_string()))
    }

    fn fields(self, body: &[u8]) -> Result<Map<String, Value>, Rejection> {
        if body.is_empty() {
            return Ok(Map::new());
        }
        match self {
            Self::MessagePack => {
                let mut rest = body;
                let mut deserializer =
                    rmp_serde::Deserializer::new(&mut rest).with_human_readable();
                let fields = tracked(&mut deserializer)?;
                if rest.is_empty() { Ok(fields) } else { Err(trailing()) }
            }
            Self::Json => {
                let mut deserializer = serde_json::Deserializer::from_slice(body);
                let fields = tracked(&mut deserializer)?;
                deserializer.end().map_err(|_| trailing())?;
                Ok(fields)
            }
        }
    }
}

/// Reads the body's map; an error knows its place.
fn tracked<'de, D>(deserializer: D) -> Result<Map<String, Value>, Rejection>
where
    D: Deserializer<'de, Error: std::fmt::Display>,
{
    let mut track = serde_path_to_error::Track::new();
    Fields
        .deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track))
        .map_err(|error| rejection(&track.path(), &error.to_string()))
}

fn trailing() -> Rejection {
    Rejection::invalid("", "Something follows the body's map.")
}

/// What a decoder says, as a rejection about a field.
fn rejection(path: &serde_path_to_error::Path, message: &str) -> Rejection {
    let path = path.to_string();
    let path = if path == "." || path.contains('?') { "" } else { path.as_str() };
    if let Some(message) = message.strip_prefix(TOO_LARGE) {
        return Rejection::too_large(&excerpt(path), sentence(message));
    }
    // For a field that is missing or doubled, the decoder's place is the map around it.
    let named = ["missing field `", "duplicate field `"]
        .into_iter()
        .find_map(|prefix| message.strip_prefix(prefix)?.split('`').next());
    let field = match named {
        Some(name) if path.is_empty() => name.to_owned(),
        Some(name) => format!("{path}.{name}"),
        None => path.to_owned(),
    };
    Rejection::invalid(&excerpt(&field), sentence(message))
}

/// Takes what a decoder adds (its place in the text) off and ends with a full stop.
fn sentence(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let message = excerpt(message);
    if message.ends_with('.') { message } else { format!("{message}.") }
}

/// As much of a client's own words as an answer repeats.
fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use crate::messages::{ChangeRole, CreateConversation, MarkRead, SendMessage};
    use serde_json::json;

    const ID: &str = "0192f3c4-aaaa-7bbb-8ccc-000000000010";

    #[test]
    fn content_types() {
        for (header, expected) in [
            (None, ContentType::MessagePack),
            (Some("application/msgpack"), ContentType::MessagePack),
            (Some("application/json"), ContentType::Json),
            (Some("Application/JSON; charset=utf-8"), ContentType::Json),
        ] {
            assert_eq!(ContentType::parse(header), Ok(expected));
        }
        for header in ["", "text/plain", "application/jsonp"] {
            let rejection = ContentType::parse(Some(header)).expect_err("another type");
            assert_eq!(rejection.field.as_deref(), Some("Content-Type"));
        }
    }

    #[test]
    fn an_error_names_its_field() {
        let field = |body: Value| {
            let bytes = ContentType::Json.encode(&body);
            ContentType::Json.decode::<SendMessage>(&bytes).expect_err("a bad body").field
        };
        assert_eq!(field(json!({})).as_deref(), Some("message_id"));
        assert_eq!(field(json!({ "message_id": ID, "nope": 1 })).as_deref(), Some("nope"));
        let mentions = json!({ "message_id": ID, "mentions": [ID, "x"] });
        assert_eq!(field(mentions).as_deref(), Some("mentions[1]"));
        let twice = format!(r#"{{"message_id":"{ID}","metadata":{{"a":1,"a":2}}}}"#);
        let rejection = ContentType::Json
            .decode::<SendMessage>(twice.as_bytes())
            .expect_err("a name that comes twice");
        assert_eq!(rejection.field.as_deref(), Some("metadata.a"));
    }

    #[test]
    fn an_answer_repeats_a_little_of_the_body() {
        let name = "n".repeat(20_000);
        let metadata = format!(r#"{{"message_id":"{ID}","metadata":{{"{name}":1,"{name}":2}}}}"#);
        for body in [format!(r#"{{"{name}":1}}"#), metadata] {
            let rejection = ContentType::Json
                .decode::<SendMessage>(body.as_bytes())
                .expect_err("an unknown field, a name that comes twice");
            assert!(rejection.message.len() < 400, "{}", rejection.message.len());
            assert!(rejection.field.is_some_and(|field| field.len() == 300));
        }
    }

    #[test]
    fn fields_and_values_have_names_and_no_numbers() {
        let by_place = [b"\x81\x00\xd9\x24", ID.as_bytes()].concat();
        ContentType::MessagePack.decode::<MarkRead>(&by_place).expect_err("field number 0");
        let by_place = [b"\x82\xa7user_id\xd9\x24", ID.as_bytes(), b"\xa4role\x03"].concat();
        ContentType::MessagePack.decode::<ChangeRole>(&by_place).expect_err("role number 3");
    }

    #[test]
    fn numbers_are_finite() {
        let start = [b"\x82\xaamessage_id\xd9\x24", ID.as_bytes(), b"\xa8metadata\x81\xa1a"];
        let nan = [start.concat(), b"\xcb\x7f\xf8\0\0\0\0\0\0".to_vec()].concat();
        let rejection =
            ContentType::MessagePack.decode::<SendMessage>(&nan).expect_err("not a number");
        assert_eq!(rejection.field.as_deref(), Some("metadata.a"));
    }

    #[test]
    fn nobody_but_us_says_too_large() {
        let body = json!({ "conversation_type": format!("{TOO_LARGE}a lie") });
        let rejection = ContentType::Json
            .decode::<CreateConversation>(&ContentType::Json.encode(&body))
            .expect_err("no such type");
        assert_eq!(rejection.code, ErrorCode::Invalid);
    }
}
