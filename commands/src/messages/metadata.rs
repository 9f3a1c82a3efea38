//! What belongs to a message of each type: one table.

use echolog_events::MessageType;
use serde_json::Value;

use crate::Rejection;
use crate::fields::{Email, Id, Metadata, PhoneNumber, Url};

/// What a field of a message's metadata has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text of at most this many characters.
    Text(usize),
    /// An http or https address.
    Url,
    /// An e-mail address.
    Email,
    /// A phone number in E.164.
    PhoneNumber,
    /// A UUID.
    Id,
    /// A whole number from 0 on.
    Count,
    /// A number from 0 on.
    Amount,
    /// A number between these two.
    Between(i64, i64),
    /// True or false.
    Flag,
    /// So many texts of at most 200 characters, from a least to a most.
    Texts(usize, usize),
    /// A point in time in RFC 3339.
    Time,
}

/// What belongs to a message of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRule {
    /// The type.
    pub message_type: MessageType,
    /// Whether it needs a text in `content`.
    pub needs_content: bool,
    /// The fields of its metadata: name, kind, and whether it has to be there.
    pub fields: &'static [(&'static str, Kind, bool)],
}

const MUST: bool = true;
const MAY: bool = false;

/// Every type that a client can send.
pub const MESSAGE_TYPES: &[MessageRule] = &[
    MessageRule { message_type: MessageType::Text, needs_content: true, fields: &[] },
    MessageRule {
        message_type: MessageType::Image,
        needs_content: false,
        fields: &[
            ("file_url", Kind::Url, MUST),
            ("thumbnail_url", Kind::Url, MAY),
            ("file_name", Kind::Text(255), MAY),
            ("mime_type", Kind::Text(100), MAY),
            ("size", Kind::Count, MAY),
            ("width", Kind::Count, MAY),
            ("height", Kind::Count, MAY),
            ("caption", Kind::Text(1000), MAY),
        ],
    },
    MessageRule {
        message_type: MessageType::Video,
        needs_content: false,
        fields: &[
            ("file_url", Kind::Url, MUST),
            ("thumbnail_url", Kind::Url, MAY),
            ("file_name", Kind::Text(255), MAY),
            ("mime_type", Kind::Text(100), MAY),
            ("size", Kind::Count, MAY),
            ("width", Kind::Count, MAY),
            ("height", Kind::Count, MAY),
            ("duration", Kind::Amount, MAY),
            ("caption", Kind::Text(1000), MAY),
        ],
    },
    MessageRule {
        message_type: MessageType::Audio,
        needs_content: false,
        fields: &[
            ("file_url", Kind::Url, MUST),
            ("file_name", Kind::Text(255), MAY),
            ("mime_type", Kind::Text(100), MAY),
            ("size", Kind::Count, MAY),
            ("duration", Kind::Amount, MAY),
            ("caption", Kind::Text(1000), MAY),
        ],
    },
    MessageRule {
        message_type: MessageType::Document,
        needs_content: false,
        fields: &[
            ("file_url", Kind::Url, MUST),
            ("file_name", Kind::Text(255), MUST),
            ("thumbnail_url", Kind::Url, MAY),
            ("mime_type", Kind::Text(100), MAY),
            ("size", Kind::Count, MAY),
            ("page_count", Kind::Count, MAY),
            ("caption", Kind::Text(1000), MAY),
        ],
    },
    MessageRule {
        message_type: MessageType::Location,
        needs_content: false,
        fields: &[
            ("latitude", Kind::Between(-90, 90), MUST),
            ("longitude", Kind::Between(-180, 180), MUST),
            ("accuracy", Kind::Amount, MAY),
            ("name", Kind::Text(255), MAY),
            ("address", Kind::Text(500), MAY),
        ],
    },
    MessageRule {
        message_type: MessageType::Contact,
        needs_content: false,
        fields: &[
            ("name", Kind::Text(100), MUST),
            ("phone_number", Kind::PhoneNumber, MAY),
            ("email", Kind::Email, MAY),
            ("user_id", Kind::Id, MAY),
        ],
    },
    MessageRule {
        message_type: MessageType::Sticker,
        needs_content: false,
        fields: &[
            ("sticker_id", Kind::Text(100), MUST),
            ("pack_id", Kind::Text(100), MAY),
            ("file_url", Kind::Url, MAY),
            ("emoji", Kind::Text(64), MAY),
        ],
    },
    MessageRule {
        message_type: MessageType::Poll,
        needs_content: false,
        fields: &[
            ("question", Kind::Text(300), MUST),
            ("options", Kind::Texts(2, 12), MUST),
            ("multiple_choice", Kind::Flag, MAY),
            ("anonymous", Kind::Flag, MAY),
            ("closes_at", Kind::Time, MAY),
        ],
    },
];

/// Whether a message of this type may be put differently.
pub(super) fn is_editable(message_type: MessageType) -> bool {
    rule(message_type).is_some_and(|rule| rule.needs_content)
}

fn rule(message_type: MessageType) -> Option<&'static MessageRule> {
    MESSAGE_TYPES.iter().find(|rule| rule.message_type == message_type)
}

/// Checks what belongs to a message.
///
/// # Errors
/// `invalid`, with the field.
pub(super) fn check(
    message_type: MessageType,
    content: &str,
    metadata: &Metadata,
) -> Result<(), Rejection> {
    let name = message_type.name();
    let Some(rule) = rule(message_type) else {
        let message = format!("No client sends a message of the type `{name}`.");
        return Err(Rejection::invalid("message_type", message));
    };
    if rule.needs_content && content.trim().is_empty() {
        let message = format!("A message of the type `{name}` needs a text.");
        return Err(Rejection::invalid("content", message));
    }
    for (field, kind, must) in rule.fields {
        let wrong = |message: String| Rejection::invalid(&format!("metadata.{field}"), message);
        match metadata.as_map().get(*field) {
            Some(value) if kind.fits(value) => {}
            Some(_) => return Err(wrong(format!("This is not {kind}."))),
            None if *must => return Err(wrong(format!("A `{name}` needs {kind} here."))),
            None => {}
        }
    }
    for field in metadata.as_map().keys() {
        if !rule.fields.iter().any(|(known, ..)| known == field) {
            let message = format!("A message of the type `{name}` has no such field.");
            let shown: String = field.chars().take(100).collect();
            return Err(Rejection::invalid(&format!("metadata.{shown}"), message));
        }
    }
    Ok(())
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        let text =
            |check: fn(String) -> bool| value.as_str().is_some_and(|it| check(it.to_owned()));
        match self {
            Self::Text(max) => value
                .as_str()
                .is_some_and(|text| !text.trim().is_empty() && text.chars().count() <= max),
            Self::Url => text(|text| Url::try_from(text).is_ok()),
            Self::Email => text(|text| Email::try_from(text).is_ok()),
            Self::PhoneNumber => text(|text| PhoneNumber::try_from(text).is_ok()),
            Self::Id => serde_json::from_value::<Id>(value.clone()).is_ok(),
            Self::Count => value.as_u64().is_some_and(|number| number <= i64::MAX as u64),
            Self::Amount => value.as_f64().is_some_and(|number| (0.0..1e15).contains(&number)),
            Self::Between(min, max) => {
                value.as_f64().is_some_and(|number| (min as f64..=max as f64).contains(&number))
            }
            Self::Flag => value.is_boolean(),
            Self::Texts(min, max) => value.as_array().is_some_and(|texts| {
                (min..=max).contains(&texts.len())
                    && texts.iter().all(|text| Self::Text(200).fits(text))
            }),
            Self::Time => text(|text| chrono::DateTime::parse_from_rfc3339(&text).is_ok()),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(max) => write!(f, "a text of 1 to {max} characters"),
            Self::Url => f.write_str("an http or https address"),
            Self::Email => f.write_str("an e-mail address"),
            Self::PhoneNumber => f.write_str("a phone number in E.164"),
            Self::Id => f.write_str("a UUID"),
            Self::Count => f.write_str("a whole number from 0 on"),
            Self::Amount => f.write_str("a number from 0 on"),
            Self::Between(min, max) => write!(f, "a number from {min} to {max}"),
            Self::Flag => f.write_str("true or false"),
            Self::Texts(min, max) => write!(f, "{min} to {max} texts of at most 200 characters"),
            Self::Time => f.write_str("a point in time in RFC 3339"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(value: Value) -> Metadata {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn every_type_but_system_has_a_rule() {
        for message_type in MessageType::ALL {
            let expected = *message_type != MessageType::System;
            assert_eq!(rule(*message_type).is_some(), expected, "{message_type:?}");
        }
    }

    #[test]
    fn fields_are_checked() {
        let place = |latitude: Value| metadata(json!({ "latitude": latitude, "longitude": 0 }));
        let check_place = |latitude| check(MessageType::Location, "", &place(latitude));
        assert!(check_place(json!(51.5)).is_ok());
        for wrong in [json!(91), json!("51"), json!(null)] {
            let error = check_place(wrong).expect_err("no latitude");
            assert_eq!(error.field.as_deref(), Some("metadata.latitude"));
        }
        let poll = |options: Value| metadata(json!({ "question": "?", "options": options }));
        assert!(check(MessageType::Poll, "", &poll(json!(["a", "b"]))).is_ok());
        assert!(check(MessageType::Poll, "", &poll(json!(["a"]))).is_err());
        assert!(check(MessageType::Image, "", &Metadata::default()).is_err());
        assert!(check(MessageType::Text, "x", &metadata(json!({ "a": 1 }))).is_err());
        assert!(check(MessageType::Text, " ", &Metadata::default()).is_err());
        assert!(check(MessageType::System, "x", &Metadata::default()).is_err());
    }
}
