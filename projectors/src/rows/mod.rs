//! New rows on their way into a table.
//!
//! Many of them go by binary `COPY`, which costs about half of an `INSERT` per row. Fewer go by one
//! `INSERT` from arrays, which costs one round trip instead of two. (And the second one is dear:
//! sqlx 0.9.0 does not set `TCP_NODELAY`, so the small packet that ends a `COPY` may wait 40 ms for
//! the acknowledgement of the one before.) Both take values in the same binary form.

mod array;
mod field;

use bytes::{BufMut, BytesMut};
use sqlx::PgConnection;

use self::array::arrays;
pub(crate) use self::field::{Field, Json};
use crate::Target;
use crate::sql::Sql;

/// How many bytes make a `COPY` the better choice, with those 40 ms.
const MANY: usize = 1024 * 1024;

/// Signature, flags and the length of the (empty) header extension of a binary `COPY`.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The types of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Boolean,
    Bytea,
    Bigint,
    Smallint,
    Integer,
    Text,
    Timestamptz,
    Uuid,
    Jsonb,
    Inet,
    /// An array of arrays would be taken apart altogether, so it travels as text.
    TextArray,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Boolean,
        Self::Bytea,
        Self::Bigint,
        Self::Smallint,
        Self::Integer,
        Self::Text,
        Self::Timestamptz,
        Self::Uuid,
        Self::Jsonb,
        Self::Inet,
        Self::TextArray,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Bytea => "bytea",
            Self::Bigint => "bigint",
            Self::Smallint => "smallint",
            Self::Integer => "integer",
            Self::Text => "text",
            Self::Timestamptz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Jsonb => "jsonb",
            Self::Inet => "inet",
            Self::TextArray => "text[]",
        }
    }

    /// The type's object id in every PostgreSQL, and that of an array of it.
    fn oids(self) -> (u32, u32) {
        match self {
            Self::Boolean => (16, 1000),
            Self::Bytea => (17, 1001),
            Self::Bigint => (20, 1016),
            Self::Smallint => (21, 1005),
            Self::Integer => (23, 1007),
            Self::Text | Self::TextArray => (25, 1009),
            Self::Timestamptz => (1184, 1185),
            Self::Uuid => (2950, 2951),
            Self::Jsonb => (3802, 3807),
            Self::Inet => (869, 1041),
        }
    }
}

/// A table that rows are put into: the statements for many and for a few.
#[derive(Debug)]
pub(crate) struct Table {
    copy: Sql,
    insert: Sql,
    kinds: Vec<Kind>,
}

impl Table {
    /// A table of a target, with the columns that rows will have: names and types, comma separated.
    ///
    /// # Panics
    /// A type that is not in [`Kind`]: a typing error in this crate.
    pub(crate) fn new(target: &Target, name: &str, columns: &str) -> Self {
        let table = format!("{}.{name}", target.schema());
        Self::named(&table, columns)
    }

    /// A table by its full name.
    pub(crate) fn named(table: &str, columns: &str) -> Self {
        let columns: Vec<(&str, Kind)> = columns.split(',').map(column).collect();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        let values: Vec<String> = columns.iter().map(|(name, kind)| value(name, *kind)).collect();
        let params: Vec<String> =
            (1..).zip(&columns).map(|(n, (_, kind))| param(n, *kind)).collect();
        let (values, params) = (values.join(", "), params.join(", "));
        Self {
            copy: Sql::new(format!("COPY {table} ({names}) FROM STDIN BINARY")),
            insert: Sql::new(format!(
                "INSERT INTO {table} ({names}) SELECT {values} FROM unnest({params}) AS d ({names})"
            )),
            kinds: columns.into_iter().map(|(_, kind)| kind).collect(),
        }
    }
}

fn column(column: &str) -> (&str, Kind) {
    let (name, kind) = column.trim().split_once(' ').unwrap_or((column, ""));
    let known = Kind::ALL.into_iter().find(|known| known.name() == kind.trim());
    (name, known.unwrap_or_else(|| panic!("column {name} is of an unknown type: {kind}")))
}

fn value(name: &str, kind: Kind) -> String {
    match kind {
        Kind::TextArray => format!("{name}::text[]"),
        Kind::Boolean
        | Kind::Bytea
        | Kind::Bigint
        | Kind::Smallint
        | Kind::Integer
        | Kind::Text
        | Kind::Timestamptz
        | Kind::Uuid
        | Kind::Jsonb
        | Kind::Inet => name.to_owned(),
    }
}

fn param(n: usize, kind: Kind) -> String {
    let kind = if kind == Kind::TextArray { Kind::Text } else { kind };
    format!("${n}::{}[]", kind.name())
}

/// Rows on their way into a table.
#[derive(Debug)]
pub(crate) struct Rows {
    bytes: BytesMut,
    count: i32,
}

impl Default for Rows {
    fn default() -> Self {
        Self::new()
    }
}

impl Rows {
    /// No rows yet.
    pub(crate) fn new() -> Self {
        Self { bytes: BytesMut::from(HEADER), count: 0 }
    }

    /// Appends a row. The fields are those of the table's columns, in type and order.
    pub(crate) fn row(&mut self, fields: &[&dyn Field]) {
        self.bytes.put_i16(fields.len() as i16);
        for field in fields {
            field.put(&mut self.bytes);
        }
        self.count += 1;
    }

    /// Puts the rows into a table. No rows: no statement.
    pub(crate) async fn send(
        self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> sqlx::Result<()> {
        if self.count == 0 {
            Ok(())
        } else if self.bytes.len() < MANY {
            self.insert(connection, table).await
        } else {
            self.copy(connection, table).await
        }
    }

    async fn copy(mut self, connection: &mut PgConnection, table: &Table) -> sqlx::Result<()> {
        self.bytes.put_i16(-1);
        let mut copy = connection.copy_in_raw(table.copy.text()).await?;
        copy.send(self.bytes).await?;
        copy.finish().await?;
        Ok(())
    }

    async fn insert(self, connection: &mut PgConnection, table: &Table) -> sqlx::Result<()> {
        let mut query = table.insert.query();
        for column in arrays(&self.bytes[HEADER.len()..], self.count, &table.kinds) {
            query = query.bind(column);
        }
        query.execute(connection).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_two_statements() {
        let table = Table::named("s.t", "id uuid, tags text[], note text");
        assert_eq!(table.copy.text(), "COPY s.t (id, tags, note) FROM STDIN BINARY");
        assert_eq!(
            table.insert.text(),
            "INSERT INTO s.t (id, tags, note) SELECT id, tags::text[], note \
             FROM unnest($1::uuid[], $2::text[], $3::text[]) AS d (id, tags, note)"
        );
    }
}
