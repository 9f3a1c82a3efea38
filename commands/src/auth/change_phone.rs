use echolog_events::{AccountEvent, ClaimKind, OtpPurpose, PhoneChanged, Stream};
use serde::{Deserialize, Serialize};

use super::contact::Contact;
use crate::doc::{Doc, optional, required};
use crate::fields::{OneTimeCode, Password, PhoneNumber, SentCode, Token};
use crate::{Context, Decide, Decision, Needs, World};

/// Gives an account another phone number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePhone {
    /// The new one.
    pub phone_number: PhoneNumber,
    /// That it is one's own. Never leaves the request path.
    #[serde(skip_serializing)]
    pub proof: Option<Token>,
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

impl ChangePhone {
    fn contact<'a>(&'a self, context: &'a Context<'_>) -> Contact<'a> {
        let phone_number = self.phone_number.as_str();
        let changed = PhoneChanged {
            user_id: context.target,
            phone_number: phone_number.to_owned(),
            origin: context.findings.origin.clone(),
        };
        Contact {
            kind: ClaimKind::PhoneNumber,
            name: phone_number,
            purpose: OtpPurpose::PhoneChange,
            proof: context.findings.phone_proof.as_ref(),
            changed: AccountEvent::PhoneChanged(changed),
        }
    }
}

impl Decide for ChangePhone {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Gives your account another phone number, which counts as verified. The one before is free for others.",
        target: "your own user id",
        fields: &[
            required("phone_number", "text, E.164; unique"),
            optional(
                "proof",
                "text: what `verify_otp` told of a code that was asked for with the new phone number, for `phone_change`; **a secret**; needed",
            ),
            optional("password", "text, 8 to 256 bytes; **a secret**; needed where there is one"),
            optional(
                "totp",
                "text of six digits: what the authenticator shows; **a secret**; needed, or `recovery_code` or `otp`, where two factors are in use",
            ),
            optional("recovery_code", "text: one of the recovery codes; **a secret**"),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `2fa`, where that is the second factor or there is no password; **a secret**",
            ),
        ],
        events: &[
            "phone_changed",
            "identifier_claimed",
            "identifier_released",
            "totp_used",
            "recovery_code_used",
            "otp_verified",
            "login_failed",
            "otp_attempt_failed",
            "user_locked",
        ],
        refused: &[
            (
                "unauthenticated",
                "what proves who you are is not right, or too many attempts failed before",
            ),
            ("gone", "the proof is not right, is of another phone number, or has expired"),
            ("already_exists", "somebody else has it"),
            ("forbidden", "the account may not act, or is another's"),
        ],
        example: r#"{"phone_number":"+442071838751","proof":"eo_AZLzxKqq","password":"correct horse battery","totp":"287082","recovery_code":"abcde-23456","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"}}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        self.contact(context).need(context, world, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        self.contact(context).change(context, world)
    }
}
