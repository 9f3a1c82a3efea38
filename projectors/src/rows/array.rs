//! Rows turned into one array per column.

use bytes::{Buf, BufMut};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

use super::Kind;

/// A column as a parameter: PostgreSQL's binary form of an array, whose elements have the very
/// form that fields of a `COPY` have.
#[derive(Debug)]
pub(super) struct Array {
    kind: Kind,
    count: i32,
    cells: Vec<u8>,
}

/// The columns of rows, as [`super::Rows`] has them: per row the number of fields, per field its
/// length and bytes.
pub(super) fn arrays(mut rows: &[u8], count: i32, kinds: &[Kind]) -> Vec<Array> {
    let mut columns: Vec<Array> =
        kinds.iter().map(|kind| Array { kind: *kind, count, cells: Vec::new() }).collect();
    while rows.has_remaining() {
        let fields = rows.get_i16();
        debug_assert_eq!(
            usize::from(fields.cast_unsigned()),
            kinds.len(),
            "a row of another table"
        );
        for column in &mut columns {
            let length = rows.get_i32();
            let (cell, rest) = rows.split_at(usize::try_from(length).unwrap_or(0));
            column.put(length, cell);
            rows = rest;
        }
    }
    columns
}

impl Array {
    fn put(&mut self, length: i32, cell: &[u8]) {
        if self.kind == Kind::TextArray && length >= 0 {
            let literal = literal(cell);
            self.cells.put_i32(literal.len() as i32);
            self.cells.put_slice(&literal);
        } else {
            self.cells.put_i32(length);
            self.cells.put_slice(cell);
        }
    }
}

impl Type<Postgres> for Array {
    fn type_info() -> PgTypeInfo {
        // Never asked for: every value says by itself what it is.
        PgTypeInfo::with_name("unknown")
    }
}

impl Encode<'_, Postgres> for Array {
    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.kind.oids().1)))
    }

    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.put_i32(1); // dimensions
        buffer.put_i32(1); // there may be NULLs
        buffer.put_u32(self.kind.oids().0);
        buffer.put_i32(self.count);
        buffer.put_i32(1); // the first index
        buffer.put_slice(&self.cells);
        Ok(IsNull::No)
    }
}

/// A binary `text[]` as a literal, `{"a","b"}`.
fn literal(mut array: &[u8]) -> Vec<u8> {
    let mut literal = vec![b'{'];
    // Dimensions, flags, element type, length and first index; the fields of this crate always
    // write one dimension, without NULLs.
    array.advance(20);
    while array.has_remaining() {
        let length = usize::try_from(array.get_i32()).unwrap_or(0);
        let (element, rest) = array.split_at(length);
        if literal.len() > 1 {
            literal.push(b',');
        }
        literal.push(b'"');
        for byte in element {
            if matches!(byte, b'"' | b'\\') {
                literal.push(b'\\');
            }
            literal.push(*byte);
        }
        literal.push(b'"');
        array = rest;
    }
    literal.push(b'}');
    literal
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::Field;
    use super::*;

    #[test]
    fn arrays_become_literals() {
        let mut bytes = BytesMut::new();
        vec!["a".to_owned(), r#"b"\,{"#.to_owned()].put(&mut bytes);
        assert_eq!(literal(&bytes[4..]), br#"{"a","b\"\\,{"}"#);
        bytes.clear();
        Vec::<String>::new().put(&mut bytes);
        assert_eq!(literal(&bytes[4..]), b"{}");
    }
}
