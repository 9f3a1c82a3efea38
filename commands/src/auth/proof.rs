//! Proving once more who one is: before what a stolen connection must not be able to do.

use echolog_events::{
    IdentifierType, LoginFailed, LoginFailure, OtpPurpose, SessionEvent, UserLocked,
};

use super::{Check, SecondFactor, credentials_are_not_right, factors, sent};
use serde_json::json;

use crate::state::Sessions;
use crate::{Context, Key, Needs, NewEvent, Rejection, World};

/// Asks for what [`check`] reads and changes.
pub(super) fn need(context: &Context<'_>, needs: &mut Needs) {
    needs.want(Key::User(context.target));
    needs.want(Key::Sessions(context.target));
    needs.want(Key::Credentials(context.target));
    if let Some(SecondFactor::Sent(_)) = context.findings.second_factor {
        needs.want(Key::Codes(context.target));
    }
}

/// Demands the password once more, and a second factor where one is in use: whoever has got hold of a
/// session and a password must not be able to shut its owner out. An account without a password shows its
/// second factor alone; one without either, a code that was sent to it. Returns what showing it leaves. A
/// wrong one counts like an attempt to log in.
pub(super) fn check(context: &Context<'_>, world: &World) -> Result<Option<NewEvent>, Rejection> {
    let shown = context.findings;
    let Some(check) = shown.password else {
        return Err(Rejection::invalid("password", "This takes the password once more."));
    };
    check_is_present(world.sessions(context.target), shown.password_number)?;
    after(context, world, check)
}

/// The same, of a password that was checked.
pub(super) fn after(
    context: &Context<'_>,
    world: &World,
    check: Check,
) -> Result<Option<NewEvent>, Rejection> {
    let sessions = world.sessions(context.target);
    let two_factors = world.credentials(context.target).asks_for_second_factor();
    let check = match check {
        Check::NoPassword if two_factors => Check::Right,
        Check::NoPassword => return own_code(context, world).map(Some),
        Check::Right | Check::Wrong | Check::Unknown => check,
    };
    match failure(context, sessions, check) {
        Some(reason) => Err(failed(context, sessions, attempt(context, reason))),
        None => second_factor(context, world, |reason| attempt(context, reason)),
    }
}

/// What showing a code leaves that was sent to the account's own address or number.
fn own_code(context: &Context<'_>, world: &World) -> Result<NewEvent, Rejection> {
    let sessions = world.sessions(context.target);
    let fail = |reason| failed(context, sessions, attempt(context, reason));
    if sessions.is_locked(context.time) {
        return Err(fail(LoginFailure::Locked));
    }
    let Some(SecondFactor::Sent(shown)) = &context.findings.second_factor else {
        return Err(Rejection::unauthenticated(
            "The account has no password: show a code that was sent for `2fa`.",
        ));
    };
    match sent::right(context, world, shown, &[OtpPurpose::TwoFactor]) {
        Ok(_) => Ok(sent::used(context, world, shown.otp_id, None)),
        Err(wrong) => Err(fail(LoginFailure::WrongCode).leaving(wrong.leaves(context, world))),
    }
}

/// What showing the second factor leaves, where the account asks for one. Whoever gets here has shown the
/// password.
pub(super) fn second_factor(
    context: &Context<'_>,
    world: &World,
    attempt: impl FnOnce(LoginFailure) -> LoginFailed,
) -> Result<Option<NewEvent>, Rejection> {
    let Some(ways) = world.credentials(context.target).second_factors() else { return Ok(None) };
    let Some(shown) = &context.findings.second_factor else {
        let no = Rejection::unauthenticated("A second factor is needed.");
        return Err(no.with_data(json!({ "second_factor": ways })));
    };
    factors::accept(context, world, shown).map(Some).map_err(|wrong| {
        let attempt = attempt(LoginFailure::WrongSecondFactor);
        let no = failed(context, world.sessions(context.target), attempt);
        no.leaving(wrong.leaves(context, world))
    })
}

/// What showing a proof leaves, along with what it was shown for: the first event of a command is in the
/// stream of its target, and an authenticator is used before it ends.
pub(super) fn along(used: Option<NewEvent>, done: Vec<NewEvent>) -> Vec<NewEvent> {
    let stream = done.first().map(|done| done.key.stream);
    let (first, last) = match used {
        Some(used) if Some(used.key.stream) == stream => (Some(used), None),
        used => (None, used),
    };
    first.into_iter().chain(done).chain(last).collect()
}

/// Why what was shown does not count as right, by itself or because of a lock.
pub(super) fn failure(
    context: &Context<'_>,
    sessions: &Sessions,
    check: Check,
) -> Option<LoginFailure> {
    if sessions.is_locked(context.time) {
        return Some(LoginFailure::Locked);
    }
    match check {
        Check::Wrong => Some(LoginFailure::WrongPassword),
        Check::NoPassword => Some(LoginFailure::NoPassword),
        Check::Unknown => Some(LoginFailure::UnknownIdentifier),
        Check::Right => None,
    }
}

/// Refuses what was checked against a hash that is not the present one.
///
/// # Errors
/// `unavailable`, if there has been another since.
pub(super) fn check_is_present(sessions: &Sessions, checked: u32) -> Result<(), Rejection> {
    if checked < sessions.password {
        return Err(Rejection::unavailable("The password was changed just now; retry."));
    }
    Ok(())
}

/// Somebody who has logged in failed to prove it once more.
pub(super) fn attempt(context: &Context<'_>, reason: LoginFailure) -> LoginFailed {
    LoginFailed {
        account_id: context.target,
        user_id: Some(context.target),
        identifier: context.target.to_string(),
        identifier_type: IdentifierType::UserId,
        reason,
        counts: counts(reason),
        origin: context.findings.origin.clone(),
        device_id: None,
    }
}

/// Whether an attempt that failed for this counts towards the lock.
pub(super) fn counts(reason: LoginFailure) -> bool {
    match reason {
        LoginFailure::UnknownIdentifier
        | LoginFailure::WrongPassword
        | LoginFailure::WrongSecondFactor
        | LoginFailure::WrongCode
        | LoginFailure::NoPassword => true,
        LoginFailure::Locked
        | LoginFailure::Suspended
        | LoginFailure::Banned
        | LoginFailure::Deleted => false,
    }
}

/// A no, and what it leaves behind: the attempt, and the lock after too many.
pub(super) fn failed(
    context: &Context<'_>,
    sessions: &Sessions,
    attempt: LoginFailed,
) -> Rejection {
    let no = match attempt.reason {
        LoginFailure::Suspended => Rejection::forbidden("The account is suspended."),
        LoginFailure::Banned => Rejection::forbidden("The account is banned."),
        LoginFailure::UnknownIdentifier
        | LoginFailure::WrongPassword
        | LoginFailure::WrongSecondFactor
        | LoginFailure::NoPassword
        | LoginFailure::WrongCode
        | LoginFailure::Locked
        | LoginFailure::Deleted => credentials_are_not_right(),
    };
    let (account_id, user_id) = (attempt.account_id, attempt.user_id);
    let failed_attempts = sessions.failures + u32::from(attempt.counts);
    let locks = attempt.counts && failed_attempts >= context.settings.login_attempts;
    let mut events = vec![SessionEvent::LoginFailed(attempt)];
    if locks {
        events.push(SessionEvent::UserLocked(UserLocked {
            account_id,
            user_id,
            locked_until: context.time + context.settings.login_lock,
            failed_attempts,
            origin: context.findings.origin.clone(),
        }));
    }
    no.leaving(events.into_iter().map(NewEvent::from))
}
