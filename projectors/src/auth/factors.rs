//! Tables `auth.two_factor_factors` and `auth.recovery_codes`. Few events write them, and some of those
//! end all that a user has: so what is live of the users concerned is loaded.

use echolog_events::{
    Body, CodeHash, CredentialEvent, Event, Meta, Recorded, RecoveryCodesGenerated, Time, TotpUsed,
    TwoFactorBegun, TwoFactorEnabled, TwoFactorMethod, Uuid,
};
use sqlx::PgConnection;

use crate::map::{HashMap, HashSet};
use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

const LOAD_FACTORS: &str = "SELECT user_id, id, status FROM {schema}.two_factor_factors
    WHERE user_id = ANY($1) AND revoked_at IS NULL";

const LOAD_CODES: &str = "SELECT user_id, id FROM {schema}.recovery_codes
    WHERE user_id = ANY($1) AND used_at IS NULL AND revoked_at IS NULL";

/// Of `two_factor_factors`.
const FACTORS: &str = "id uuid, user_id uuid, kind text, status text, last_step bigint,
    last_used_at timestamptz, verified_at timestamptz, revoked_at timestamptz,
    expires_at timestamptz, created_at timestamptz, updated_at timestamptz";

/// Of `recovery_codes`.
const CODES: &str = "id uuid, user_id uuid, set_id uuid, code_hash text, used_at timestamptz,
    revoked_at timestamptz, created_at timestamptz, updated_at timestamptz";

const UPDATE_FACTORS: &str = "UPDATE {schema}.two_factor_factors AS f SET
        status = d.status, last_step = coalesce(d.last_step, f.last_step),
        last_used_at = coalesce(d.last_used_at, f.last_used_at),
        verified_at = coalesce(d.verified_at, f.verified_at),
        revoked_at = d.revoked_at, updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::timestamptz[],
        $6::timestamptz[], $7::timestamptz[], $8::timestamptz[]) AS d (user_id, id, status,
        last_step, last_used_at, verified_at, revoked_at, updated_at)
    WHERE f.id = d.id AND f.user_id = d.user_id";

const UPDATE_CODES: &str = "UPDATE {schema}.recovery_codes AS c SET
        used_at = d.used_at, revoked_at = d.revoked_at, updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
        AS d (user_id, id, used_at, revoked_at, updated_at)
    WHERE c.id = d.id AND c.user_id = d.user_id";

#[derive(Debug)]
pub(super) struct Statements {
    load_factors: Sql,
    load_codes: Sql,
    factors: Table,
    codes: Table,
    update_factors: Sql,
    update_codes: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            load_factors: target.sql(LOAD_FACTORS),
            load_codes: target.sql(LOAD_CODES),
            factors: Table::new(target, "two_factor_factors", FACTORS),
            codes: Table::new(target, "recovery_codes", CODES),
            update_factors: target.sql(UPDATE_FACTORS),
            update_codes: target.sql(UPDATE_CODES),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Pending,
    Active,
    Revoked,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

/// A factor that is or was live when the batch began, or that the batch begins.
#[derive(Debug)]
struct Factor {
    user: Uuid,
    id: Uuid,
    kind: TwoFactorMethod,
    status: Status,
    last_step: Option<i64>,
    last_used_at: Option<Time>,
    verified_at: Option<Time>,
    revoked_at: Option<Time>,
    /// Of a new one: since when, and until when it had to be enabled.
    begun: Option<(Time, Option<Time>)>,
    updated_at: Option<Time>,
}

impl Factor {
    fn stored(user: Uuid, id: Uuid, status: Status) -> Self {
        Self {
            user,
            id,
            kind: TwoFactorMethod::Totp,
            status,
            last_step: None,
            last_used_at: None,
            verified_at: None,
            revoked_at: None,
            begun: None,
            updated_at: None,
        }
    }

    fn revoke(&mut self, at: Time) {
        self.status = Status::Revoked;
        self.revoked_at = Some(at);
        self.updated_at = Some(at);
    }
}

/// A recovery code that is or was live when the batch began, or that the batch makes.
#[derive(Debug)]
struct Code {
    user: Uuid,
    id: Uuid,
    /// Of a new one: its set, what is kept of it, and when it was made.
    made: Option<(Uuid, CodeHash, Time)>,
    used_at: Option<Time>,
    revoked_at: Option<Time>,
    updated_at: Option<Time>,
}

impl Code {
    fn is_live(&self) -> bool {
        self.used_at.is_none() && self.revoked_at.is_none()
    }
}

/// What the users of a batch have.
#[derive(Debug, Default)]
pub(super) struct Factors {
    factors: Vec<Factor>,
    codes: Vec<Code>,
    /// Where in `factors` and `codes` the live ones of a user are.
    factors_of: HashMap<Uuid, Vec<usize>>,
    codes_of: HashMap<Uuid, Vec<usize>>,
}

impl Factors {
    pub(super) async fn load(
        connection: &mut PgConnection,
        statements: &Statements,
        events: &[&Recorded],
    ) -> Result<Self, ProjectionError> {
        let user = |event: &&Recorded| match &event.body {
            Body::Known(Event::Credentials(e)) => Some(e.user_id()),
            Body::Known(
                Event::Auth(_)
                | Event::Accounts(_)
                | Event::Audit(_)
                | Event::Sessions(_)
                | Event::Passwords(_)
                | Event::Codes(_)
                | Event::Users(_)
                | Event::Messages(_)
                | Event::System(_),
            )
            | Body::Unreadable(_) => None,
        };
        let users: HashSet<Uuid> = events.iter().filter_map(user).collect();
        let mut factors = Self::default();
        if users.is_empty() {
            return Ok(factors);
        }
        let users: Vec<Uuid> = users.into_iter().collect();
        let rows: Vec<(Uuid, Uuid, String)> =
            statements.load_factors.query_as().bind(&users).fetch_all(&mut *connection).await?;
        for (user, id, status) in rows {
            let active = status == Status::Active.name();
            let status = if active { Status::Active } else { Status::Pending };
            factors.add_factor(Factor::stored(user, id, status));
        }
        let rows: Vec<(Uuid, Uuid)> =
            statements.load_codes.query_as().bind(&users).fetch_all(connection).await?;
        for (user, id) in rows {
            let (made, used_at, revoked_at, updated_at) = (None, None, None, None);
            factors.add_code(Code { user, id, made, used_at, revoked_at, updated_at });
        }
        Ok(factors)
    }

    fn add_factor(&mut self, factor: Factor) {
        self.factors_of.entry(factor.user).or_default().push(self.factors.len());
        self.factors.push(factor);
    }

    fn add_code(&mut self, code: Code) {
        self.codes_of.entry(code.user).or_default().push(self.codes.len());
        self.codes.push(code);
    }

    pub(super) fn see(
        &mut self,
        event: &Recorded,
        known: &CredentialEvent,
    ) -> Result<(), ProjectionError> {
        let meta = &event.meta;
        match known {
            CredentialEvent::TwoFactorBegun(e) => self.begin(meta, e),
            CredentialEvent::TwoFactorEnabled(e) => self.enable(event, e)?,
            CredentialEvent::TwoFactorDisabled(e) => {
                self.revoke_factors(e.user_id, meta.time);
                self.revoke_codes(e.user_id, meta.time);
            }
            CredentialEvent::TotpUsed(e) => self.show(event, e)?,
            CredentialEvent::RecoveryCodesGenerated(e) => self.generate(meta, e),
            CredentialEvent::RecoveryCodeUsed(e) => {
                let codes = self.codes_of.get(&e.user_id).map(Vec::as_slice).unwrap_or_default();
                let place = codes.iter().copied().find(|place| self.codes[*place].id == e.code_id);
                let place = place.ok_or_else(|| missing(event, "recovery code", e.code_id))?;
                let code = &mut self.codes[place];
                code.used_at = Some(meta.time);
                code.updated_at = Some(meta.time);
            }
            CredentialEvent::ApiKeyCreated(_)
            | CredentialEvent::ApiKeyUsed(_)
            | CredentialEvent::ApiKeyRevoked(_)
            | CredentialEvent::OauthProviderLinked(_)
            | CredentialEvent::OauthProviderUnlinked(_)
            | CredentialEvent::OauthTokenRefreshed(_) => {}
        }
        Ok(())
    }

    fn begin(&mut self, meta: &Meta, event: &TwoFactorBegun) {
        self.revoke_factors(event.user_id, meta.time);
        let begun = Some((meta.time, Some(event.expires_at)));
        let fresh = Factor::stored(event.user_id, event.factor_id, Status::Pending);
        self.add_factor(Factor { begun, updated_at: Some(meta.time), ..fresh });
    }

    fn enable(&mut self, event: &Recorded, e: &TwoFactorEnabled) -> Result<(), ProjectionError> {
        let Some(id) = e.factor_id else { return Ok(()) };
        if e.method != TwoFactorMethod::Totp {
            // It begins with the code that enables it.
            self.revoke_factors(e.user_id, event.meta.time);
            let fresh = Factor::stored(e.user_id, id, Status::Active);
            self.add_factor(Factor {
                kind: e.method,
                begun: Some((event.meta.time, None)),
                ..fresh
            });
        }
        let factor = self.factor(event, e.user_id, id)?;
        factor.status = Status::Active;
        factor.verified_at = Some(event.meta.time);
        factor.last_step = e.step.and_then(|step| i64::try_from(step).ok());
        factor.last_used_at = Some(event.meta.time);
        factor.updated_at = Some(event.meta.time);
        Ok(())
    }

    fn show(&mut self, event: &Recorded, e: &TotpUsed) -> Result<(), ProjectionError> {
        let factor = self.factor(event, e.user_id, e.factor_id)?;
        factor.last_step = i64::try_from(e.step).ok();
        factor.last_used_at = Some(event.meta.time);
        factor.updated_at = Some(event.meta.time);
        Ok(())
    }

    fn generate(&mut self, meta: &Meta, event: &RecoveryCodesGenerated) {
        self.revoke_codes(event.user_id, meta.time);
        for code in &event.codes {
            self.add_code(Code {
                user: event.user_id,
                id: code.id,
                made: Some((event.set_id, code.hash.clone(), meta.time)),
                used_at: None,
                revoked_at: None,
                updated_at: Some(meta.time),
            });
        }
    }

    fn factor(
        &mut self,
        event: &Recorded,
        user: Uuid,
        id: Uuid,
    ) -> Result<&mut Factor, ProjectionError> {
        let factors = self.factors_of.get(&user).map(Vec::as_slice).unwrap_or_default();
        let place = factors.iter().copied().find(|place| self.factors[*place].id == id);
        let place = place.ok_or_else(|| missing(event, "authenticator", id))?;
        Ok(&mut self.factors[place])
    }

    fn revoke_factors(&mut self, user: Uuid, at: Time) {
        for place in self.factors_of.remove(&user).unwrap_or_default() {
            self.factors[place].revoke(at);
        }
    }

    fn revoke_codes(&mut self, user: Uuid, at: Time) {
        for place in self.codes_of.remove(&user).unwrap_or_default() {
            let code = &mut self.codes[place];
            if code.is_live() {
                code.revoked_at = Some(at);
                code.updated_at = Some(at);
            }
        }
    }

    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<(), ProjectionError> {
        let (mut factors, mut codes) = (Rows::new(), Rows::new());
        let (mut old_factors, mut old_codes) = (Vec::new(), Vec::new());
        for factor in &self.factors {
            match (factor.begun, factor.updated_at) {
                (Some(begun), _) => factor.put(begun, &mut factors),
                (None, Some(at)) => old_factors.push((factor, at)),
                (None, None) => {}
            }
        }
        for code in &self.codes {
            match (&code.made, code.updated_at) {
                (Some(made), _) => code.put(made, &mut codes),
                (None, Some(at)) => old_codes.push((code, at)),
                (None, None) => {}
            }
        }
        if !old_factors.is_empty() {
            update_factors(connection, &statements.update_factors, &old_factors).await?;
        }
        if !old_codes.is_empty() {
            update_codes(connection, &statements.update_codes, &old_codes).await?;
        }
        factors.send(connection, &statements.factors).await?;
        Ok(codes.send(connection, &statements.codes).await?)
    }
}

fn missing(event: &Recorded, what: &str, id: Uuid) -> ProjectionError {
    ProjectionError::data(event, format!("no {what} {id}"))
}

async fn update_factors(
    connection: &mut PgConnection,
    sql: &Sql,
    changed: &[(&Factor, Time)],
) -> Result<(), ProjectionError> {
    sql.query()
        .bind(column(changed, |(factor, _)| factor.user))
        .bind(column(changed, |(factor, _)| factor.id))
        .bind(column(changed, |(factor, _)| factor.status.name()))
        .bind(column(changed, |(factor, _)| factor.last_step))
        .bind(column(changed, |(factor, _)| factor.last_used_at))
        .bind(column(changed, |(factor, _)| factor.verified_at))
        .bind(column(changed, |(factor, _)| factor.revoked_at))
        .bind(column(changed, |(_, at)| *at))
        .execute(connection)
        .await?;
    Ok(())
}

async fn update_codes(
    connection: &mut PgConnection,
    sql: &Sql,
    changed: &[(&Code, Time)],
) -> Result<(), ProjectionError> {
    sql.query()
        .bind(column(changed, |(code, _)| code.user))
        .bind(column(changed, |(code, _)| code.id))
        .bind(column(changed, |(code, _)| code.used_at))
        .bind(column(changed, |(code, _)| code.revoked_at))
        .bind(column(changed, |(_, at)| *at))
        .execute(connection)
        .await?;
    Ok(())
}

impl Factor {
    fn put(&self, (begun_at, expires_at): (Time, Option<Time>), rows: &mut Rows) {
        rows.row(&[
            &self.id,
            &self.user,
            &self.kind.name(),
            &self.status.name(),
            &self.last_step,
            &self.last_used_at,
            &self.verified_at,
            &self.revoked_at,
            &expires_at,
            &begun_at,
            &self.updated_at.unwrap_or(begun_at),
        ]);
    }
}

impl Code {
    fn put(&self, (set, hash, made_at): &(Uuid, CodeHash, Time), rows: &mut Rows) {
        rows.row(&[
            &self.id,
            &self.user,
            set,
            &hash.expose(),
            &self.used_at,
            &self.revoked_at,
            made_at,
            &self.updated_at.unwrap_or(*made_at),
        ]);
    }
}
