//! Commands that are for the audit alone.

mod record_sensitive_access;

pub use record_sensitive_access::RecordSensitiveAccess;
