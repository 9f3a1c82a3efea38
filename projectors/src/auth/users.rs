//! Projection `auth`: accounts.

use echolog_events::{
    AccountStatus, AuthEvent, Body, Event, Meta, PasswordHash, Recorded, UserRegistered, UserRole,
    UserType,
};
use sqlx::PgConnection;

use crate::rows::{Rows, Table};
use crate::{ProjectionError, Target};

/// Of `users`.
const USERS: &str = "id uuid, email text, phone_number text, username text, password_hash text,
    password_changed_at timestamptz, role text, user_type text, account_status text,
    email_verified boolean, phone_verified boolean, two_factor_enabled boolean,
    failed_login_attempts integer, locked boolean, created_at timestamptz, updated_at timestamptz";

/// The statements of projection `auth`.
#[derive(Debug)]
pub(crate) struct Auth {
    users: Table,
}

impl Auth {
    pub(crate) fn new(target: &Target) -> Self {
        Self { users: Table::new(target, "users", USERS) }
    }

    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
    ) -> Result<(), ProjectionError> {
        let mut users = Rows::new();
        for event in events {
            route(event, &mut users);
        }
        Ok(users.send(connection, &self.users).await?)
    }
}

/// Which event writes which table.
fn route(event: &Recorded, users: &mut Rows) {
    match &event.body {
        Body::Known(Event::Auth(AuthEvent::UserRegistered(e))) => user(&event.meta, e, users),
        Body::Known(
            Event::Auth(AuthEvent::IdentifierClaimed(_) | AuthEvent::IdentifierReleased(_))
            | Event::Users(_)
            | Event::Messages(_)
            | Event::System(_),
        )
        | Body::Unreadable(_) => {}
    }
}

fn user(meta: &Meta, event: &UserRegistered, users: &mut Rows) {
    let password_changed_at = event.password_hash.is_some().then_some(meta.time);
    users.row(&[
        &event.user_id,
        &event.email.as_deref(),
        &event.phone_number.as_deref(),
        &event.username.as_deref(),
        &event.password_hash.as_ref().map(PasswordHash::expose),
        &password_changed_at,
        &role(event.role),
        &user_type(event.user_type),
        &status(event.account_status),
        &false,
        &false,
        &false,
        &0_i32,
        &false,
        &meta.time,
        &meta.time,
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
