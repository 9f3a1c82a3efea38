//! Tables `audit.admin_actions` and `audit.sensitive_data_access`: what was done about the accounts of
//! others, and who looked at what is nobody's business.

use echolog_events::{
    AdminActionRecorded, AuditEvent, Body, Event, Meta, Recorded, SensitiveDataAccessed,
};
use serde_json::Value;

use crate::ids;
use crate::rows::Rows;

/// Of `admin_actions`.
pub(super) const ACTIONS: &str = "id uuid, admin_user_id uuid, actor text, action text,
    resource_type text, resource_id uuid, target_user_id uuid, details jsonb, reason text,
    ip_address inet, created_at timestamptz, updated_at timestamptz";

/// Of `sensitive_data_access`.
pub(super) const LOOKS: &str = "id uuid, user_id uuid, actor text, subject_user_id uuid,
    data_type text, resource_type text, resource_id uuid, access_type text, purpose text,
    session_id uuid, ip_address inet, created_at timestamptz, updated_at timestamptz";

/// Adds an event, if it is one of these.
pub(super) fn put(event: &Recorded, actions: &mut Rows, looks: &mut Rows) {
    let Body::Known(Event::Audit(known)) = &event.body else { return };
    match known {
        AuditEvent::AdminActionRecorded(e) => acted(&event.meta, e, actions),
        AuditEvent::SensitiveDataAccessed(e) => looked(&event.meta, e, looks),
    }
}

fn looked(meta: &Meta, e: &SensitiveDataAccessed, rows: &mut Rows) {
    rows.row(&[
        &ids::of_event(meta.event_id, 0),
        &e.by_user_id,
        &meta.actor,
        &e.user_id,
        &e.data_type,
        &"user",
        &e.user_id,
        &e.access_type.name(),
        &e.purpose,
        &meta.session_id,
        &e.ip_address,
        &meta.time,
        &meta.time,
    ]);
}

fn acted(meta: &Meta, e: &AdminActionRecorded, rows: &mut Rows) {
    rows.row(&[
        &ids::of_event(meta.event_id, 0),
        &e.admin_user_id,
        &meta.actor,
        &e.action.name(),
        &"user",
        &e.user_id,
        &e.user_id,
        &Value::Object(e.details.clone()),
        &e.reason,
        &e.ip_address,
        &meta.time,
        &meta.time,
    ]);
}
