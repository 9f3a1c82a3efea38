//! Table `auth.users`.

use echolog_events::{
    AccountStatus, EmailChanged, EmailVerified, Meta, PasswordEvent, PasswordHash, PhoneChanged,
    PhoneVerified, Recorded, Time, TwoFactorMethod, UserRegistered, UserRole, UserType, Uuid,
};
use sqlx::PgConnection;

use crate::map::{HashMap, HashSet};
use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// Of `users`.
const COLUMNS: &str = "id uuid, email text, phone_number text, username text, password_hash text,
    password_changed_at timestamptz, role text, user_type text, account_status text,
    email_verified boolean, email_verified_at timestamptz, phone_verified boolean,
    phone_verified_at timestamptz, two_factor_enabled boolean,
    failed_login_attempts integer, locked boolean, locked_until timestamptz,
    last_login_at timestamptz, two_factor_method text, suspension_reason text, suspended_at timestamptz,
    suspended_until timestamptz, created_at timestamptz, updated_at timestamptz,
    deleted_at timestamptz";

const UPDATE: &str = "UPDATE {schema}.users AS u SET
        failed_login_attempts =
            CASE WHEN d.forgiven THEN 0 ELSE u.failed_login_attempts END + d.failed,
        locked = coalesce(d.locked, u.locked),
        locked_until = CASE WHEN d.locked IS NULL THEN u.locked_until ELSE d.locked_until END,
        last_login_at = coalesce(d.last_login_at, u.last_login_at),
        account_status = CASE WHEN d.deleted_at IS NOT NULL THEN 'deleted'
            ELSE coalesce(d.account_status, u.account_status) END,
        deleted_at = coalesce(d.deleted_at, u.deleted_at),
        suspension_reason = CASE WHEN d.account_status IS NULL THEN u.suspension_reason
            ELSE d.suspension_reason END,
        suspended_at = CASE WHEN d.account_status IS NULL THEN u.suspended_at
            ELSE d.suspended_at END,
        suspended_until = CASE WHEN d.account_status IS NULL THEN u.suspended_until
            ELSE d.suspended_until END,
        two_factor_enabled = coalesce(d.two_factor, u.two_factor_enabled),
        two_factor_method =
            CASE WHEN d.two_factor IS NULL THEN u.two_factor_method ELSE d.two_factor_method END,
        role = coalesce(d.role, u.role),
        email = coalesce(d.email, u.email),
        email_verified = u.email_verified OR d.email_verified_at IS NOT NULL,
        email_verified_at = coalesce(d.email_verified_at, u.email_verified_at),
        phone_number = coalesce(d.phone_number, u.phone_number),
        phone_verified = u.phone_verified OR d.phone_verified_at IS NOT NULL,
        phone_verified_at = coalesce(d.phone_verified_at, u.phone_verified_at),
        password_hash = coalesce(d.password_hash, u.password_hash),
        password_changed_at = coalesce(d.password_changed_at, u.password_changed_at),
        updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::boolean[], $3::integer[], $4::boolean[], $5::timestamptz[],
        $6::timestamptz[], $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[],
        $11::text[], $12::timestamptz[], $13::boolean[], $14::text[], $15::text[],
        $16::timestamptz[], $17::timestamptz[], $18::text[], $19::timestamptz[], $20::text[],
        $21::timestamptz[]) AS d (id, forgiven, failed, locked, locked_until,
        last_login_at, account_status, suspension_reason, suspended_at, suspended_until, role,
        deleted_at, two_factor, two_factor_method, password_hash, password_changed_at, updated_at,
        email, email_verified_at, phone_number, phone_verified_at)
    WHERE u.id = d.id RETURNING u.id";

#[derive(Debug)]
pub(super) struct Statements {
    rows: Table,
    update: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { rows: Table::new(target, "users", COLUMNS), update: target.sql(UPDATE) }
    }
}

/// What has become of an account since it was stored, or registered.
#[derive(Clone, Copy, Debug, Default)]
struct Change<'a> {
    /// Whether attempts that failed before are forgotten.
    forgiven: bool,
    /// How many failed since.
    failed: i32,
    lock: Lock,
    last_login_at: Option<Time>,
    standing: Option<Standing<'a>>,
    role: Option<UserRole>,
    deleted_at: Option<Time>,
    second_factor: SecondFactor,
    password_hash: Option<&'a PasswordHash>,
    password_changed_at: Option<Time>,
    updated_at: Option<Time>,
    /// Where it is another.
    email: Option<&'a str>,
    email_verified_at: Option<Time>,
    phone_number: Option<&'a str>,
    phone_verified_at: Option<Time>,
}

/// Whether an account may act, and if not, why.
#[derive(Clone, Copy, Debug)]
struct Standing<'a> {
    status: AccountStatus,
    stopped: Option<Stopped<'a>>,
}

/// Why an account may not act.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped<'a> {
    pub(super) reason: &'a str,
    /// Since when.
    pub(super) at: Time,
    pub(super) until: Option<Time>,
}

#[derive(Clone, Copy, Debug, Default)]
enum SecondFactor {
    #[default]
    Unchanged,
    InUse(TwoFactorMethod),
    NotInUse,
}

impl SecondFactor {
    fn in_use(self) -> Option<bool> {
        match self {
            Self::Unchanged => None,
            Self::InUse(_) => Some(true),
            Self::NotInUse => Some(false),
        }
    }

    fn method(self) -> Option<&'static str> {
        match self {
            Self::InUse(method) => Some(method.name()),
            Self::Unchanged | Self::NotInUse => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
enum Lock {
    #[default]
    Unchanged,
    Until(Time),
    Open,
}

impl Lock {
    fn locked(self) -> Option<bool> {
        match self {
            Self::Unchanged => None,
            Self::Until(_) => Some(true),
            Self::Open => Some(false),
        }
    }

    fn until(self) -> Option<Time> {
        match self {
            Self::Until(time) => Some(time),
            Self::Unchanged | Self::Open => None,
        }
    }
}

impl<'a> Change<'a> {
    fn stopped(&self) -> Option<Stopped<'a>> {
        self.standing.and_then(|standing| standing.stopped)
    }

    fn forgive(&mut self) {
        self.forgiven = true;
        self.failed = 0;
    }
}

/// The accounts that a batch makes or changes.
#[derive(Debug, Default)]
pub(super) struct Users<'a> {
    new: Vec<(&'a UserRegistered, Time, Change<'a>)>,
    /// Where in `new` they are.
    places: HashMap<Uuid, usize>,
    /// Those of earlier batches, and the first event that changes them.
    stored: HashMap<Uuid, (&'a Recorded, Change<'a>)>,
}

impl<'a> Users<'a> {
    pub(super) fn register(&mut self, meta: &Meta, registered: &'a UserRegistered) {
        self.places.insert(registered.user_id, self.new.len());
        self.new.push((registered, meta.time, Change::default()));
    }

    pub(super) fn logged_in(&mut self, event: &'a Recorded, user: Uuid) {
        let change = self.change(event, user);
        change.forgive();
        change.last_login_at = Some(event.meta.time);
    }

    pub(super) fn failed(&mut self, event: &'a Recorded, user: Uuid) {
        self.change(event, user).failed += 1;
    }

    pub(super) fn lock(&mut self, event: &'a Recorded, user: Uuid, until: Time) {
        self.change(event, user).lock = Lock::Until(until);
    }

    pub(super) fn unlock(&mut self, event: &'a Recorded, user: Uuid) {
        let change = self.change(event, user);
        change.forgive();
        change.lock = Lock::Open;
    }

    pub(super) fn second_factor(
        &mut self,
        event: &'a Recorded,
        user: Uuid,
        method: Option<TwoFactorMethod>,
    ) {
        self.change(event, user).second_factor =
            method.map_or(SecondFactor::NotInUse, SecondFactor::InUse);
    }

    pub(super) fn stand(
        &mut self,
        event: &'a Recorded,
        user: Uuid,
        status: AccountStatus,
        stopped: Option<Stopped<'a>>,
    ) {
        self.change(event, user).standing = Some(Standing { status, stopped });
    }

    pub(super) fn delete(&mut self, event: &'a Recorded, user: Uuid) {
        self.change(event, user).deleted_at = Some(event.meta.time);
    }

    pub(super) fn play(&mut self, event: &'a Recorded, user: Uuid, role: UserRole) {
        self.change(event, user).role = Some(role);
    }

    pub(super) fn email(&mut self, event: &'a Recorded, e: &'a EmailChanged) {
        let change = self.change(event, e.user_id);
        change.email = Some(&e.email);
        change.email_verified_at = Some(event.meta.time);
    }

    pub(super) fn phone(&mut self, event: &'a Recorded, e: &'a PhoneChanged) {
        let change = self.change(event, e.user_id);
        change.phone_number = Some(&e.phone_number);
        change.phone_verified_at = Some(event.meta.time);
    }

    pub(super) fn verify_email(&mut self, event: &'a Recorded, e: &EmailVerified) {
        self.change(event, e.user_id).email_verified_at = Some(event.meta.time);
        self.activate(event, e.user_id, e.activates);
    }

    pub(super) fn verify_phone(&mut self, event: &'a Recorded, e: &PhoneVerified) {
        self.change(event, e.user_id).phone_verified_at = Some(event.meta.time);
        self.activate(event, e.user_id, e.activates);
    }

    fn activate(&mut self, event: &'a Recorded, user: Uuid, activates: bool) {
        if activates {
            self.stand(event, user, AccountStatus::Active, None);
        }
    }

    pub(super) fn password(&mut self, event: &'a Recorded, password: &'a PasswordEvent) {
        let change = self.change(event, password.user_id());
        change.password_hash = Some(password.password_hash());
        match password {
            PasswordEvent::PasswordChanged(_) => {
                change.forgive();
                change.password_changed_at = Some(event.meta.time);
            }
            PasswordEvent::PasswordRehashed(_) => {}
        }
    }

    fn change(&mut self, event: &'a Recorded, user: Uuid) -> &mut Change<'a> {
        let new = self.places.get(&user).and_then(|place| self.new.get_mut(*place));
        let change = match new {
            Some((.., change)) => change,
            None => &mut self.stored.entry(user).or_insert((event, Change::default())).1,
        };
        change.updated_at = Some(event.meta.time);
        change
    }

    /// Writes what changed before what is new: an account that is registered only after something
    /// has happened to it is missed, as in two batches.
    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<(), ProjectionError> {
        let changed: Vec<(Uuid, (&Recorded, Change<'_>))> = self.stored.into_iter().collect();
        if !changed.is_empty() {
            update(connection, &statements.update, &changed).await?;
        }
        let mut rows = Rows::new();
        for (registered, at, change) in &self.new {
            put(registered, *at, change, &mut rows);
        }
        Ok(rows.send(connection, &statements.rows).await?)
    }
}

async fn update(
    connection: &mut PgConnection,
    sql: &Sql,
    changed: &[(Uuid, (&Recorded, Change<'_>))],
) -> Result<(), ProjectionError> {
    let found: Vec<(Uuid,)> = sql
        .query_as()
        .bind(column(changed, |(user, _)| *user))
        .bind(column(changed, |(_, (_, change))| change.forgiven))
        .bind(column(changed, |(_, (_, change))| change.failed))
        .bind(column(changed, |(_, (_, change))| change.lock.locked()))
        .bind(column(changed, |(_, (_, change))| change.lock.until()))
        .bind(column(changed, |(_, (_, change))| change.last_login_at))
        .bind(column(changed, |(_, (_, change))| change.standing.map(|it| status(it.status))))
        .bind(column(changed, |(_, (_, change))| change.stopped().map(|it| it.reason)))
        .bind(column(changed, |(_, (_, change))| change.stopped().map(|it| it.at)))
        .bind(column(changed, |(_, (_, change))| change.stopped().and_then(|it| it.until)))
        .bind(column(changed, |(_, (_, change))| change.role.map(role)))
        .bind(column(changed, |(_, (_, change))| change.deleted_at))
        .bind(column(changed, |(_, (_, change))| change.second_factor.in_use()))
        .bind(column(changed, |(_, (_, change))| change.second_factor.method()))
        .bind(column(changed, |(_, (_, change))| change.password_hash.map(PasswordHash::expose)))
        .bind(column(changed, |(_, (_, change))| change.password_changed_at))
        .bind(column(changed, |(_, (_, change))| change.updated_at))
        .bind(column(changed, |(_, (_, change))| change.email))
        .bind(column(changed, |(_, (_, change))| change.email_verified_at))
        .bind(column(changed, |(_, (_, change))| change.phone_number))
        .bind(column(changed, |(_, (_, change))| change.phone_verified_at))
        .fetch_all(connection)
        .await?;
    let found: HashSet<Uuid> = found.into_iter().map(|(user,)| user).collect();
    match changed.iter().find(|(user, _)| !found.contains(user)) {
        Some((user, (event, _))) => Err(ProjectionError::data(event, format!("no account {user}"))),
        None => Ok(()),
    }
}

fn put(event: &UserRegistered, at: Time, change: &Change<'_>, users: &mut Rows) {
    let standing = match (change.deleted_at, change.standing) {
        (Some(_), _) => AccountStatus::Deleted,
        (None, Some(standing)) => standing.status,
        (None, None) => event.account_status,
    };
    let stopped = change.stopped();
    let password_hash = change.password_hash.or(event.password_hash.as_ref());
    let set_at = event.password_hash.is_some().then_some(at);
    let password_changed_at = change.password_changed_at.or(set_at);
    users.row(&[
        &event.user_id,
        &change.email.or(event.email.as_deref()),
        &change.phone_number.or(event.phone_number.as_deref()),
        &event.username.as_deref(),
        &password_hash.map(PasswordHash::expose),
        &password_changed_at,
        &role(change.role.unwrap_or(event.role)),
        &user_type(event.user_type),
        &status(standing),
        &change.email_verified_at.is_some(),
        &change.email_verified_at,
        &change.phone_verified_at.is_some(),
        &change.phone_verified_at,
        &change.second_factor.in_use().unwrap_or(false),
        &change.failed,
        &change.lock.locked().unwrap_or(false),
        &change.lock.until(),
        &change.last_login_at,
        &change.second_factor.method(),
        &stopped.map(|it| it.reason),
        &stopped.map(|it| it.at),
        &stopped.and_then(|it| it.until),
        &at,
        &change.updated_at.unwrap_or(at),
        &change.deleted_at,
    ]);
}

/// The name of a role in tables.
pub(crate) fn role(role: UserRole) -> &'static str {
    match role {
        UserRole::User => "user",
        UserRole::Creator => "creator",
        UserRole::Moderator => "moderator",
        UserRole::Admin => "admin",
    }
}

/// The name of a type of user in tables.
pub(crate) fn user_type(user_type: UserType) -> &'static str {
    match user_type {
        UserType::Web => "web",
        UserType::Mobile => "mobile",
    }
}

/// The name of an account's status in tables.
pub(crate) fn status(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active => "active",
        AccountStatus::Suspended => "suspended",
        AccountStatus::Banned => "banned",
        AccountStatus::Deleted => "deleted",
        AccountStatus::Pending => "pending",
    }
}
