//! Table `auth.login_history`: every attempt.

use echolog_events::{LoginFailed, LoginSucceeded, Meta};

use crate::ids;
use crate::rows::Rows;

/// Of `login_history`.
pub(super) const COLUMNS: &str = "id uuid, user_id uuid, identifier text, identifier_type text,
    success boolean, failure_reason text, ip_address inet, user_agent text, device_id text,
    created_at timestamptz, updated_at timestamptz";

pub(super) fn succeeded(meta: &Meta, event: &LoginSucceeded, rows: &mut Rows) {
    rows.row(&[
        &ids::of_event(meta.event_id, 0),
        &event.user_id,
        &event.identifier,
        &event.identifier_type.name(),
        &true,
        &None::<&str>,
        &event.origin.ip_address,
        &event.origin.user_agent,
        &event.device_id,
        &meta.time,
        &meta.time,
    ]);
}

pub(super) fn failed(meta: &Meta, event: &LoginFailed, rows: &mut Rows) {
    rows.row(&[
        &ids::of_event(meta.event_id, 0),
        &event.user_id,
        &event.identifier,
        &event.identifier_type.name(),
        &false,
        &event.reason.name(),
        &event.origin.ip_address,
        &event.origin.user_agent,
        &event.device_id,
        &meta.time,
        &meta.time,
    ]);
}
