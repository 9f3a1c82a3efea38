//! Commands about accounts and sessions.

mod apply_retention;
mod ban_user;
mod begin_two_factor;
mod change_email;
mod change_password;
mod change_phone;
mod change_user_role;
mod complete_password_reset;
mod contact;
mod create_api_key;
mod delete_user;
mod disable_two_factor;
mod enable_two_factor;
mod expire_session;
pub mod factors;
mod findings;
mod generate_recovery_codes;
mod identifier;
mod link_oauth_provider;
mod log_in;
mod oauth;
mod operators;
mod proof;
mod record_api_key_use;
mod record_session_activity;
mod refresh_oauth_token;
mod refresh_session;
mod register_user;
mod reinstate_user;
mod request_otp;
mod request_password_reset;
mod revoke_all_sessions;
mod revoke_api_key;
mod revoke_session;
mod sent;
mod standing;
mod suspend_user;
mod unlink_oauth_provider;
mod unlock_user;
mod verify_otp;

use chrono::TimeDelta;
use echolog_events::{RevokedReason, SessionEvent, SessionRevoked, UserRole, Uuid};

use crate::fields::made;
use crate::{Actor, Context, Key, Needs, Rejection, World, access};

pub use apply_retention::ApplyRetention;
pub use ban_user::BanUser;
pub use begin_two_factor::BeginTwoFactor;
pub use change_email::ChangeEmail;
pub use change_password::ChangePassword;
pub use change_phone::ChangePhone;
pub use change_user_role::ChangeUserRole;
pub use complete_password_reset::CompletePasswordReset;
pub use create_api_key::CreateApiKey;
pub use delete_user::DeleteUser;
pub use disable_two_factor::DisableTwoFactor;
pub use enable_two_factor::EnableTwoFactor;
pub use expire_session::ExpireSession;
pub use findings::{
    Check, Exchange, Exchanged, Findings, Holdings, Identity, Login, NewAuthenticator, NewCode,
    NewKey, NewPassword, NewRecoveryCodes, NewReset, NewTokens, Refresh, Reset, SealedTokens,
    SecondFactor, SentCode, ShownCode, ShownProof, ShownReset, Vouched,
};
pub use generate_recovery_codes::GenerateRecoveryCodes;
pub use link_oauth_provider::LinkOauthProvider;
pub use log_in::{LogIn, NameType};
pub use oauth::{OauthProof, cannot_be_asked, not_linked, not_vouched_for};
pub use record_api_key_use::RecordApiKeyUse;
pub use record_session_activity::RecordSessionActivity;
pub use refresh_oauth_token::{PresentToken, RefreshOauthToken};
pub use refresh_session::RefreshSession;
pub use register_user::RegisterUser;
#[cfg(any(test, feature = "story"))]
pub(crate) use register_user::registered_for_tests;
pub use reinstate_user::ReinstateUser;
pub use request_otp::{RequestOtp, is_for_users};
pub use request_password_reset::RequestPasswordReset;
pub use revoke_all_sessions::RevokeAllSessions;
pub use revoke_api_key::RevokeApiKey;
pub use revoke_session::RevokeSession;
pub use standing::{Ask, Ended, Right, Standing};
pub use suspend_user::SuspendUser;
pub use unlink_oauth_provider::UnlinkOauthProvider;
pub use unlock_user::UnlockUser;
pub use verify_otp::VerifyOtp;

/// Under what right somebody acts on an account.
enum Authority {
    /// It is their own.
    Own,
    /// They are an administrator.
    Admin(Uuid),
    /// They are a service: an operator, or a worker of ours.
    Service,
}

impl Authority {
    /// The user who acts, if it is one.
    fn user(&self, context: &Context<'_>) -> Option<Uuid> {
        match self {
            Self::Own => Some(context.target),
            Self::Admin(id) => Some(*id),
            Self::Service => None,
        }
    }
}

/// Asks for what [`authority`] reads.
fn need_authority(context: &Context<'_>, needs: &mut Needs) {
    if let Ok(user) = context.user() {
        needs.want(Key::User(user));
    }
}

/// Under what right the actor acts on the account that is the target.
fn authority(context: &Context<'_>, world: &World) -> Result<Authority, Rejection> {
    if matches!(context.actor, Actor::Service(_)) {
        return Ok(Authority::Service);
    }
    let id = context.user()?;
    // Whoever has a session can end it, whatever else the account may do.
    if id == context.target && world.user(id).is_some() {
        return Ok(Authority::Own);
    }
    match access::active_user(context, world)?.role {
        UserRole::Admin => Ok(Authority::Admin(id)),
        UserRole::User | UserRole::Creator | UserRole::Moderator => {
            Err(Rejection::forbidden("This is another user's."))
        }
    }
}

/// Whether an id was made just now.
fn made_just_now(context: &Context<'_>, id: Uuid) -> bool {
    made(id).is_some_and(|made| made + OLD > context.time && made < context.time + AHEAD)
}

/// Demands a service: an operator, or a worker of ours.
fn only_services(context: &Context<'_>) -> Result<(), Rejection> {
    match context.actor {
        Actor::Service(_) => Ok(()),
        Actor::User(_) | Actor::Anonymous(_) => Err(Rejection::forbidden("This is for services.")),
    }
}

/// How old the id of a new thing may be, and how far ahead.
const OLD: TimeDelta = TimeDelta::minutes(5);
const AHEAD: TimeDelta = TimeDelta::minutes(2);

/// Whether the id of a new thing, which is the target, was made just now.
fn check_age(context: &Context<'_>, id: Uuid) -> Result<(), Rejection> {
    if !made_just_now(context, id) {
        return Err(Rejection::invalid(
            "target",
            "The id of what is new is a UUIDv7 that was made within the last five minutes.",
        ));
    }
    Ok(())
}

/// A session ends.
fn ends(user_id: Uuid, session_id: Uuid, reason: RevokedReason, by: Option<Uuid>) -> SessionEvent {
    SessionEvent::SessionRevoked(SessionRevoked { user_id, session_id, reason, by_user_id: by })
}

/// The one answer to whoever does not prove who they are.
#[must_use]
pub fn credentials_are_not_right() -> Rejection {
    Rejection::unauthenticated("The credentials are not right.")
}

/// What was said to a command whose first event this is, if it was a no.
#[must_use]
pub fn refused_with(event: &str) -> Option<Rejection> {
    match event {
        "login_failed" => Some(credentials_are_not_right()),
        "refresh_token_reused" => Some(refresh_session::not_right()),
        "otp_attempt_failed" => Some(sent::not_right()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{Origin, RecoveryCode, TokenHash};

    use super::*;
    use crate::story::{Story, id};

    /// Two users, on the evening of the first day of 1970.
    pub(super) fn story() -> Story {
        Story::new().users([id(1), id(2)])
    }

    /// A session of the time that stories happen at.
    pub(super) fn session(number: u16) -> Uuid {
        id(500 + number)
    }

    pub(super) fn log_in(device: &str) -> LogIn {
        let body = serde_json::json!({ "identifier": "ada", "device_id": device });
        serde_json::from_value(body).expect("a good body")
    }

    pub(super) fn tokens(number: u16, generation: u32) -> NewTokens {
        NewTokens {
            token_hash: TokenHash::new(format!("session {number} {generation}")),
            refresh_id: id(1_000 + 16 * number + u16::try_from(generation).expect("a few")),
            refresh_hash: TokenHash::new(format!("refresh {number} {generation}")),
            generation,
        }
    }

    pub(super) fn found(number: u16, check: Check) -> Findings {
        Findings {
            origin: Origin::default(),
            login: Some(Login {
                session_id: session(number),
                identifier: "ada".to_owned(),
                check,
                code: None,
                tokens: tokens(number, 0),
                device_id: format!("made up {number}"),
                password: 0,
                rehashed: None,
            }),
            ..Findings::default()
        }
    }

    /// Somebody who is logged in shows the password.
    pub(super) fn known(check: Check, number: u16) -> Findings {
        let made = NewAuthenticator { factor_id: factor(number), salt: "salt".to_owned() };
        Findings { password: Some(check), authenticator: Some(made), ..Findings::default() }
    }

    pub(super) fn factor(number: u16) -> Uuid {
        id(700 + number)
    }

    /// User 1 has asked for the secret of this authenticator.
    pub(super) fn begun(story: Story, number: u16) -> Story {
        let story = story.findings(known(Check::Right, number));
        story.done(&Actor::User(id(1)), id(1), BeginTwoFactor::default())
    }

    /// User 1 shows what this authenticator shows so many seconds later, and asks for new codes.
    pub(super) fn showing(story: &Story, number: u16, seconds: i64) -> Findings {
        let (key, time) = (b"", story.now() + chrono::TimeDelta::seconds(seconds));
        let secret = factors::secret(key, id(1), factor(number), "salt");
        let code = factors::shown_at(secret, time);
        Findings {
            second_factor: Some(SecondFactor::Totp(factors::code_hash(key, id(1), &code))),
            ..recovering(story, 0)
        }
    }

    /// User 1 shows a recovery code, and asks for new ones.
    pub(super) fn recovering(_: &Story, number: u16) -> Findings {
        let code = |number: u16| factors::code_hash(b"", id(1), &format!("code {number}"));
        let made =
            |place| RecoveryCode { id: id(800 + number + place), hash: code(number + place) };
        Findings {
            second_factor: Some(SecondFactor::RecoveryCode(code(number))),
            recovery_codes: Some(NewRecoveryCodes {
                set_id: id(799),
                codes: (0..10).map(made).collect(),
            }),
            ..Findings::default()
        }
    }

    /// User 1 has a second factor.
    pub(super) fn two_factor(story: Story, number: u16) -> Story {
        let story = begun(story, number);
        let shown = showing(&story, number, 0);
        let story = story.findings(shown);
        story.done(&Actor::User(id(1)), id(1), EnableTwoFactor::default())
    }

    /// User 1 has logged in.
    pub(super) fn logged_in(story: Story, number: u16) -> Story {
        let device = format!("device {number}");
        story
            .findings(found(number, Check::Right))
            .done(&Actor::Anonymous("anon-1".to_owned()), id(1), log_in(&device))
            .findings(Findings::default())
    }

    #[test]
    fn ids_of_stories_are_of_their_time() {
        assert!(made(session(1)).is_some());
    }
}
