//! Authenticators and recovery codes: what is derived, what is hashed, and what is right.
//!
//! The secret of an authenticator has to be known to check its codes. It rests nowhere: it follows
//! from the tenant's key and a salt.

use echolog_events::{
    CodeHash, CredentialEvent, OtpPurpose, RecoveryCodeUsed, Time, TotpUsed, Uuid,
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use totp_rs::{Algorithm, TOTP};

use super::SecondFactor;
use super::sent::{self, Wrong};
use crate::state::Credentials;
use crate::{Context, NewEvent, World};

/// How long a code of an authenticator is shown, in seconds.
const STEP: u64 = 30;

/// By how many steps the clocks of two may differ.
const SKEW: u64 = 1;

/// The secret of an authenticator: 160 bits, as RFC 4226 recommends.
#[must_use]
pub fn secret(key: &[u8], user: Uuid, factor: Uuid, salt: &str) -> Vec<u8> {
    let mac = mac(key, &[b"authenticator", user.as_bytes(), factor.as_bytes(), salt.as_bytes()]);
    mac[..20].to_vec()
}

/// What is kept of a code, and what is compared.
#[must_use]
pub fn code_hash(key: &[u8], user: Uuid, code: &str) -> CodeHash {
    let mac = mac(key, &[b"code", user.as_bytes(), code.as_bytes()]);
    CodeHash::new(mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// The step that this code is of, if it is one of now and later than the last.
pub(super) fn step_of(
    context: &Context<'_>,
    (factor, salt): (Uuid, &str),
    last: Option<u64>,
    shown: &CodeHash,
) -> Option<u64> {
    let key = &context.settings.factor_key;
    let secret = secret(key, context.target, factor, salt);
    let now = step(context.time);
    let steps = now.saturating_sub(SKEW)..=now + SKEW;
    steps.filter(|step| last.is_none_or(|last| *step > last)).find(|step| {
        let code = code(secret.clone(), *step);
        code_hash(key, context.target, &code) == *shown
    })
}

/// What showing a second factor leaves.
///
/// # Errors
/// It is wrong.
pub(super) fn accept(
    context: &Context<'_>,
    world: &World,
    shown: &SecondFactor,
) -> Result<NewEvent, Wrong> {
    let credentials = world.credentials(context.target);
    let used = match shown {
        SecondFactor::Totp(shown) => totp(context, credentials, shown),
        SecondFactor::RecoveryCode(shown) => recovery(context, credentials, shown),
        SecondFactor::Sent(shown) => {
            let by = credentials.sent.filter(|_| credentials.authenticator.is_none());
            let by = by.ok_or(Wrong::Gone)?;
            let purposes = [OtpPurpose::Login, OtpPurpose::TwoFactor];
            let code = sent::right(context, world, shown, &purposes)?;
            if code.identifier_type != by.identifier_type() {
                return Err(Wrong::Gone);
            }
            return Ok(sent::used(context, world, shown.otp_id, None));
        }
    };
    used.map(NewEvent::from).ok_or(Wrong::Gone)
}

fn totp(
    context: &Context<'_>,
    credentials: &Credentials,
    shown: &CodeHash,
) -> Option<CredentialEvent> {
    let own = credentials.authenticator.as_ref()?;
    let step = step_of(context, (own.id, &own.salt), Some(own.step), shown)?;
    let (user_id, factor_id) = (context.target, own.id);
    Some(CredentialEvent::TotpUsed(TotpUsed { user_id, factor_id, step }))
}

fn recovery(
    context: &Context<'_>,
    credentials: &Credentials,
    shown: &CodeHash,
) -> Option<CredentialEvent> {
    let (code_id, _) = credentials.recovery_codes.iter().find(|(_, hash)| *hash == shown)?;
    let (user_id, code_id) = (context.target, *code_id);
    Some(CredentialEvent::RecoveryCodeUsed(RecoveryCodeUsed { user_id, code_id }))
}

fn step(time: Time) -> u64 {
    u64::try_from(time.timestamp()).unwrap_or_default() / STEP
}

/// The code of a step: what authenticators show by RFC 6238 with SHA-1 and six digits.
fn code(secret: Vec<u8>, step: u64) -> String {
    TOTP::new_unchecked(Algorithm::SHA1, 6, 0, STEP, secret).generate(step * STEP)
}

/// The code that an authenticator with this secret shows at a time.
#[cfg(any(test, feature = "story"))]
#[must_use]
pub fn shown_at(secret: Vec<u8>, time: Time) -> String {
    code(secret, step(time))
}

/// The parts have fixed lengths or come last.
fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
        mac.update(b"\0");
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn authenticators_show_the_same() {
        for (seconds, expected) in
            [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
        {
            let time = Time::from_timestamp(seconds, 0).expect("a time");
            assert_eq!(shown_at(b"12345678901234567890".to_vec(), time), expected);
        }
    }

    #[test]
    fn a_secret_is_of_one_key_user_factor_and_salt() {
        let [one, other] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let known = secret(b"key", one, one, "salt");
        assert_eq!((known.len(), &known), (20, &secret(b"key", one, one, "salt")));
        for different in [
            secret(b"other", one, one, "salt"),
            secret(b"key", other, one, "salt"),
            secret(b"key", one, other, "salt"),
            secret(b"key", one, one, "other"),
        ] {
            assert_ne!(known, different);
        }
        assert_ne!(code_hash(b"key", one, "123456"), code_hash(b"key", other, "123456"));
    }
}
