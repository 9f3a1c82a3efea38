//! Times in JSON.

use echolog_events::Time;
use serde_json::Value;

/// A time as JSON has it: RFC 3339 with microseconds.
pub(crate) fn json(time: Time) -> Value {
    Value::String(time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}
