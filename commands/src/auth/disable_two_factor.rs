use echolog_events::{AdminAction, CredentialEvent, Stream, TwoFactorDisabled};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operators::recorded_if_anothers;
use super::{Authority, authority, need_authority, proof};
use crate::doc::{Doc, optional};
use crate::fields::{OneTimeCode, Password, SentCode, Text, Token};
use crate::{Context, Decide, Decision, Needs, World};

/// Makes a password alone enough again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisableTwoFactor {
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
    /// Why.
    pub reason: Option<Text<1, 255>>,
}

impl Decide for DisableTwoFactor {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Makes a password alone enough to log in. The user proves once more who it is, by password and code; administrators and services, whom somebody has told of a lost device, do not.",
        target: "your own user id; another's for administrators and services",
        fields: &[
            optional(
                "password",
                "text, 8 to 256 bytes; **a secret**; needed for your own account, as is a code",
            ),
            optional("totp", "text of six digits: what the authenticator shows; **a secret**"),
            optional("recovery_code", "text: one of the recovery codes; **a secret**"),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `2fa`, where that is the second factor or there is no password; **a secret**",
            ),
            optional("reason", "text, 1 to 255 characters"),
        ],
        events: &[
            "two_factor_disabled",
            "admin_action_recorded",
            "totp_used",
            "recovery_code_used",
            "otp_verified",
            "otp_attempt_failed",
            "login_failed",
            "user_locked",
            "admin_action_recorded",
        ],
        refused: &[
            ("forbidden", "the target is another user and you are no administrator"),
            ("unauthenticated", "what proves it is not right, or too many attempts failed before"),
        ],
        example: r#"{"password":"correct horse battery","totp":"287082","recovery_code":"abcde-23456","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"},"reason":"a new phone"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_authority(context, needs);
        proof::need(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let authority = authority(context, world)?;
        let used = match authority {
            Authority::Own => proof::check(context, world)?,
            Authority::Admin(_) | Authority::Service => None,
        };
        if !world.credentials(context.target).asks_for_second_factor() {
            return Ok(Vec::new());
        }
        let disabled = CredentialEvent::TwoFactorDisabled(TwoFactorDisabled {
            user_id: context.target,
            by_user_id: authority.user(context),
            reason: self.reason.as_ref().map(|reason| reason.as_str().to_owned()),
        });
        let events = proof::along(used, vec![disabled.into()]);
        let reason = self.reason.as_ref().map(Text::as_str);
        let action = AdminAction::DisableTwoFactor;
        let recorded = recorded_if_anothers(context, &authority, action, reason, json!({}));
        Ok(events.into_iter().chain(recorded).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{known, recovering, showing, story, two_factor};
    use super::super::{Check, Findings};
    use super::*;
    use crate::story::{Ending, Story, id};
    use crate::{Actor, ErrorCode};

    fn disable(story: &Story) -> Ending {
        story.when(id(1), id(1), DisableTwoFactor::default())
    }

    fn names(ending: Ending) -> Vec<&'static str> {
        ending.accepted().iter().map(|new| new.event.event_type().short()).collect()
    }

    fn with(password: Check, shown: Findings) -> Findings {
        Findings { password: Some(password), ..shown }
    }

    #[test]
    fn the_password_and_any_code_will_do() {
        let story = || two_factor(story(), 1);
        let code = with(Check::Right, showing(&story(), 1, 30));
        assert_eq!(names(disable(&story().findings(code))), ["totp_used", "two_factor_disabled"]);
        let recovery = with(Check::Right, recovering(&story(), 3));
        let events = names(disable(&story().findings(recovery)));
        assert_eq!(events, ["recovery_code_used", "two_factor_disabled"]);
        // Who has no password shows the code alone.
        let recovery = with(Check::NoPassword, recovering(&story(), 3));
        assert_eq!(names(disable(&story().findings(recovery))).len(), 2);
    }

    #[test]
    fn one_alone_will_not() {
        let story = two_factor(story(), 1).findings(known(Check::Right, 9));
        let no = disable(&story).refused(ErrorCode::Unauthenticated);
        assert!(no.data.is_some() && no.events.is_empty());
        let shown = recovering(&story, 3);
        disable(&story.findings(shown)).refused(ErrorCode::Invalid);
    }

    #[test]
    fn a_wrong_one_will_not_and_counts() {
        let story = two_factor(story(), 1);
        let wrong = with(Check::Wrong, recovering(&story, 3));
        let story = story.findings(wrong);
        assert_eq!(disable(&story).refused(ErrorCode::Unauthenticated).events.len(), 1);
        // The code that enabled it is used up.
        let same = with(Check::Right, showing(&story, 1, 0));
        let story = story.findings(same);
        assert_eq!(disable(&story).refused(ErrorCode::Unauthenticated).events.len(), 1);
    }

    #[test]
    fn a_service_needs_none_and_a_stranger_may_not() {
        let story = two_factor(story(), 1).findings(Findings::default());
        disable(&story).refused(ErrorCode::Invalid);
        let operator = Actor::Service("svc-operator".to_owned());
        let by_operator = story.when_actor(&operator, id(1), DisableTwoFactor::default());
        assert_eq!(names(by_operator), ["two_factor_disabled", "admin_action_recorded"]);
        story.when(id(2), id(1), DisableTwoFactor::default()).refused(ErrorCode::Forbidden);
        story.when_actor(&operator, id(2), DisableTwoFactor::default()).then_nothing();
    }
}
