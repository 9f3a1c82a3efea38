//! Values in PostgreSQL's binary form.

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use echolog_events::Time;
use uuid::Uuid;

/// 2000-01-01, from which PostgreSQL counts, in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;

/// The type of the elements in an array of text.
const TEXT_OID: i32 = 25;

/// A value as a binary `COPY` has it, and an array: its length and its bytes.
///
/// The Rust type has to be that of the column: an `i64` for a `bigint`, never for an `integer`.
pub(crate) trait Field: Sync {
    /// Appends it.
    fn put(&self, out: &mut BytesMut);
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(bytes.len() as i32);
    out.put_slice(bytes);
}

impl Field for Uuid {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, self.as_bytes());
    }
}

impl Field for bool {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &[u8::from(*self)]);
    }
}

impl Field for i16 {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.to_be_bytes());
    }
}

impl Field for i32 {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.to_be_bytes());
    }
}

impl Field for i64 {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &self.to_be_bytes());
    }
}

impl Field for &str {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, self.as_bytes());
    }
}

impl Field for String {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, self.as_bytes());
    }
}

impl Field for Time {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, &(self.timestamp_micros() - EPOCH).to_be_bytes());
    }
}

/// A `bytea`.
impl Field for Vec<u8> {
    fn put(&self, out: &mut BytesMut) {
        put_bytes(out, self);
    }
}

/// A `text[]`.
impl Field for Vec<String> {
    fn put(&self, out: &mut BytesMut) {
        let length = 20 + self.iter().map(|text| 4 + text.len()).sum::<usize>();
        out.put_i32(length as i32);
        out.put_i32(1); // dimensions
        out.put_i32(0); // no NULLs
        out.put_i32(TEXT_OID);
        out.put_i32(self.len() as i32);
        out.put_i32(1); // the first index
        for text in self {
            text.put(out);
        }
    }
}

/// A `jsonb`.
impl Field for serde_json::Value {
    fn put(&self, out: &mut BytesMut) {
        Json(&self.to_string()).put(out);
    }
}

/// A `jsonb`, written already.
pub(crate) struct Json<'a>(pub(crate) &'a str);

impl Field for Json<'_> {
    fn put(&self, out: &mut BytesMut) {
        out.put_i32(self.0.len() as i32 + 1);
        out.put_u8(1); // version of the format
        out.put_slice(self.0.as_bytes());
    }
}

/// An `inet` without a mask.
impl Field for IpAddr {
    fn put(&self, out: &mut BytesMut) {
        // Family, bits of the mask, no network, length. The families are PostgreSQL's own.
        match self {
            Self::V4(address) => {
                out.put_i32(8);
                out.put_slice(&[2, 32, 0, 4]);
                out.put_slice(&address.octets());
            }
            Self::V6(address) => {
                out.put_i32(20);
                out.put_slice(&[3, 128, 0, 16]);
                out.put_slice(&address.octets());
            }
        }
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Some(value) => value.put(out),
            None => out.put_i32(-1),
        }
    }
}
