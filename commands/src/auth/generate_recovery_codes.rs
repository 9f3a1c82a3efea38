use echolog_events::{Event, Stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::enable_two_factor::{generated, told};
use super::proof;
use crate::doc::{Doc, optional};
use crate::fields::{OneTimeCode, Password, SentCode, Token};
use crate::{Context, Decide, Decision, Needs, Rejection, World, access};

/// Asks for new recovery codes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateRecoveryCodes {
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub password: Option<Password>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub totp: Option<OneTimeCode>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub recovery_code: Option<Token>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub otp: Option<SentCode>,
}

impl Decide for GenerateRecoveryCodes {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Asks for ten new recovery codes; those of before are good for nothing. The outcome's `data` has `recovery_codes`; they are told once.",
        target: "your own user id",
        fields: &[
            optional("password", "text, 8 to 256 bytes; **a secret**; needed"),
            optional(
                "totp",
                "text of six digits: what the authenticator shows; **a secret**; needed, or `recovery_code`",
            ),
            optional("recovery_code", "text: one of the recovery codes; **a secret**"),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `2fa`, where that is the second factor or there is no password; **a secret**",
            ),
        ],
        events: &[
            "recovery_codes_generated",
            "totp_used",
            "recovery_code_used",
            "otp_verified",
            "otp_attempt_failed",
            "login_failed",
            "user_locked",
        ],
        refused: &[
            ("unauthenticated", "what proves it is not right, or too many attempts failed before"),
            ("conflict", "no second factor is in use"),
        ],
        example: r#"{"password":"correct horse battery","totp":"287082","recovery_code":"abcde-23456","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"}}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        proof::need(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let user_id = context.own_user()?;
        access::active_user(context, world)?;
        let used = proof::check(context, world)?;
        if !world.credentials(user_id).asks_for_second_factor() {
            return Err(Rejection::conflict("No second factor is in use."));
        }
        Ok(proof::along(used, vec![generated(context)?.into()]))
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        told(events)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{known, recovering, showing, story, two_factor};
    use super::super::{Check, Findings};
    use super::*;
    use crate::ErrorCode;
    use crate::auth::DisableTwoFactor;
    use crate::story::{Story, id};

    fn generate(story: &Story) -> crate::story::Ending {
        story.when(id(1), id(1), GenerateRecoveryCodes::default())
    }

    #[test]
    fn new_codes_end_the_old_ones() {
        let story = two_factor(story(), 1);
        let old = recovering(&story, 3);
        let mut shown = showing(&story, 1, 30);
        shown.password = Some(Check::Right);
        shown.recovery_codes = recovering(&story, 100).recovery_codes;
        let story = story.findings(shown);
        assert_eq!(generate(&story).accepted().len(), 2);
        let actor = crate::Actor::User(id(1));
        let story = story.done(&actor, id(1), GenerateRecoveryCodes::default());
        let old = Findings { password: Some(Check::Right), ..old };
        let story = story.findings(old);
        let no = story.when(id(1), id(1), DisableTwoFactor::default());
        no.refused(ErrorCode::Unauthenticated);
    }

    #[test]
    fn without_a_second_factor_there_are_none() {
        let story = story().findings(known(Check::Right, 9));
        generate(&story).refused(ErrorCode::Conflict);
    }
}
