//! Rows before and after.

use std::collections::{HashMap, HashSet};

use echolog_events::{JsonMap, Recorded, Uuid};
use serde_json::Value;
use sqlx::PgConnection;

use super::changes::{Change, Op, Row};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

const LOAD: &str = "SELECT d.n, r.operation, r.new_data
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::uuid[])
        AS d (n, schema_name, table_name, record_id, conversation_id)
    CROSS JOIN LATERAL (
        SELECT operation, new_data FROM {schema}.record_changes AS x
        WHERE x.record_id = d.record_id AND x.table_name = d.table_name
            AND x.schema_name = d.schema_name
            AND x.conversation_id IS NOT DISTINCT FROM d.conversation_id
        ORDER BY x.event_seq DESC LIMIT 1
    ) AS r";

#[derive(Debug)]
pub(super) struct Statements(Sql);

/// What there is to record about a change.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub(super) operation: &'static str,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
    pub(super) changed: Option<Vec<String>>,
}

/// The rows that changes of a batch build on, as the audit has recorded them. `None`: there is no
/// such row.
#[derive(Debug, Default)]
pub(super) struct Images(HashMap<Row, Option<JsonMap>>);

impl Images {
    /// Applies a change; `None` if it changes nothing.
    pub(super) fn apply(&mut self, change: Change) -> Option<Record> {
        let Change { row, op } = change;
        let before = self.0.get(&row).cloned().flatten();
        let after = after(before.as_ref(), op)?;
        let record = Record {
            operation: match (&before, &after) {
                (_, None) => "DELETE",
                (None, Some(After::Whole(_))) => "INSERT",
                (_, Some(_)) => "UPDATE",
            },
            old: before.as_ref().map(text),
            new: after.as_ref().map(|after| text(after.map())),
            changed: changed(before.as_ref(), after.as_ref()),
        };
        // Only rows that a later change of the batch builds on are remembered.
        if let Some(image) = self.0.get_mut(&row) {
            *image = after.map(After::into_map);
        }
        Some(record)
    }
}

/// A row after a change.
#[derive(Debug)]
enum After {
    /// All of it.
    Whole(JsonMap),
    /// What the change says, where nothing is known of the row before.
    Part(JsonMap),
}

impl After {
    fn map(&self) -> &JsonMap {
        match self {
            Self::Whole(map) | Self::Part(map) => map,
        }
    }

    fn into_map(self) -> JsonMap {
        match self {
            Self::Whole(map) | Self::Part(map) => map,
        }
    }
}

/// The row after a change (`Some(None)`: it is gone); `None` if nothing changes.
#[expect(clippy::option_option, reason = "no change, and a row that is gone, are two things")]
fn after(before: Option<&JsonMap>, op: Op) -> Option<Option<After>> {
    match (before, op) {
        (Some(before), Op::Insert(new) | Op::Upsert(new)) => {
            let mut new = object(new);
            new.remove("created_at");
            merge(before, new).map(Some)
        }
        (None, Op::Insert(new) | Op::Upsert(new) | Op::Add(new)) => {
            Some(Some(After::Whole(object(new))))
        }
        (Some(_), Op::Add(_)) | (None, Op::Delete) => None,
        (Some(before), Op::Patch(patch)) => merge(before, object(patch)).map(Some),
        (None, Op::Patch(patch)) => Some(Some(After::Part(object(patch)))),
        (Some(_), Op::Delete) => Some(None),
    }
}

/// The row with other values; `None` if they are the same, or if the row is a message that was
/// taken back: that stays as it is.
fn merge(before: &JsonMap, values: JsonMap) -> Option<After> {
    if before.get("is_deleted") == Some(&Value::Bool(true)) {
        return None;
    }
    let differs =
        |(name, value): (&String, &Value)| name != "updated_at" && before.get(name) != Some(value);
    if !values.iter().any(differs) {
        return None;
    }
    let mut after = before.clone();
    after.extend(values);
    Some(After::Whole(after))
}

/// The columns that an update changes; sorted, as JSON objects are.
fn changed(before: Option<&JsonMap>, after: Option<&After>) -> Option<Vec<String>> {
    match (before, after) {
        (Some(before), Some(after)) => Some(
            after
                .map()
                .iter()
                .filter(|(name, value)| before.get(*name) != Some(value))
                .map(|(name, _)| name.clone())
                .collect(),
        ),
        (None, Some(After::Part(patch))) => Some(patch.keys().cloned().collect()),
        (None, Some(After::Whole(_)) | None) | (Some(_), None) => None,
    }
}

fn object(value: Value) -> JsonMap {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            JsonMap::new()
        }
    }
}

fn text(map: &JsonMap) -> String {
    serde_json::to_string(map).unwrap_or_default()
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self(target.sql(LOAD))
    }

    /// Loads the rows that changes build on. Rows that are only inserted need none.
    pub(super) async fn load(
        &self,
        connection: &mut PgConnection,
        changes: &[(&Recorded, Vec<Change>)],
    ) -> Result<Images, ProjectionError> {
        let wanted: HashSet<Row> = changes
            .iter()
            .flat_map(|(_, changes)| changes)
            .filter(|change| !matches!(change.op, Op::Insert(_)))
            .map(|change| change.row)
            .collect();
        let rows: Vec<(i64, Row)> = (0..).zip(wanted).collect();
        let mut images: HashMap<Row, Option<JsonMap>> =
            rows.iter().map(|(_, row)| (*row, None)).collect();
        if rows.is_empty() {
            return Ok(Images(images));
        }
        let found: Vec<(i64, String, Option<Value>)> = self
            .0
            .query_as()
            .bind(column(&rows, |(n, _)| *n))
            .bind(column(&rows, |(_, row)| row.table.schema()))
            .bind(column(&rows, |(_, row)| row.table.name()))
            .bind(column(&rows, |(_, row)| row.id))
            .bind::<Vec<Option<Uuid>>>(column(&rows, |(_, row)| row.conversation))
            .fetch_all(connection)
            .await?;
        for (n, operation, new_data) in found {
            if operation != "DELETE"
                && let Some((_, row)) = usize::try_from(n).ok().and_then(|n| rows.get(n))
            {
                images.insert(*row, new_data.map(object));
            }
        }
        Ok(Images(images))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::changes::Table;
    use super::*;

    fn row() -> Row {
        Row { table: Table::Profiles, id: Uuid::nil(), conversation: None }
    }

    fn images(before: Option<Value>) -> Images {
        Images(HashMap::from([(row(), before.map(object))]))
    }

    fn operation(images: &mut Images, op: Op) -> Option<&'static str> {
        images.apply(Change { row: row(), op }).map(|record| record.operation)
    }

    #[test]
    fn a_patch_names_what_it_changes() {
        let mut images = images(Some(json!({ "a": 1, "b": 2, "updated_at": 1 })));
        let patch = Op::Patch(json!({ "b": 3, "a": 1, "updated_at": 2 }));
        let record = images.apply(Change { row: row(), op: patch }).expect("a change");
        assert_eq!(record.changed.as_deref(), Some(&["b".to_owned(), "updated_at".to_owned()][..]));
        assert_eq!(record.new.as_deref(), Some(r#"{"a":1,"b":3,"updated_at":2}"#));
        let same = Op::Patch(json!({ "b": 3, "updated_at": 3 }));
        assert_eq!(operation(&mut images, same), None, "nothing but the time");
    }

    #[test]
    fn a_set_has_each_member_once() {
        let mut images = images(None);
        assert_eq!(operation(&mut images, Op::Delete), None);
        assert_eq!(operation(&mut images, Op::Add(json!({ "at": 1 }))), Some("INSERT"));
        assert_eq!(operation(&mut images, Op::Add(json!({ "at": 2 }))), None);
        assert_eq!(operation(&mut images, Op::Delete), Some("DELETE"));
        assert_eq!(operation(&mut images, Op::Add(json!({ "at": 3 }))), Some("INSERT"));
    }

    #[test]
    fn who_comes_back_keeps_the_row() {
        let mut images = images(Some(json!({ "is_active": false, "created_at": 1 })));
        let again = Op::Upsert(json!({ "is_active": true, "created_at": 2 }));
        let record = images.apply(Change { row: row(), op: again }).expect("a change");
        assert_eq!(record.operation, "UPDATE");
        assert_eq!(record.new.as_deref(), Some(r#"{"created_at":1,"is_active":true}"#));
    }

    #[test]
    fn what_is_taken_back_stays_so() {
        let mut images = images(Some(json!({ "is_deleted": true, "content": "" })));
        assert_eq!(operation(&mut images, Op::Patch(json!({ "content": "x" }))), None);
    }
}
