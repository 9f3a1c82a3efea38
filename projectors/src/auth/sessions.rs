//! Table `auth.sessions`.

use std::net::IpAddr;

use echolog_events::{
    Body, DeviceType, Event, JsonMap, Meta, Origin, Recorded, RevokedReason,
    SessionActivityRecorded, SessionEvent, SessionRefreshed, SessionStarted, Time, TokenHash, Uuid,
};
use sqlx::PgConnection;

use crate::map::{HashMap, HashSet};
use crate::rows::{Json, Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// With the id of the refresh token that is the session's newest, if it has not ended.
const LOAD: &str = "SELECT s.user_id, s.id, s.device_id, r.id AS newest
    FROM unnest($1::uuid[], $2::uuid[]) AS d (user_id, id)
    JOIN {schema}.sessions AS s USING (user_id, id)
    LEFT JOIN {schema}.refresh_tokens AS r ON r.token = s.refresh_token AND NOT r.revoked";

/// Of `sessions`.
const COLUMNS: &str = "id uuid, user_id uuid, session_token text, refresh_token text,
    device_id text, device_name text, device_type text, platform text, device_fingerprint text,
    device_metadata jsonb, ip_address inet, user_agent text, fcm_token text,
    expires_at timestamptz, last_activity_at timestamptz, revoked_at timestamptz,
    revoked_reason text, created_at timestamptz, updated_at timestamptz";

/// What is NULL stays as it is: no event takes a value away.
const UPDATE: &str = "UPDATE {schema}.sessions AS s SET
        session_token = coalesce(d.session_token, s.session_token),
        refresh_token = coalesce(d.refresh_token, s.refresh_token),
        device_name = coalesce(d.device_name, s.device_name),
        device_metadata = coalesce(d.device_metadata::jsonb, s.device_metadata),
        fcm_token = coalesce(d.fcm_token, s.fcm_token),
        ip_address = coalesce(d.ip_address::inet, s.ip_address),
        user_agent = coalesce(d.user_agent, s.user_agent),
        expires_at = coalesce(d.expires_at, s.expires_at),
        last_activity_at = coalesce(d.last_activity_at, s.last_activity_at),
        revoked_at = coalesce(d.revoked_at, s.revoked_at),
        revoked_reason = coalesce(d.revoked_reason, s.revoked_reason),
        updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[],
        $13::text[], $14::timestamptz[]) AS d (user_id, id, session_token, refresh_token,
        device_name, device_metadata, fcm_token, ip_address, user_agent, expires_at,
        last_activity_at, revoked_at, revoked_reason, updated_at)
    WHERE s.id = d.id AND s.user_id = d.user_id";

/// User and id: a session's id is unique for its user only.
type Key = (Uuid, Uuid);

#[derive(Debug)]
pub(super) struct Statements {
    load: Sql,
    rows: Table,
    update: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            load: target.sql(LOAD),
            rows: Table::new(target, "sessions", COLUMNS),
            update: target.sql(UPDATE),
        }
    }
}

/// What has become of a session since it was stored, or begun.
#[derive(Debug, Default)]
struct Change<'a> {
    token: Option<&'a TokenHash>,
    refresh: Option<&'a TokenHash>,
    device_name: Option<&'a str>,
    device_metadata: Option<&'a JsonMap>,
    fcm_token: Option<&'a str>,
    ip_address: Option<IpAddr>,
    user_agent: Option<&'a str>,
    expires_at: Option<Time>,
    last_activity_at: Option<Time>,
    revoked: Option<(Time, RevokedReason)>,
    updated_at: Option<Time>,
}

/// A session that a batch begins.
#[derive(Debug)]
struct New<'a> {
    started: &'a SessionStarted,
    at: Time,
    change: Change<'a>,
}

/// What later events of a session need to know of it.
#[derive(Debug)]
struct Known {
    device_id: String,
    /// Its refresh token that can be exchanged.
    newest: Option<Uuid>,
    /// Which one of the new ones it is; `None`: it is in the table.
    new: Option<usize>,
}

/// The sessions that a batch begins or changes.
#[derive(Debug, Default)]
pub(super) struct Sessions<'a> {
    known: HashMap<Key, Known>,
    /// What becomes of those in the table.
    stored: HashMap<Key, Change<'a>>,
    new: Vec<New<'a>>,
}

impl<'a> Sessions<'a> {
    /// Loads the sessions that the batch changes.
    pub(super) async fn load(
        connection: &mut PgConnection,
        statements: &Statements,
        events: &[&Recorded],
    ) -> Result<Self, ProjectionError> {
        let changed: HashSet<Key> = events.iter().filter_map(|event| changes(event)).collect();
        let changed: Vec<Key> = changed.into_iter().collect();
        let mut sessions = Self::default();
        if !changed.is_empty() {
            let rows: Vec<(Uuid, Uuid, String, Option<Uuid>)> = statements
                .load
                .query_as()
                .bind(column(&changed, |(user, _)| *user))
                .bind(column(&changed, |(_, id)| *id))
                .fetch_all(connection)
                .await?;
            sessions.known.extend(rows.into_iter().map(|(user, id, device_id, newest)| {
                ((user, id), Known { device_id, newest, new: None })
            }));
        }
        Ok(sessions)
    }

    pub(super) fn start(&mut self, meta: &Meta, started: &'a SessionStarted) {
        let known = Known {
            device_id: started.device_id.clone(),
            newest: Some(started.refresh_id),
            new: Some(self.new.len()),
        };
        self.known.insert((started.user_id, started.session_id), known);
        self.new.push(New { started, at: meta.time, change: Change::default() });
    }

    /// Gives a session new tokens. Returns its device and the refresh token that it had.
    pub(super) fn refresh(
        &mut self,
        event: &Recorded,
        refreshed: &'a SessionRefreshed,
    ) -> Result<(String, Option<Uuid>), ProjectionError> {
        let (known, change) = self.find(event, (refreshed.user_id, refreshed.session_id))?;
        let newest = known.newest.replace(refreshed.refresh_id);
        let device_id = known.device_id.clone();
        let Origin { ip_address, user_agent } = &refreshed.origin;
        change.token = Some(&refreshed.token_hash);
        change.refresh = Some(&refreshed.refresh_hash);
        change.device_name = refreshed.device_name.as_deref().or(change.device_name);
        change.device_metadata = refreshed.device_metadata.as_ref().or(change.device_metadata);
        change.fcm_token = refreshed.fcm_token.as_deref().or(change.fcm_token);
        change.ip_address = ip_address.or(change.ip_address);
        change.user_agent = user_agent.as_deref().or(change.user_agent);
        change.expires_at = Some(refreshed.expires_at);
        change.last_activity_at = Some(event.meta.time);
        change.updated_at = Some(event.meta.time);
        Ok((device_id, newest))
    }

    /// Ends a session, at this time and for this reason. Returns the refresh token that it had.
    pub(super) fn end(
        &mut self,
        event: &Recorded,
        session: Key,
        end: (Time, RevokedReason),
    ) -> Result<Option<Uuid>, ProjectionError> {
        let (known, change) = self.find(event, session)?;
        let newest = known.newest.take();
        change.revoked = Some(end);
        change.updated_at = Some(event.meta.time);
        Ok(newest)
    }

    /// Notes that a session is in use.
    pub(super) fn use_one(
        &mut self,
        event: &Recorded,
        active: &SessionActivityRecorded,
    ) -> Result<(), ProjectionError> {
        let (_, change) = self.find(event, (active.user_id, active.session_id))?;
        change.last_activity_at = Some(active.active_at);
        change.updated_at = Some(event.meta.time);
        Ok(())
    }

    /// A session, and what becomes of its row.
    fn find(
        &mut self,
        event: &Recorded,
        key: Key,
    ) -> Result<(&mut Known, &mut Change<'a>), ProjectionError> {
        let missing = || ProjectionError::data(event, format!("no session {} of {}", key.1, key.0));
        let known = self.known.get_mut(&key).ok_or_else(missing)?;
        let change = match known.new {
            Some(place) => self.new.get_mut(place).map(|new| &mut new.change),
            None => Some(self.stored.entry(key).or_default()),
        };
        Ok((known, change.ok_or_else(missing)?))
    }

    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<(), ProjectionError> {
        let changed: Vec<(Key, Change<'_>)> = self.stored.into_iter().collect();
        if !changed.is_empty() {
            update(connection, &statements.update, &changed).await?;
        }
        let mut rows = Rows::new();
        for new in &self.new {
            new.put(&mut rows);
        }
        Ok(rows.send(connection, &statements.rows).await?)
    }
}

/// The session that an event changes.
fn changes(event: &Recorded) -> Option<Key> {
    let Body::Known(Event::Sessions(known)) = &event.body else { return None };
    match known {
        SessionEvent::SessionRefreshed(e) => Some((e.user_id, e.session_id)),
        SessionEvent::SessionRevoked(e) => Some((e.user_id, e.session_id)),
        SessionEvent::SessionActivityRecorded(e) => Some((e.user_id, e.session_id)),
        SessionEvent::SessionExpired(e) => Some((e.user_id, e.session_id)),
        SessionEvent::LoginSucceeded(_)
        | SessionEvent::LoginFailed(_)
        | SessionEvent::UserLocked(_)
        | SessionEvent::UserUnlocked(_)
        | SessionEvent::SessionStarted(_)
        | SessionEvent::RefreshTokenReused(_)
        | SessionEvent::RetentionApplied(_) => None,
    }
}

async fn update(
    connection: &mut PgConnection,
    sql: &Sql,
    changed: &[(Key, Change<'_>)],
) -> Result<(), ProjectionError> {
    sql.query()
        .bind(column(changed, |((user, _), _)| *user))
        .bind(column(changed, |((_, id), _)| *id))
        .bind(column(changed, |(_, change)| change.token.map(TokenHash::expose)))
        .bind(column(changed, |(_, change)| change.refresh.map(TokenHash::expose)))
        .bind(column(changed, |(_, change)| change.device_name))
        .bind(column(changed, |(_, change)| change.device_metadata.map(text)))
        .bind(column(changed, |(_, change)| change.fcm_token))
        .bind(column(changed, |(_, change)| change.ip_address.map(|it| it.to_string())))
        .bind(column(changed, |(_, change)| change.user_agent))
        .bind(column(changed, |(_, change)| change.expires_at))
        .bind(column(changed, |(_, change)| change.last_activity_at))
        .bind(column(changed, |(_, change)| change.revoked.map(|(at, _)| at)))
        .bind(column(changed, |(_, change)| change.revoked.map(|(_, reason)| reason.name())))
        .bind(column(changed, |(_, change)| change.updated_at))
        .execute(connection)
        .await?;
    Ok(())
}

impl New<'_> {
    fn put(&self, rows: &mut Rows) {
        let Self { started, at, change } = self;
        let origin = &started.origin;
        let metadata = text(change.device_metadata.unwrap_or(&started.device_metadata));
        rows.row(&[
            &started.session_id,
            &started.user_id,
            &change.token.unwrap_or(&started.token_hash).expose(),
            &change.refresh.unwrap_or(&started.refresh_hash).expose(),
            &started.device_id,
            &change.device_name.or(started.device_name.as_deref()),
            &started.device_type.map(DeviceType::name),
            &started.platform.name(),
            &started.device_fingerprint,
            &Json(&metadata),
            &change.ip_address.or(origin.ip_address),
            &change.user_agent.or(origin.user_agent.as_deref()),
            &change.fcm_token.or(started.fcm_token.as_deref()),
            &change.expires_at.unwrap_or(started.expires_at),
            &change.last_activity_at.unwrap_or(*at),
            &change.revoked.map(|(at, _)| at),
            &change.revoked.map(|(_, reason)| reason.name()),
            at,
            &change.updated_at.unwrap_or(*at),
        ]);
    }
}

fn text(map: &JsonMap) -> String {
    serde_json::to_string(map).unwrap_or_default()
}
