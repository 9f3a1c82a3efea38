use echolog_events::{CodeEvent, Event, OtpAttemptFailed, OtpPurpose, OtpVerified, Stream, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::findings::ShownCode;
use super::request_otp::is_for_users;
use super::{NameType, identifier};
use crate::doc::{Doc, optional};
use crate::fields::{OneTimeCode, Text};
use crate::state::{Code, Codes};
use crate::{Context, Decide, Decision, Key, Needs, NewEvent, Rejection, World};

/// Shows a one-time code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyOtp {
    /// Where the code went, unless it is about one's own account.
    pub identifier: Option<Text<1, 255>>,
    /// Whether that is an address or a number.
    pub identifier_type: Option<NameType>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub code: Option<OneTimeCode>,
}

impl VerifyOtp {
    /// Where the code went, as an account would have claimed it, and what kind of name that is.
    #[must_use]
    pub fn canonical(&self) -> Option<(NameType, String)> {
        let text = self.identifier.as_ref()?.as_str();
        let kind = self.identifier_type.unwrap_or_else(|| identifier::kind(text));
        Some((kind, identifier::canonical(text, kind)?))
    }
}

/// The one answer to whoever shows another code than the one that was sent.
pub(super) fn not_right() -> Rejection {
    Rejection::unauthenticated("The code is not right.")
}

/// The code that was shown, if it is the right one.
///
/// # Errors
/// `gone` if there is none that could be shown, `unauthenticated` if it is another, which counts.
fn shown<'c>(
    context: &Context<'_>,
    codes: &'c Codes,
    shown: &ShownCode,
) -> Result<&'c Code, Rejection> {
    let code = codes.open.get(&shown.otp_id).filter(|code| code.is_good(context.time));
    let code = code.ok_or_else(|| {
        Rejection::gone("The code has expired, was used, replaced or guessed wrong too often.")
    })?;
    if code.hash == shown.hash {
        return Ok(code);
    }
    let failed = CodeEvent::OtpAttemptFailed(OtpAttemptFailed {
        account_id: context.target,
        user_id: shown.user_id,
        otp_id: shown.otp_id,
        attempts: code.attempts + 1,
        origin: context.findings.origin.clone(),
    });
    Err(not_right().leaving([NewEvent::from(failed)]))
}

impl Decide for VerifyOtp {
    const STREAM: Stream = Stream::Code;
    const DOC: Doc = Doc {
        summary: "Shows a code that was sent. The outcome's `data` has a `proof`, a token that is told once and proves for fifteen minutes that it was the right one. Codes for `login` and `password_reset` are shown where they are used.",
        target: "the code's id, as of `request_otp`",
        fields: &[
            optional(
                "identifier",
                "text, 1 to 255: where the code went; left out for `2fa`, `phone_change` and `email_verification`",
            ),
            optional("identifier_type", "`email` or `phone`, as of `request_otp`"),
            optional("code", "text, 6 digits; **a secret**; needed"),
        ],
        events: &["otp_verified", "otp_attempt_failed"],
        refused: &[
            ("unauthenticated", "it is another code: the fifth wrong one is the last"),
            (
                "gone",
                "there is no such code, or it has expired, was used, replaced or guessed wrong too often",
            ),
            ("conflict", "codes for this purpose are shown where they are used"),
        ],
        example: r#"{"identifier":"ada@example.org","identifier_type":"email","code":"123456"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        needs.want(Key::Codes(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let Some(found) = &context.findings.shown_code else {
            return Err(Rejection::invalid("code", "A code is needed."));
        };
        let codes = world.codes(context.target);
        let purpose = codes.open.get(&found.otp_id).map(|code| code.purpose);
        match purpose {
            Some(OtpPurpose::Login | OtpPurpose::PasswordReset) => {
                return Err(Rejection::conflict("This code is shown where it is used."));
            }
            Some(purpose) if is_for_users(purpose) => {
                context.own_user()?;
            }
            Some(_) | None => {}
        }
        shown(context, codes, found)?;
        let verified = CodeEvent::OtpVerified(OtpVerified {
            account_id: context.target,
            user_id: found.user_id,
            otp_id: found.otp_id,
            verified_at: context.time,
            proof_hash: Some(found.proof_hash.clone()),
            origin: context.findings.origin.clone(),
        });
        Ok(vec![verified.into()])
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        events.iter().find_map(|event| {
            let Event::Codes(CodeEvent::OtpVerified(e)) = event else { return None };
            let otp_id: Uuid = e.otp_id;
            Some(json!({ "otp_id": otp_id }))
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use echolog_events::{CodeHash, Time, TokenHash};

    use super::super::request_otp::tests::{anyone, found, request, sent};
    use super::*;
    use crate::auth::Findings;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn show(number: u16, text: &str) -> Findings {
        let shown_code = ShownCode {
            otp_id: id(700 + number),
            user_id: Some(id(1)),
            hash: CodeHash::new(text),
            proof_hash: TokenHash::new("proof"),
        };
        Findings { shown_code: Some(shown_code), ..Findings::default() }
    }

    fn verify() -> VerifyOtp {
        VerifyOtp::default()
    }

    fn registering() -> Story {
        sent(OtpPurpose::Registration)
    }

    #[test]
    fn a_code_is_good_once() {
        let story = registering().findings(show(1, "code 1"));
        let events = story.when_actor(&anyone(), id(1), verify()).accepted();
        assert_eq!(events.len(), 1);
        let story = story.done(&anyone(), id(1), verify());
        story.when_actor(&anyone(), id(1), verify()).refused(ErrorCode::Gone);
    }

    #[test]
    fn the_fifth_wrong_one_is_the_last() {
        let mut story = registering().findings(show(1, "a guess"));
        for _ in 0..5 {
            story.when_actor(&anyone(), id(1), verify()).refused(ErrorCode::Unauthenticated);
            story = story.failed(&anyone(), id(1), verify());
        }
        let no = story.when_actor(&anyone(), id(1), verify()).refused(ErrorCode::Gone);
        assert!(no.events.is_empty(), "no more are counted");
        let story = story.findings(show(1, "code 1"));
        story.when_actor(&anyone(), id(1), verify()).refused(ErrorCode::Gone);
    }

    #[test]
    fn it_is_good_for_ten_minutes() {
        for (seconds, good) in [(599, true), (600, false)] {
            let at = Time::default() + TimeDelta::seconds(seconds);
            let story = registering().findings(show(1, "code 1")).at(at);
            let ending = story.when_actor(&anyone(), id(1), verify());
            assert_eq!(ending.decision().is_ok(), good, "{seconds}");
        }
    }

    #[test]
    fn one_that_was_replaced_is_gone() {
        let later = Time::default() + TimeDelta::minutes(1);
        let story = registering().at(later).findings(found(2));
        let story = story.done(&anyone(), id(1), request(OtpPurpose::Registration));
        let story = story.findings(show(1, "code 1"));
        story.when_actor(&anyone(), id(1), verify()).refused(ErrorCode::Gone);
        let story = story.findings(show(2, "code 2"));
        story.when_actor(&anyone(), id(1), verify()).accepted();
    }

    #[test]
    fn some_are_shown_by_users_or_elsewhere() {
        for (purpose, by_anyone, by_user) in [
            (OtpPurpose::Login, Some(ErrorCode::Conflict), Some(ErrorCode::Conflict)),
            (OtpPurpose::PasswordReset, Some(ErrorCode::Conflict), Some(ErrorCode::Conflict)),
            (OtpPurpose::EmailVerification, Some(ErrorCode::Unauthenticated), None),
            (OtpPurpose::TwoFactor, Some(ErrorCode::Unauthenticated), None),
            (OtpPurpose::Registration, None, None),
        ] {
            let story = sent(purpose).findings(show(1, "code 1"));
            let code = |actor: &Actor| {
                let decision = story.when_actor(actor, id(1), verify()).decision();
                decision.err().map(|no| no.code)
            };
            assert_eq!(code(&anyone()), by_anyone, "{purpose:?}");
            assert_eq!(code(&Actor::User(id(1))), by_user, "{purpose:?}");
        }
    }

    #[test]
    fn without_the_request_path_nothing_happens() {
        let story = registering().findings(Findings::default());
        story.when_actor(&anyone(), id(1), verify()).refused(ErrorCode::Invalid);
    }
}
