//! Projection `ledger`: what became of every command.

use std::collections::HashMap;

use echolog_events::{Recorded, StreamKey, Uuid, event_id};
use sqlx::PgConnection;

use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// Of `ledger`.
const COLUMNS: &str = "command_id uuid, key uuid, stream text, seq bigint, version bigint,
    events text[], digest bigint";

/// The last one of each command id: an id is the client's, another client may have used it too.
const FIND: &str = "SELECT DISTINCT ON (command_id) command_id, key, stream
    FROM {schema}.ledger WHERE command_id = ANY($1) ORDER BY command_id, seq DESC";

const APPEND: &str = "UPDATE {schema}.ledger AS l SET
        seq = d.seq,
        version = coalesce(d.version, l.version),
        events = l.events || string_to_array(d.events, ',')
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[])
        AS d (command_id, key, seq, version, events)
    WHERE l.command_id = d.command_id AND l.key = d.key";

/// The statements of projection `ledger`.
#[derive(Debug)]
pub(crate) struct Ledger {
    rows: Table,
    find: Sql,
    append: Sql,
}

/// A command, as far as a batch has its events.
#[derive(Debug, PartialEq)]
struct Command {
    id: Uuid,
    key: Uuid,
    /// The stream of its first event.
    stream: String,
    seq: u64,
    /// `None`: no event of the batch is in that stream.
    version: Option<u64>,
    events: Vec<String>,
    /// Present if the first event is in the batch.
    digest: Option<u64>,
}

/// The commands of a batch. The events of a command stand side by side in the log, but a batch may
/// end between them: then the next batch begins in the middle of a command.
#[derive(Debug, Default)]
struct Commands<'a> {
    commands: Vec<Command>,
    by_client: HashMap<(&'a str, Uuid), usize>,
    /// Commands that began before, by their id: key and stream.
    begun: HashMap<Uuid, (Uuid, String)>,
}

impl<'a> Commands<'a> {
    fn add(&mut self, event: &'a Recorded) {
        let (Some(actor), Some(id)) = (event.meta.actor.as_deref(), event.meta.command_id) else {
            return;
        };
        if let Some(first) = event.first_of_command() {
            self.by_client.insert((actor, id), self.commands.len());
            self.commands.push(Command {
                id,
                key: event_id(actor, &first.target, id, 0),
                stream: event.key.stream.name().to_owned(),
                seq: event.seq,
                version: Some(event.seq),
                events: vec![event.short_name().to_owned()],
                digest: event.meta.digest,
            });
            return;
        }
        let index = self.by_client.get(&(actor, id)).copied();
        let Some(index) = index.or_else(|| self.resume(actor, id)) else {
            tracing::warn!(seq = event.seq, "an event without the command that it belongs to");
            return;
        };
        let command = &mut self.commands[index];
        command.seq = event.seq;
        if command.is_own(actor, &event.key) {
            command.version = Some(event.seq);
        }
        command.events.push(event.short_name().to_owned());
    }

    /// Goes on with a command of an earlier batch.
    fn resume(&mut self, actor: &'a str, id: Uuid) -> Option<usize> {
        let (key, stream) = self.begun.get(&id)?.clone();
        let index = self.commands.len();
        let events = Vec::new();
        self.commands.push(Command {
            id,
            key,
            stream,
            seq: 0,
            version: None,
            events,
            digest: None,
        });
        self.by_client.insert((actor, id), index);
        Some(index)
    }
}

impl Command {
    /// Whether this is the stream of the command's first event: the one of its own target.
    fn is_own(&self, actor: &str, stream: &StreamKey) -> bool {
        stream.stream.name() == self.stream && event_id(actor, &stream.id, self.id, 0) == self.key
    }
}

impl Ledger {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            rows: Table::new(target, "ledger", COLUMNS),
            find: target.sql(FIND),
            append: target.sql(APPEND),
        }
    }

    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
    ) -> Result<(), ProjectionError> {
        let mut commands =
            Commands { begun: self.begun(connection, events).await?, ..Commands::default() };
        for event in events {
            commands.add(event);
        }
        let (new, old): (Vec<Command>, Vec<Command>) =
            commands.commands.into_iter().partition(|command| command.digest.is_some());
        self.insert(connection, &new).await?;
        if !old.is_empty() {
            self.append(connection, &old).await?;
        }
        Ok(())
    }

    /// The command that the batch begins in the middle of, if it does.
    async fn begun(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
    ) -> Result<HashMap<Uuid, (Uuid, String)>, ProjectionError> {
        let mut first = HashMap::new();
        for event in events {
            if let Some(id) = event.meta.command_id {
                first.entry(id).or_insert(event.meta.digest.is_none());
            }
        }
        let cut: Vec<Uuid> = first.into_iter().filter(|(_, cut)| *cut).map(|(id, _)| id).collect();
        if cut.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(Uuid, Uuid, String)> =
            self.find.query_as().bind(cut).fetch_all(connection).await?;
        Ok(rows.into_iter().map(|(id, key, stream)| (id, (key, stream))).collect())
    }

    async fn insert(
        &self,
        connection: &mut PgConnection,
        commands: &[Command],
    ) -> Result<(), ProjectionError> {
        let mut rows = Rows::new();
        for command in commands {
            rows.row(&[
                &command.id,
                &command.key,
                &command.stream,
                &command.seq.cast_signed(),
                &command.version.map(u64::cast_signed),
                &command.events,
                &command.digest.map(u64::cast_signed),
            ]);
        }
        Ok(rows.send(connection, &self.rows).await?)
    }

    async fn append(
        &self,
        connection: &mut PgConnection,
        commands: &[Command],
    ) -> Result<(), ProjectionError> {
        self.append
            .query()
            .bind(column(commands, |command| command.id))
            .bind(column(commands, |command| command.key))
            .bind(column(commands, |command| command.seq.cast_signed()))
            .bind(column(commands, |command| command.version.map(u64::cast_signed)))
            .bind(column(commands, |command| command.events.join(",")))
            .execute(connection)
            .await?;
        Ok(())
    }
}
