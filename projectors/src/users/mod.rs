//! Projection `users`: profiles, settings, who blocks whom, and what users did to their accounts.

mod activity;
mod blocks;
mod profiles;

use echolog_events::{AccountEvent, AuthEvent, Body, Event, Recorded, SessionEvent, UsersEvent};
use sqlx::PgConnection;

use self::activity::Activity;
use self::blocks::Blocks;
pub(crate) use self::profiles::visibility;
use self::profiles::{Profiles, settings};
use crate::rows::{Rows, Table};
use crate::{ProjectionError, Target};

/// The statements of projection `users`.
#[derive(Debug)]
pub(crate) struct Users {
    profiles: profiles::Statements,
    blocks: blocks::Statements,
    settings: Table,
    activity: Table,
}

/// What a batch does to the tables.
struct Batch<'a> {
    profiles: Profiles<'a>,
    blocks: Blocks<'a>,
    settings: Rows,
    activity: Activity,
}

impl Users {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            profiles: profiles::Statements::new(target),
            blocks: blocks::Statements::new(target),
            settings: Table::new(target, "settings", profiles::SETTINGS),
            activity: Table::new(target, "activity_log", activity::COLUMNS),
        }
    }

    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
    ) -> Result<(), ProjectionError> {
        let mut batch = Batch {
            profiles: Profiles::load(connection, &self.profiles, events).await?,
            blocks: Blocks::default(),
            settings: Rows::new(),
            activity: Activity::new(),
        };
        for event in events {
            batch.route(event)?;
        }
        batch.profiles.write(connection, &self.profiles).await?;
        batch.settings.send(connection, &self.settings).await?;
        batch.blocks.write(connection, &self.blocks).await?;
        batch.activity.write(connection, &self.activity).await
    }
}

impl<'a> Batch<'a> {
    /// Which event writes which table.
    fn route(&mut self, event: &'a Recorded) -> Result<(), ProjectionError> {
        let Body::Known(known) = &event.body else { return Ok(()) };
        match known {
            Event::Auth(AuthEvent::UserRegistered(e)) => {
                self.profiles.register(event, e);
                settings(&event.meta, e, &mut self.settings);
                self.activity.registered(&event.meta, e);
            }
            Event::Users(UsersEvent::ProfileUpdated(e)) => {
                for change in self.profiles.update(event, e)? {
                    self.activity.changed(&event.meta, e.user_id, &change);
                }
            }
            Event::Accounts(AccountEvent::UserDeleted(e)) => {
                self.profiles.delete(event, e.user_id)?;
                self.activity.deleted(&event.meta, e.user_id);
            }
            Event::Sessions(SessionEvent::SessionStarted(e)) => {
                self.profiles.see(e.user_id, event.meta.time);
            }
            Event::Sessions(SessionEvent::SessionActivityRecorded(e)) => {
                self.profiles.see(e.user_id, e.active_at);
            }
            Event::Users(UsersEvent::UserBlocked(e)) => self.blocks.block(&event.meta, e),
            Event::Users(UsersEvent::UserUnblocked(e)) => self.blocks.unblock(e),
            Event::Auth(
                AuthEvent::IdentifierClaimed(_)
                | AuthEvent::IdentifierReleased(_)
                | AuthEvent::AdminRosterChanged(_),
            )
            | Event::Accounts(
                AccountEvent::UserSuspended(_)
                | AccountEvent::UserBanned(_)
                | AccountEvent::UserReinstated(_)
                | AccountEvent::UserRoleChanged(_)
                | AccountEvent::EmailChanged(_)
                | AccountEvent::PhoneChanged(_)
                | AccountEvent::EmailVerified(_)
                | AccountEvent::PhoneVerified(_),
            )
            | Event::Sessions(
                SessionEvent::LoginSucceeded(_)
                | SessionEvent::LoginFailed(_)
                | SessionEvent::UserLocked(_)
                | SessionEvent::UserUnlocked(_)
                | SessionEvent::SessionRefreshed(_)
                | SessionEvent::RefreshTokenReused(_)
                | SessionEvent::SessionRevoked(_)
                | SessionEvent::SessionExpired(_)
                | SessionEvent::RetentionApplied(_),
            )
            | Event::Audit(_)
            | Event::Credentials(_)
            | Event::Passwords(_)
            | Event::Codes(_)
            | Event::Messages(_)
            | Event::System(_) => {}
        }
        Ok(())
    }
}
