//! What the password of an account is, and whether somebody may have another.

use echolog_commands::auth::{ChangePassword, Check, Findings, NewPassword, RegisterUser};
use echolog_commands::{Actor, Rejection};
use echolog_events::{
    AuthEvent, Body, Event, PasswordHash, Recorded, Stream, StreamKey, Uuid, partition_of,
};
use echolog_nats::{BusError, CommandSubject, EventLog};

use super::factors::Shown;
use super::login::{Found, is_torn, unreadable};
use super::{Front, target};

/// What the log says about an account's password.
#[derive(Default)]
pub(super) struct Stored {
    /// `None`: the account has none, or there is no account.
    pub(super) hash: Option<PasswordHash>,
    /// The number of that hash; 0 for the one of the registration.
    pub(super) number: u32,
}

impl Front {
    /// Finds out whether the old password is right, and hashes the new one. Nothing is done for
    /// somebody who has no business with this account: its owner says so.
    pub(super) async fn change_password(
        &self,
        subject: &CommandSubject,
        command: &mut ChangePassword,
    ) -> Result<Found, Rejection> {
        let (old, new) = (command.old_password.take(), command.new_password.take());
        let shown =
            Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take());
        let account = target(subject)?;
        let second_factor = self.second_factor(account, shown)?;
        let found = |new_password| Found {
            findings: Findings { new_password, second_factor, ..Findings::default() },
            ..Found::default()
        };
        let operator = match Actor::parse(&subject.actor) {
            Some(Actor::User(id)) if id == account => false,
            Some(Actor::Service(_)) => true,
            Some(Actor::User(_) | Actor::Anonymous(_)) | None => return Ok(found(None)),
        };
        let Some(new) = new else {
            return Err(Rejection::invalid("new_password", "A new password is needed."));
        };
        let Stored { hash: stored, number } = password_of(&self.handler.log(), account).await?;
        let stored = stored.map(|hash| hash.expose().to_owned());
        let check = match &old {
            Some(old) if !operator => {
                let right = self.passwords.check(old.expose().to_owned(), stored.clone()).await?;
                Some(match (&stored, right) {
                    (None, _) => Check::NoPassword,
                    (Some(_), false) => Check::Wrong,
                    (Some(_), true) => Check::Right,
                })
            }
            None if !operator && stored.is_none() => Some(Check::NoPassword),
            Some(_) | None => None,
        };
        let is_same = match (&old, stored) {
            (Some(old), _) if !operator => *old == new,
            (_, Some(stored)) if operator => {
                self.passwords.check(new.expose().to_owned(), Some(stored)).await?
            }
            _ => false,
        };
        // Whether the old one is right or not: it must not take longer where it is.
        let hash = if operator || check.is_some() {
            let hash = self.passwords.hash(new.expose().to_owned()).await?;
            Some(PasswordHash::new(hash))
        } else {
            None
        };
        let may = matches!(check, Some(Check::Right | Check::NoPassword)) && !is_same;
        let hash = hash.filter(|_| operator || may);
        Ok(found(Some(NewPassword { password: number, check, is_same, hash })))
    }
}

impl Front {
    /// The hash that a new account begins with, if it has a password.
    pub(super) async fn first_password(
        &self,
        subject: &CommandSubject,
        command: &mut RegisterUser,
    ) -> Result<Option<String>, Rejection> {
        match (command.password.take(), command.imported_hash.take()) {
            (None, None) => Ok(None),
            (Some(password), None) => {
                self.passwords.hash(password.expose().to_owned()).await.map(Some)
            }
            (None, Some(hash)) => match Actor::parse(&subject.actor) {
                Some(Actor::Service(_)) => Ok(Some(hash.expose().to_owned())),
                Some(Actor::User(_) | Actor::Anonymous(_)) | None => {
                    Err(Rejection::forbidden("Only services bring hashes of passwords."))
                }
            },
            (Some(_), Some(_)) => Err(Rejection::invalid(
                "password_hash",
                "An account has a password or the hash of one, not both.",
            )),
        }
    }
}

/// An account's password, by the log itself. What this build cannot read may say that it is another
/// by now. What is asked does not depend on whether there is an account.
pub(super) async fn password_of(log: &EventLog, account: Uuid) -> Result<Stored, Rejection> {
    let registered = StreamKey::of(Stream::User, account);
    let first = first_whole(log, &registered).await.map_err(unreadable)?;
    let changed = StreamKey::of(Stream::Password, account);
    let last = last_whole(log, &changed).await.map_err(unreadable)?;
    let mut stored = match first.map(|first| first.body) {
        Some(Body::Known(Event::Auth(AuthEvent::UserRegistered(e)))) => {
            Stored { hash: e.password_hash, number: 0 }
        }
        Some(Body::Unreadable(_)) => return Err(newer()),
        Some(Body::Known(_)) | None => Stored::default(),
    };
    match last.map(|last| last.body) {
        Some(Body::Known(Event::Passwords(e))) => {
            stored.hash = Some(e.password_hash().clone());
            stored.number = e.number();
        }
        Some(Body::Known(_) | Body::Unreadable(_)) => return Err(newer()),
        None => {}
    }
    Ok(stored)
}

fn newer() -> Rejection {
    Rejection::unavailable("A newer build has to tell whether this is right.")
}

/// The first event of a stream that is not of a torn group.
pub(super) async fn first_whole(
    log: &EventLog,
    key: &StreamKey,
) -> Result<Option<Recorded>, BusError> {
    let mut from = 1;
    loop {
        let first = log.first(partition_of(&key.id), key, from).await?;
        let torn = is_torn(log, first.as_ref()).await?;
        match first {
            Some(first) if torn => from = first.seq + 1,
            first => return Ok(first),
        }
    }
}

/// The last one. Behind a torn group, which is as rare as a full disk, the stream is read from its
/// beginning.
async fn last_whole(log: &EventLog, key: &StreamKey) -> Result<Option<Recorded>, BusError> {
    let partition = partition_of(&key.id);
    let last = log.last(partition, key).await?;
    if !is_torn(log, last.as_ref()).await? {
        return Ok(last);
    }
    let (mut whole, mut from) = (None, 1);
    while let Some(event) = log.first(partition, key, from).await? {
        from = event.seq + 1;
        if !log.is_torn(event.seq).await? {
            whole = Some(event);
        }
    }
    Ok(whole)
}
