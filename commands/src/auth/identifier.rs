//! The names that people give.

use super::NameType;
use crate::fields::{Email, PhoneNumber, Username};

/// What kind of name it is.
pub(super) fn kind(text: &str) -> NameType {
    if text.contains('@') {
        NameType::Email
    } else if text.starts_with('+') {
        NameType::Phone
    } else {
        NameType::Username
    }
}

/// A name as an account would have claimed it; `None` if no account can have it.
pub(super) fn canonical(text: &str, kind: NameType) -> Option<String> {
    let text = text.to_owned();
    match kind {
        NameType::Email => Email::try_from(text).ok().map(Email::into_string),
        NameType::Phone => PhoneNumber::try_from(text).ok().map(PhoneNumber::into_string),
        NameType::Username => Username::try_from(text).ok().map(|it| it.canonical()),
    }
}

/// The same, of a name whose kind was given or shows.
pub(super) fn typed(text: &str, kind_given: Option<NameType>) -> Option<(NameType, String)> {
    let kind = kind_given.unwrap_or_else(|| kind(text));
    Some((kind, canonical(text, kind)?))
}
