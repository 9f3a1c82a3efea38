use echolog_events::{AccountEvent, ClaimKind, EmailChanged, OtpPurpose, Stream};
use serde::{Deserialize, Serialize};

use super::contact::Contact;
use crate::doc::{Doc, optional, required};
use crate::fields::{Email, OneTimeCode, Password, SentCode, Token};
use crate::{Context, Decide, Decision, Needs, World};

/// Gives an account another e-mail address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeEmail {
    /// The new one.
    pub email: Email,
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

impl ChangeEmail {
    fn contact<'a>(&'a self, context: &'a Context<'_>) -> Contact<'a> {
        let email = self.email.as_str();
        let changed = EmailChanged {
            user_id: context.target,
            email: email.to_owned(),
            origin: context.findings.origin.clone(),
        };
        Contact {
            kind: ClaimKind::Email,
            name: email,
            purpose: OtpPurpose::EmailVerification,
            proof: context.findings.email_proof.as_ref(),
            changed: AccountEvent::EmailChanged(changed),
        }
    }
}

impl Decide for ChangeEmail {
    const STREAM: Stream = Stream::User;
    const DOC: Doc = Doc {
        summary: "Gives your account another e-mail address, which counts as verified. The one before is free for others.",
        target: "your own user id",
        fields: &[
            required(
                "email",
                "text, an e-mail address of at most 255 bytes; unique, kept in lower case",
            ),
            optional(
                "proof",
                "text: what `verify_otp` told of a code that was asked for with the new e-mail address, for `email_verification`; **a secret**; needed",
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
            "email_changed",
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
            ("gone", "the proof is not right, is of another e-mail address, or has expired"),
            ("already_exists", "somebody else has it"),
            ("forbidden", "the account may not act, or is another's"),
        ],
        example: r#"{"email":"countess@example.org","proof":"eo_AZLzxKqq","password":"correct horse battery","totp":"287082","recovery_code":"abcde-23456","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"}}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        self.contact(context).need(context, world, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        self.contact(context).change(context, world)
    }
}
