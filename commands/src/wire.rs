//! Bodies of commands and outcomes: MessagePack or JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fields::TOO_LARGE;
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
        match media {
            None | Some("application/msgpack") => Ok(Self::MessagePack),
            Some("application/json") => Ok(Self::Json),
            Some(_) => Err(Rejection::invalid(
                "Content-Type",
                "The content type is `application/msgpack` or `application/json`.",
            )),
        }
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
        match self {
            Self::MessagePack => {
                let body = if body.is_empty() { &[0x80] } else { body };
                // A sequence would be taken for a map by the order of its fields.
                if !matches!(body[0], 0x80..=0x8f | 0xde | 0xdf) {
                    return Err(no_map());
                }
                let mut read = body;
                let mut deserializer =
                    rmp_serde::Deserializer::new(&mut read).with_human_readable();
                let value = serde_path_to_error::deserialize(&mut deserializer)
                    .map_err(|error| rejection(error.path(), &error.inner().to_string()))?;
                if read.is_empty() { Ok(value) } else { Err(trailing()) }
            }
            Self::Json => {
                let text = if body.is_empty() { b"{}" } else { body };
                if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
                    return Err(no_map());
                }
                let mut deserializer = serde_json::Deserializer::from_slice(text);
                let value = serde_path_to_error::deserialize(&mut deserializer)
                    .map_err(|error| rejection(error.path(), &error.inner().to_string()))?;
                deserializer.end().map_err(|_| trailing())?;
                Ok(value)
            }
        }
    }
}

fn no_map() -> Rejection {
    Rejection::invalid("", "The body is no map with named fields.")
}

fn trailing() -> Rejection {
    Rejection::invalid("", "Something follows the body's map.")
}

/// What a decoder says, as a rejection about a field.
fn rejection(path: &serde_path_to_error::Path, message: &str) -> Rejection {
    let path = path.to_string();
    let field = if path == "." || path.contains('?') { "" } else { path.as_str() };
    match message.find(TOO_LARGE) {
        Some(at) => Rejection::too_large(field, sentence(&message[at + TOO_LARGE.len()..])),
        None => Rejection::invalid(field, sentence(message)),
    }
}

/// Takes what a decoder adds (its place in the text) off and ends with a full stop.
fn sentence(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let message: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
    if message.ends_with('.') { message } else { format!("{message}.") }
}
