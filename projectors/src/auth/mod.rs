//! Projection `auth`: accounts, sessions, who tried to log in.
//!
//! Everything about an account stands under one id, the user's, and so in one partition: rows of
//! several tables follow one order of events. An attempt to log in under a name that nobody has
//! stands under an id of its own and writes nothing but `login_history`.

mod codes;
mod factors;
mod history;
mod keys;
mod links;
mod resets;
mod retention;
mod security;
mod sessions;
mod tokens;
mod users;

use echolog_events::{
    AccountEvent, AccountStatus, AuthEvent, Body, CodeEvent, CredentialEvent, Event, Meta,
    PasswordEvent, Recorded, RevokedReason, SessionEvent, UsersEvent,
};
use sqlx::PgConnection;

use self::codes::Codes;
use self::factors::Factors;
use self::keys::ApiKeys;
use self::links::Links;
use self::resets::Resets;
use self::sessions::Sessions;
use self::tokens::{Token, Tokens};
use self::users::{Stopped, Users};
pub(crate) use self::users::{role, status, user_type};
use crate::rows::{Rows, Table};
use crate::{ProjectionError, Target};

/// The statements of projection `auth`.
#[derive(Debug)]
pub(crate) struct Auth {
    users: users::Statements,
    sessions: sessions::Statements,
    tokens: tokens::Statements,
    factors: factors::Statements,
    codes: codes::Statements,
    keys: keys::Statements,
    links: links::Statements,
    resets: resets::Statements,
    retention: retention::Statements,
    history: Table,
    security: Table,
}

/// What a batch does to the tables.
struct Batch<'a> {
    users: Users<'a>,
    sessions: Sessions<'a>,
    tokens: Tokens<'a>,
    factors: Factors,
    codes: Codes<'a>,
    keys: ApiKeys<'a>,
    links: Links<'a>,
    resets: Resets<'a>,
    history: Rows,
    security: Rows,
}

impl Auth {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            users: users::Statements::new(target),
            sessions: sessions::Statements::new(target),
            tokens: tokens::Statements::new(target),
            factors: factors::Statements::new(target),
            codes: codes::Statements::new(target),
            keys: keys::Statements::new(target),
            links: links::Statements::new(target),
            resets: resets::Statements::new(target),
            retention: retention::Statements::new(target),
            history: Table::new(target, "login_history", history::COLUMNS),
            security: Table::new(target, "security_events", security::COLUMNS),
        }
    }

    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
    ) -> Result<(), ProjectionError> {
        for round in retention::rounds(events) {
            self.write_round(connection, &round).await?;
            retention::forget(connection, &self.retention, &round).await?;
        }
        Ok(())
    }

    async fn write_round(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
    ) -> Result<(), ProjectionError> {
        let mut batch = Batch {
            users: Users::default(),
            sessions: Sessions::load(connection, &self.sessions, events).await?,
            tokens: Tokens::default(),
            factors: Factors::load(connection, &self.factors, events).await?,
            codes: Codes::default(),
            keys: ApiKeys::default(),
            links: Links::default(),
            resets: Resets::default(),
            history: Rows::new(),
            security: Rows::new(),
        };
        for event in events {
            batch.route(event)?;
        }
        batch.users.write(connection, &self.users).await?;
        batch.sessions.write(connection, &self.sessions).await?;
        batch.tokens.write(connection, &self.tokens).await?;
        batch.factors.write(connection, &self.factors).await?;
        batch.codes.write(connection, &self.codes).await?;
        batch.keys.write(connection, &self.keys).await?;
        batch.links.write(connection, &self.links).await?;
        batch.resets.write(connection, &self.resets).await?;
        batch.history.send(connection, &self.history).await?;
        Ok(batch.security.send(connection, &self.security).await?)
    }
}

impl<'a> Batch<'a> {
    /// Which event writes which table.
    fn route(&mut self, event: &'a Recorded) -> Result<(), ProjectionError> {
        match &event.body {
            Body::Known(Event::Auth(AuthEvent::UserRegistered(e))) => {
                self.users.register(&event.meta, e);
                Ok(())
            }
            Body::Known(Event::Accounts(known)) => {
                self.account(event, known);
                Ok(())
            }
            Body::Known(Event::Sessions(known)) => self.session(event, known),
            Body::Known(Event::Credentials(known)) => self.credential(event, known),
            Body::Known(Event::Codes(known)) => {
                self.code(&event.meta, known);
                Ok(())
            }
            Body::Known(Event::Passwords(known)) => {
                self.users.password(event, known);
                if let PasswordEvent::PasswordChanged(e) = known {
                    security::password_changed(&event.meta, e, &mut self.security);
                }
                Ok(())
            }
            Body::Known(Event::Users(UsersEvent::UserBlocked(e))) => {
                security::blocked(&event.meta, e, &mut self.security);
                Ok(())
            }
            Body::Known(
                Event::Auth(
                    AuthEvent::IdentifierClaimed(_)
                    | AuthEvent::IdentifierReleased(_)
                    | AuthEvent::AdminRosterChanged(_),
                )
                | Event::Users(UsersEvent::ProfileUpdated(_) | UsersEvent::UserUnblocked(_))
                | Event::Audit(_)
                | Event::Messages(_)
                | Event::System(_),
            )
            | Body::Unreadable(_) => Ok(()),
        }
    }

    fn account(&mut self, event: &'a Recorded, known: &'a AccountEvent) {
        let (user, at) = (known.user_id(), event.meta.time);
        match known {
            AccountEvent::UserSuspended(e) => {
                let stopped = Stopped { reason: &e.reason, at, until: e.until };
                self.users.stand(event, user, AccountStatus::Suspended, Some(stopped));
            }
            AccountEvent::UserBanned(e) => {
                let stopped = Stopped { reason: &e.reason, at, until: None };
                self.users.stand(event, user, AccountStatus::Banned, Some(stopped));
            }
            AccountEvent::UserReinstated(e) => self.users.stand(event, user, e.status, None),
            AccountEvent::UserRoleChanged(e) => self.users.play(event, user, e.new_role),
            AccountEvent::UserDeleted(_) => self.users.delete(event, user),
            AccountEvent::EmailChanged(e) => self.users.email(event, e),
            AccountEvent::PhoneChanged(e) => self.users.phone(event, e),
            AccountEvent::EmailVerified(e) => self.users.verify_email(event, e),
            AccountEvent::PhoneVerified(e) => self.users.verify_phone(event, e),
        }
        security::account(&event.meta, known, &mut self.security);
    }

    fn credential(
        &mut self,
        event: &'a Recorded,
        known: &'a CredentialEvent,
    ) -> Result<(), ProjectionError> {
        match known {
            CredentialEvent::TwoFactorEnabled(e) => {
                self.users.second_factor(event, e.user_id, Some(e.method));
            }
            CredentialEvent::TwoFactorDisabled(e) => {
                self.users.second_factor(event, e.user_id, None);
            }
            CredentialEvent::TwoFactorBegun(_)
            | CredentialEvent::TotpUsed(_)
            | CredentialEvent::RecoveryCodesGenerated(_)
            | CredentialEvent::RecoveryCodeUsed(_) => {}
            CredentialEvent::ApiKeyCreated(e) => self.keys.create(&event.meta, e),
            CredentialEvent::ApiKeyUsed(e) => self.keys.note_use(&event.meta, e),
            CredentialEvent::ApiKeyRevoked(e) => self.keys.revoke(&event.meta, e),
            CredentialEvent::OauthProviderLinked(e) => self.links.link(&event.meta, e),
            CredentialEvent::OauthProviderUnlinked(e) => self.links.unlink(e),
            CredentialEvent::OauthTokenRefreshed(e) => self.links.keep(&event.meta, e),
        }
        security::credential(event, known, &mut self.security);
        self.factors.see(event, known)
    }

    fn code(&mut self, meta: &Meta, known: &'a CodeEvent) {
        match known {
            CodeEvent::OtpRequested(e) => self.codes.request(meta, e),
            CodeEvent::OtpVerified(e) => self.codes.verify(meta, e),
            CodeEvent::OtpAttemptFailed(e) => self.codes.fail(meta, e),
            CodeEvent::PasswordResetRequested(e) => {
                if let Some(user) = e.user_id {
                    self.resets.request(meta, user, e);
                    security::reset_requested(meta, user, e, &mut self.security);
                }
            }
            CodeEvent::PasswordResetCompleted(e) => {
                self.resets.complete(meta, e);
                security::reset_completed(meta, e, &mut self.security);
            }
        }
    }

    fn session(
        &mut self,
        event: &'a Recorded,
        known: &'a SessionEvent,
    ) -> Result<(), ProjectionError> {
        let meta = &event.meta;
        match known {
            SessionEvent::LoginSucceeded(e) => {
                self.users.logged_in(event, e.user_id);
                history::succeeded(meta, e, &mut self.history);
            }
            SessionEvent::LoginFailed(e) => {
                if let (Some(user), true) = (e.user_id, e.counts) {
                    self.users.failed(event, user);
                }
                history::failed(meta, e, &mut self.history);
            }
            SessionEvent::UserLocked(e) => {
                if let Some(user) = e.user_id {
                    self.users.lock(event, user, e.locked_until);
                    security::locked(meta, user, e, &mut self.security);
                }
            }
            SessionEvent::UserUnlocked(e) => {
                self.users.unlock(event, e.user_id);
                security::unlocked(meta, e, &mut self.security);
            }
            SessionEvent::SessionStarted(e) => {
                self.sessions.start(meta, e);
                self.tokens.issue(Token::first(meta, e));
            }
            SessionEvent::SessionRefreshed(e) => {
                let (device, newest) = self.sessions.refresh(event, e)?;
                // The one that was shown, and the one that nobody got where an answer was lost.
                for old in newest.into_iter().filter(|id| *id != e.old_refresh_id) {
                    self.tokens.retire((e.user_id, e.session_id, old), meta, Some(e.refresh_id));
                }
                let shown = (e.user_id, e.session_id, e.old_refresh_id);
                self.tokens.retire(shown, meta, Some(e.refresh_id));
                self.tokens.issue(Token::next(meta, e, device));
            }
            SessionEvent::RefreshTokenReused(e) => security::reused(meta, e, &mut self.security),
            SessionEvent::SessionRevoked(e) => {
                let end = (meta.time, e.reason);
                if let Some(newest) = self.sessions.end(event, (e.user_id, e.session_id), end)? {
                    self.tokens.retire((e.user_id, e.session_id, newest), meta, None);
                }
            }
            SessionEvent::SessionExpired(e) => {
                let end = (e.expired_at, RevokedReason::Expired);
                if let Some(newest) = self.sessions.end(event, (e.user_id, e.session_id), end)? {
                    self.tokens.retire((e.user_id, e.session_id, newest), meta, None);
                }
            }
            SessionEvent::SessionActivityRecorded(e) => self.sessions.use_one(event, e)?,
            // When everything else of the round is written.
            SessionEvent::RetentionApplied(_) => {}
        }
        Ok(())
    }
}
