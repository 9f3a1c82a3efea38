//! From every version ever written to the current one.
//!
//! An upcaster is a function from the stored bytes of version *n* to those of version *n + 1*.
//! There is none yet: every event is still at version 1. The first one goes into [`to_current`] as
//! a `match` on the event's name and version, beside a golden file of the old version.

use std::borrow::Cow;

use crate::EventType;

/// The payload in the current version of its type.
///
/// # Errors
/// A version that this build does not know, in words.
pub fn to_current<'a>(name: &str, schema: u16, payload: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
    match EventType::find(name) {
        Some(current) if schema != current.schema => {
            Err(format!("schema version {schema}; this build reads {}", current.schema))
        }
        Some(_) | None => Ok(Cow::Borrowed(payload)),
    }
}
