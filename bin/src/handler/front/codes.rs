//! One-time codes: made, sent and checked.

use argon2::password_hash::rand_core::{OsRng, RngCore as _};
use data_encoding::HEXLOWER;
use echolog_commands::auth::{
    ChangeEmail, ChangePhone, CompletePasswordReset, Findings, NameType, NewCode, NewReset,
    RegisterUser, RequestOtp, RequestPasswordReset, Reset, SentCode, ShownCode, ShownProof,
    ShownReset, VerifyOtp, is_for_users,
};
use echolog_commands::fields::{Password, Token};
use echolog_commands::{Actor, Rejection, fields};
use echolog_events::{CodeHash, OtpPurpose, PasswordHash, Uuid};
use echolog_nats::CommandSubject;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::factors::Shown;
use super::login::{Found, Named};
use super::password::password_of;
use super::{Front, target};
use crate::outbox::{Channel, Letter};
use crate::tokens::{self, Proof};

impl Front {
    /// Makes a code. All walk the same way, whether anybody has the name or not; what is sent differs.
    pub(super) async fn request_otp(
        &self,
        subject: &CommandSubject,
        command: &RequestOtp,
    ) -> Result<Found, Rejection> {
        let otp_id = target(subject)?;
        let to = command.canonical()?;
        let kind = command.name_type();
        let channel = self.channel(kind)?;
        let mut named = self.named(kind, &to).await?;
        let taken = named.user;
        if is_for_users(command.purpose) {
            let user = user(subject)?;
            (named.account, named.user) = (user, Some(user));
        }
        let code = six_digits();
        let identifier = match named.user {
            Some(_) => to.clone(),
            None => format!("unknown:{}", &named.claim.0[..16]),
        };
        let letter = self.letter(command.purpose, taken, named.user, &code);
        let letter = letter.map(|(about, text)| {
            let (subject, to) = (about, to);
            (channel, Letter { id: otp_id, to, subject, text, expires_at: expires_at() })
        });
        let new_code = NewCode {
            otp_id,
            user_id: named.user,
            identifier,
            hash: self.hash(named.account, otp_id, &code),
            identifier_hash: named.claim.0,
        };
        Ok(Found {
            findings: Findings { new_code: Some(new_code), ..Findings::default() },
            letter,
            home: Some(named.account),
            ..Found::default()
        })
    }

    /// What is said to whom; nothing to somebody who has nothing to do with it.
    fn letter(
        &self,
        purpose: OtpPurpose,
        taken: Option<Uuid>,
        user: Option<Uuid>,
        code: &str,
    ) -> Option<(&'static str, String)> {
        let send = match purpose {
            OtpPurpose::Registration => {
                if taken.is_some() {
                    let text = "Somebody wanted to register with this address or number, which is \
                                that of your account: log in instead. If it was not you, there is \
                                nothing that you have to do.";
                    return Some(("You have an account already", text.to_owned()));
                }
                true
            }
            OtpPurpose::Login | OtpPurpose::PasswordReset => taken.is_some(),
            OtpPurpose::TwoFactor => taken.is_some() && taken == user,
            // Whoever has the address or number already is not told to give a code to somebody else.
            OtpPurpose::PhoneChange | OtpPurpose::EmailVerification => {
                taken.is_none() || taken == user
            }
        };
        let text = format!(
            "{code} is your code. It is good for ten minutes. Tell it to nobody; if you have not \
             asked for it, there is nothing that you have to do."
        );
        send.then_some(("Your code", text))
    }

    /// Finds out what would have been kept of the code that is shown.
    pub(super) async fn verify_otp(
        &self,
        subject: &CommandSubject,
        command: &mut VerifyOtp,
    ) -> Result<Found, Rejection> {
        let otp_id = target(subject)?;
        let Some(code) = command.code.take() else {
            return Err(Rejection::invalid("code", "A code is needed."));
        };
        let (account, identifier_hash) = match (&command.identifier, command.canonical()) {
            (None, _) => (user(subject)?, None),
            (Some(_), Some((kind, name))) => {
                let Named { account, claim, .. } = self.named(kind, &name).await?;
                (account, Some(claim.0))
            }
            (Some(_), None) => {
                let message = "This is neither an e-mail address nor a phone number.";
                return Err(Rejection::invalid("identifier", message));
            }
        };
        let (proof, kept) = Proof::make(account, otp_id);
        let shown_code = ShownCode {
            otp_id,
            identifier_hash,
            hash: self.hash(account, otp_id, code.expose()),
            proof_hash: kept.hash,
        };
        Ok(Found {
            findings: Findings { shown_code: Some(shown_code), ..Findings::default() },
            told: vec![("proof", proof.into())],
            home: Some(account),
            ..Found::default()
        })
    }

    /// Makes a token for a password that was lost. All walk the same way, whether anybody has the name or
    /// not; what is sent differs.
    pub(super) async fn request_password_reset(
        &self,
        subject: &CommandSubject,
        command: &RequestPasswordReset,
    ) -> Result<Found, Rejection> {
        let reset_id = target(subject)?;
        let to = command.canonical()?;
        let kind = command.name_type();
        let channel = self.channel(kind)?;
        let named = self.named(kind, &to).await?;
        let key = &self.handler.keys.tokens;
        let (reset, token) = tokens::Reset::new(key, named.account, reset_id);
        let text = format!(
            "With this token you can choose another password, within an hour:\n\n{token}\n\nIf you \
             have not asked for it, there is nothing that you have to do."
        );
        let subject = "Another password";
        let expires_at = crate::clock::now() + chrono::TimeDelta::minutes(55);
        let letter = Letter { id: reset_id, to, subject, text, expires_at };
        let new_reset = NewReset {
            reset_id,
            user_id: named.user,
            identifier_hash: named.claim.0,
            hash: reset.hash,
        };
        Ok(Found {
            findings: Findings { new_reset: Some(new_reset), ..Findings::default() },
            letter: named.user.map(|_| (channel, letter)),
            home: Some(named.account),
            ..Found::default()
        })
    }

    /// Finds out which of our tokens it is, and hashes the new password for it.
    pub(super) async fn complete_password_reset(
        &self,
        subject: &CommandSubject,
        command: &mut CompletePasswordReset,
    ) -> Result<Found, Rejection> {
        let reset_id = target(subject)?;
        let Some(new) = command.new_password.take() else {
            return Err(Rejection::invalid("new_password", "A new password is needed."));
        };
        let (account, shown, identifier_hash) = match (command.token.take(), command.code.take()) {
            (Some(token), None) => {
                let shown = tokens::Reset::read(&self.handler.keys.tokens, token.expose());
                let Some(shown) = shown.filter(|shown| shown.reset == reset_id) else {
                    return Ok(Found::default());
                };
                (shown.user, ShownReset::Token(shown.hash), None)
            }
            (None, Some(code)) => {
                let Some((kind, name)) = command.canonical() else {
                    let message = "This is neither an e-mail address nor a phone number.";
                    return Err(Rejection::invalid("identifier", message));
                };
                let Named { account, claim, .. } = self.named(kind, &name).await?;
                let hash = self.hash(account, reset_id, code.expose());
                (account, ShownReset::Code(hash), Some(claim.0))
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(Rejection::invalid("token", "A token or a code is needed."));
            }
        };
        let stored = password_of(&self.handler.log(), account).await?;
        let hash = self.passwords.hash(new.expose().to_owned()).await?;
        let reset = Reset {
            reset_id,
            shown,
            identifier_hash,
            password: stored.number,
            password_hash: PasswordHash::new(hash),
        };
        Ok(Found {
            findings: Findings { reset: Some(reset), ..Findings::default() },
            home: Some(account),
            ..Found::default()
        })
    }

    /// A code that was sent, as the owner compares it.
    pub(super) fn sent_code(&self, account: Uuid, shown: &fields::SentCode) -> SentCode {
        let otp_id = shown.otp_id.get();
        SentCode { otp_id, hash: self.hash(account, otp_id, shown.code.expose()) }
    }

    /// Another address for an account.
    pub(super) async fn change_email(
        &self,
        subject: &CommandSubject,
        command: &mut ChangeEmail,
    ) -> Result<Found, Rejection> {
        let email_proof = command.proof.take().map(|proof| shown_proof(&proof)).transpose()?;
        let password = command.password.take();
        let findings = self
            .contact(
                subject,
                password,
                Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take()),
            )
            .await?;
        Ok(Found { findings: Findings { email_proof, ..findings }, ..Found::default() })
    }

    /// Another number for an account.
    pub(super) async fn change_phone(
        &self,
        subject: &CommandSubject,
        command: &mut ChangePhone,
    ) -> Result<Found, Rejection> {
        let phone_proof = command.proof.take().map(|proof| shown_proof(&proof)).transpose()?;
        let password = command.password.take();
        let findings = self
            .contact(
                subject,
                password,
                Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take()),
            )
            .await?;
        Ok(Found { findings: Findings { phone_proof, ..findings }, ..Found::default() })
    }

    /// What shows that it is the account's owner, and which names it has.
    async fn contact(
        &self,
        subject: &CommandSubject,
        password: Option<Password>,
        shown: Shown,
    ) -> Result<Findings, Rejection> {
        let account = target(subject)?;
        // What is of no use costs nobody the time of a hash.
        if user(subject)? != account {
            return Ok(Findings::default());
        }
        let second_factor = self.second_factor(account, shown)?;
        let holdings = Some(self.holdings(account).await?);
        let checked = self.check(account, password).await?;
        Ok(Findings { holdings, second_factor, ..checked })
    }

    /// How something gets to a name of this kind.
    fn channel(&self, kind: NameType) -> Result<Channel, Rejection> {
        let channel = Channel::to(kind).filter(|channel| self.handler.outbox.carries(*channel));
        channel
            .ok_or_else(|| Rejection::unavailable("The operator has no way to send codes there."))
    }

    /// What is kept of a code. There are only a million, so it takes a key to guess what was hashed.
    fn hash(&self, account: Uuid, otp_id: Uuid, code: &str) -> CodeHash {
        let key = &self.handler.keys.codes;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(account.as_bytes());
        mac.update(otp_id.as_bytes());
        mac.update(code.as_bytes());
        CodeHash::new(HEXLOWER.encode(&mac.finalize().into_bytes()))
    }
}

/// What proves the address and the number of a new account.
pub(super) fn first_contacts(command: &mut RegisterUser) -> Result<Found, Rejection> {
    let email_proof = command.email_proof.take().map(|proof| shown_proof(&proof)).transpose()?;
    let phone_proof = command.phone_proof.take().map(|proof| shown_proof(&proof)).transpose()?;
    let findings = Findings { email_proof, phone_proof, ..Findings::default() };
    Ok(Found { findings, ..Found::default() })
}

/// What is told of a code that was right, as somebody shows it.
fn shown_proof(proof: &Token) -> Result<ShownProof, Rejection> {
    let Proof { account, otp, hash } = Proof::read(proof.expose())
        .ok_or_else(|| Rejection::gone("This is no proof of a code."))?;
    Ok(ShownProof { account, otp_id: otp, hash })
}

/// The user who acts.
fn user(subject: &CommandSubject) -> Result<Uuid, Rejection> {
    match Actor::parse(&subject.actor) {
        Some(Actor::User(id)) => Ok(id),
        Some(Actor::Anonymous(_) | Actor::Service(_)) | None => {
            Err(Rejection::unauthenticated("This command needs a user; the actor is none."))
        }
    }
}

/// When a code that is made now is of no use any more: a little before it expires.
fn expires_at() -> echolog_events::Time {
    crate::clock::now() + chrono::TimeDelta::minutes(9)
}

/// A code, each as likely as any other.
fn six_digits() -> String {
    const CODES: u32 = 1_000_000;
    loop {
        let random = OsRng.next_u32();
        // What is left over would make some codes likelier.
        if random < u32::MAX - u32::MAX % CODES {
            return format!("{:06}", random % CODES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_six_digits_and_differ() {
        let codes: std::collections::HashSet<String> = (0..1000).map(|_| six_digits()).collect();
        assert!(codes.len() > 950, "{} different ones", codes.len());
        assert!(codes.iter().all(|it| it.len() == 6 && it.bytes().all(|it| it.is_ascii_digit())));
    }
}
