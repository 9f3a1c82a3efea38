use chrono::TimeDelta;
use echolog_events::{CredentialEvent, Event, Stream, TwoFactorBegun};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{NewAuthenticator, proof};
use crate::doc::{Doc, optional};
use crate::fields::{Password, SentCode};
use crate::{Context, Decide, Decision, Needs, Rejection, World, access};

/// How long somebody has to enter the secret and to show the first code.
const TIME: TimeDelta = TimeDelta::minutes(10);

/// Asks for the secret of a new authenticator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginTwoFactor {
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub password: Option<Password>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub otp: Option<SentCode>,
}

impl Decide for BeginTwoFactor {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Asks for the secret of a new authenticator (RFC 6238: SHA-1, six digits, 30 seconds). The outcome's `data` has `factor_id`, `secret` (base32), `otpauth_uri` (for a QR code) and `expires_at`; the secret is told once. It serves after `enable_two_factor`.",
        target: "your own user id",
        fields: &[
            optional("password", "text, 8 to 256 bytes; **a secret**; needed where there is one"),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `2fa`, where there is no password; **a secret**",
            ),
        ],
        events: &[
            "two_factor_begun",
            "otp_verified",
            "login_failed",
            "otp_attempt_failed",
            "user_locked",
        ],
        refused: &[
            ("unauthenticated", "what is shown is not right, or too many attempts failed before"),
            ("conflict", "a second factor is in use already"),
        ],
        example: r#"{"password":"correct horse battery","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"}}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        proof::need(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let user_id = context.own_user()?;
        access::active_user(context, world)?;
        if context.findings.password.is_none() {
            return Err(Rejection::invalid("password", "The password is needed."));
        }
        if world.credentials(user_id).asks_for_second_factor() {
            return Err(Rejection::conflict("A second factor is in use; disable it first."));
        }
        let used = proof::check(context, world)?;
        let made = context.findings.authenticator.clone();
        let made = made.ok_or_else(|| Rejection::internal("There is no new authenticator."))?;
        let NewAuthenticator { factor_id, salt } = made;
        let begun = CredentialEvent::TwoFactorBegun(TwoFactorBegun {
            user_id,
            factor_id,
            salt,
            expires_at: context.time + TIME,
        });
        Ok(proof::along(used, vec![begun.into()]))
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        events.iter().find_map(|event| {
            let Event::Credentials(CredentialEvent::TwoFactorBegun(e)) = event else { return None };
            Some(json!({ "factor_id": e.factor_id, "expires_at": e.expires_at }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{begun, known, story, two_factor};
    use super::super::{Check, Findings};
    use super::BeginTwoFactor;
    use crate::ErrorCode;
    use crate::story::{Ending, Story, id};

    fn begin(story: &Story) -> Ending {
        story.when(id(1), id(1), BeginTwoFactor::default())
    }

    #[test]
    fn who_knows_the_password_gets_a_secret() {
        let story = story().findings(known(Check::Right, 1));
        assert_eq!(begin(&story).accepted().len(), 1);
        let again = begun(story, 1).findings(known(Check::Right, 2));
        assert_eq!(begin(&again).accepted().len(), 1, "the last one counts");
    }

    #[test]
    fn nobody_else_does() {
        let strange = story().findings(known(Check::Right, 1));
        strange.when(id(2), id(1), BeginTwoFactor::default()).refused(ErrorCode::Forbidden);
        begin(&story().findings(Findings::default())).refused(ErrorCode::Invalid);
        let no =
            begin(&story().findings(known(Check::Wrong, 1))).refused(ErrorCode::Unauthenticated);
        assert_eq!(no.events.len(), 1, "it counts");
        let no = begin(&story().findings(known(Check::NoPassword, 1)));
        assert!(no.refused(ErrorCode::Unauthenticated).events.is_empty(), "nothing was shown");
    }

    #[test]
    fn one_factor_at_a_time() {
        let story = two_factor(story(), 1).findings(known(Check::Right, 2));
        begin(&story).refused(ErrorCode::Conflict);
    }
}
