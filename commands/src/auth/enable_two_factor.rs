use echolog_events::{
    CodeHash, CredentialEvent, Event, IdentifierType, LoginFailure, OtpPurpose,
    RecoveryCodesGenerated, Stream, TwoFactorEnabled, TwoFactorMethod,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{NewRecoveryCodes, SecondFactor, SentCode, factors, proof, sent};
use crate::doc::{Doc, optional};
use crate::fields::{self, OneTimeCode, Password};
use crate::{Context, Decide, Decision, Needs, NewEvent, Rejection, World, access};

/// Takes a second factor into use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnableTwoFactor {
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub totp: Option<OneTimeCode>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub otp: Option<fields::SentCode>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub password: Option<Password>,
}

/// New recovery codes, as the request path has made them.
pub(super) fn generated(context: &Context<'_>) -> Result<CredentialEvent, Rejection> {
    let made = context.findings.recovery_codes.clone();
    let made = made.ok_or_else(|| Rejection::internal("There are no recovery codes."))?;
    let NewRecoveryCodes { set_id, codes } = made;
    let user_id = context.target;
    Ok(CredentialEvent::RecoveryCodesGenerated(RecoveryCodesGenerated { user_id, set_id, codes }))
}

/// Which recovery codes an outcome tells.
pub(super) fn told(events: &[&Event]) -> Option<Value> {
    events.iter().find_map(|event| {
        let Event::Credentials(CredentialEvent::RecoveryCodesGenerated(e)) = event else {
            return None;
        };
        Some(json!({ "set_id": e.set_id }))
    })
}

/// From now on the authenticator that was begun last shows codes.
fn authenticator(context: &Context<'_>, world: &World, shown: &CodeHash) -> Decision {
    let user_id = context.target;
    let Some(begun) = &world.credentials(user_id).begun else {
        return Err(Rejection::conflict("No authenticator was begun."));
    };
    if begun.expires_at <= context.time {
        return Err(Rejection::gone("The authenticator was begun too long ago; begin again."));
    }
    // Somebody else may have got hold of the session, and was not told the secret.
    let sessions = world.sessions(user_id);
    let fail = |reason| proof::failed(context, sessions, proof::attempt(context, reason));
    if sessions.is_locked(context.time) {
        return Err(fail(LoginFailure::Locked));
    }
    let step = factors::step_of(context, (begun.id, &begun.salt), None, shown)
        .ok_or_else(|| fail(LoginFailure::WrongSecondFactor))?;
    let enabled = CredentialEvent::TwoFactorEnabled(TwoFactorEnabled {
        user_id,
        method: TwoFactorMethod::Totp,
        factor_id: Some(begun.id),
        step: Some(step),
    });
    Ok(vec![NewEvent::from(enabled), NewEvent::from(generated(context)?)])
}

/// From now on codes are sent. Nobody but the owner of the account has got one; whoever has got hold of
/// a session has to show the password all the same, as for an authenticator's secret.
fn sent_codes(context: &Context<'_>, world: &World, shown: &SentCode) -> Decision {
    let used = proof::check(context, world)?;
    let user_id = context.target;
    let code = sent::right(context, world, shown, &[OtpPurpose::TwoFactor]);
    let code = code.map_err(|wrong| wrong.refused(context, world))?;
    let method = match code.identifier_type {
        IdentifierType::Phone => TwoFactorMethod::Sms,
        IdentifierType::Email => TwoFactorMethod::Email,
        IdentifierType::Username | IdentifierType::UserId | IdentifierType::Oauth => {
            return Err(Rejection::internal("The code went nowhere."));
        }
    };
    let enabled = CredentialEvent::TwoFactorEnabled(TwoFactorEnabled {
        user_id,
        method,
        factor_id: Some(shown.otp_id),
        step: None,
    });
    let mut events = vec![NewEvent::from(enabled), NewEvent::from(generated(context)?)];
    // Where there is no password it has proved that as well.
    events.push(used.unwrap_or_else(|| sent::used(context, world, shown.otp_id, None)));
    events.extend(sent::verifies(context, world, code));
    Ok(events)
}

impl Decide for EnableTwoFactor {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Takes a second factor into use: the authenticator that was begun last, or codes to the address or number of the account. From now on who logs in needs a code as well. The outcome's `data` has `recovery_codes`, ten codes that serve once each in its place; they are told once.",
        target: "your own user id",
        fields: &[
            optional(
                "totp",
                "text of six digits: what the authenticator shows; **a secret**; or `otp`",
            ),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `2fa` to the account's own address or number; **a secret**",
            ),
            optional(
                "password",
                "text, 8 to 256 bytes; **a secret**; needed with `otp` where there is one",
            ),
        ],
        events: &[
            "two_factor_enabled",
            "recovery_codes_generated",
            "otp_verified",
            "email_verified",
            "phone_verified",
            "login_failed",
            "otp_attempt_failed",
            "user_locked",
        ],
        refused: &[
            (
                "unauthenticated",
                "it is another code, or another password, or too many attempts failed before",
            ),
            ("conflict", "no authenticator was begun, or a second factor is in use already"),
            ("gone", "it was begun, or sent, more than ten minutes ago"),
        ],
        example: r#"{"totp":"287082","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"},"password":"correct horse battery"}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        proof::need(context, needs);
        if let Some(SecondFactor::Sent(shown)) = &context.findings.second_factor {
            sent::need(context, world, shown.otp_id, needs);
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let user_id = context.own_user()?;
        access::active_user(context, world)?;
        if world.credentials(user_id).asks_for_second_factor() {
            return Err(Rejection::conflict("A second factor is in use already."));
        }
        match &context.findings.second_factor {
            Some(SecondFactor::Totp(shown)) => authenticator(context, world, shown),
            Some(SecondFactor::Sent(shown)) => sent_codes(context, world, shown),
            Some(SecondFactor::RecoveryCode(_)) | None => {
                Err(Rejection::invalid("totp", "A code is needed."))
            }
        }
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        told(events)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::tests::{begun, showing, story, two_factor};
    use super::*;
    use crate::ErrorCode;
    use crate::story::{Story, id};

    fn enable(story: &Story) -> crate::story::Ending {
        story.when(id(1), id(1), EnableTwoFactor::default())
    }

    #[test]
    fn the_code_of_the_authenticator_enables_it() {
        let story = begun(story(), 1);
        let shown = showing(&story, 1, 0);
        let events = enable(&story.findings(shown)).accepted();
        let names: Vec<_> = events.iter().map(|new| new.event.event_type().short()).collect();
        assert_eq!(names, ["two_factor_enabled", "recovery_codes_generated"]);
    }

    #[test]
    fn another_code_does_not() {
        let story = begun(story(), 1);
        let (old, other) = (showing(&story, 1, 120), showing(&story, 2, 0));
        let story = story.findings(old);
        enable(&story).refused(ErrorCode::Unauthenticated);
        enable(&story.findings(other)).refused(ErrorCode::Unauthenticated);
    }

    #[test]
    fn it_has_to_be_begun_and_lately() {
        let none = story();
        let shown = showing(&none, 1, 0);
        enable(&none.findings(shown)).refused(ErrorCode::Conflict);
        let late = begun(story(), 1).at(echolog_events::Time::default() + TimeDelta::minutes(10));
        let shown = showing(&late, 1, 0);
        enable(&late.findings(shown)).refused(ErrorCode::Gone);
        let used = two_factor(story(), 1);
        let shown = showing(&used, 1, 0);
        enable(&used.findings(shown)).refused(ErrorCode::Conflict);
    }
}
