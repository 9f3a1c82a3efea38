use echolog_events::{CodeEvent, Event, OtpPurpose, Stream, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{NameType, SentCode, identifier, sent};
use crate::doc::{Doc, optional};
use crate::fields::{OneTimeCode, Text};
use crate::state::Code;
use crate::{Context, Decide, Decision, Key, Needs, Rejection, World};

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
        identifier::typed(self.identifier.as_ref()?.as_str(), self.identifier_type)
    }
}

impl Decide for VerifyOtp {
    const STREAM: Stream = Stream::Code;
    const DOC: Doc = Doc {
        summary: "Shows a code that was sent. The outcome's `data` has a `proof`, a token that is told once and proves for fifteen minutes that it was the right one. An address or number of the account that nobody had verified is verified by it. Codes for `login`, `password_reset` and `2fa` are shown where they are used.",
        target: "the code's id, as of `request_otp`",
        fields: &[
            optional(
                "identifier",
                "text, 1 to 255: where the code went; left out for `phone_change` and `email_verification`",
            ),
            optional("identifier_type", "`email` or `phone`, as of `request_otp`"),
            optional("code", "text, 6 digits; **a secret**; needed"),
        ],
        events: &["otp_verified", "email_verified", "phone_verified", "otp_attempt_failed"],
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

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        needs.want(Key::Codes(context.target));
        if let Some(found) = &context.findings.shown_code {
            sent::need(context, world, found.otp_id, needs);
        }
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let Some(found) = &context.findings.shown_code else {
            return Err(Rejection::invalid("code", "A code is needed."));
        };
        let code = world.codes(context.target).open.get(&found.otp_id);
        let went_there = |code: &&Code| sent::went_to(code, found.identifier_hash.as_deref());
        let Some(Code { purpose, .. }) = code.filter(went_there) else {
            return Err(sent::gone());
        };
        match purpose {
            OtpPurpose::Login | OtpPurpose::PasswordReset | OtpPurpose::TwoFactor => {
                return Err(Rejection::conflict("This code is shown where it is used."));
            }
            OtpPurpose::PhoneChange | OtpPurpose::EmailVerification => {
                context.own_user()?;
            }
            OtpPurpose::Registration => {}
        }
        let shown = SentCode { otp_id: found.otp_id, hash: found.hash.clone() };
        let code = sent::right(context, world, &shown, &[*purpose])
            .map_err(|wrong| wrong.refused(context, world))?;
        let proof_hash = Some(found.proof_hash.clone());
        let verified = sent::used(context, world, found.otp_id, proof_hash);
        Ok([verified].into_iter().chain(sent::verifies(context, world, code)).collect())
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

    use super::super::request_otp::tests::{SENT_TO, anyone, found, request, sent};
    use super::*;
    use crate::auth::{Findings, ShownCode};
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn show(number: u16, text: &str) -> Findings {
        let shown_code = ShownCode {
            otp_id: id(700 + number),
            identifier_hash: None,
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
    fn it_is_shown_under_the_name_that_it_went_to() {
        let under = |purpose: OtpPurpose, name: &str, text: &str| {
            let mut found = show(1, text);
            if let Some(shown) = &mut found.shown_code {
                shown.identifier_hash = Some(name.to_owned());
            }
            sent(purpose).findings(found).when_actor(&anyone(), id(1), verify())
        };
        for purpose in [OtpPurpose::Registration, OtpPurpose::Login, OtpPurpose::PasswordReset] {
            for text in ["code 1", "a guess"] {
                let no = under(purpose, "another name of the account", text);
                let no = no.refused(ErrorCode::Gone);
                assert!(no.events.is_empty(), "nobody learns that both lead to one account");
            }
        }
        under(OtpPurpose::Registration, SENT_TO, "code 1").accepted();
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
            (OtpPurpose::TwoFactor, Some(ErrorCode::Conflict), Some(ErrorCode::Conflict)),
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
