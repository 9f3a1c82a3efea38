//! Second factors: what the request path makes up, hashes and tells.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use echolog_commands::Rejection;
use echolog_commands::auth::factors::{code_hash, secret};
use echolog_commands::auth::{
    BeginTwoFactor, Check, DisableTwoFactor, EnableTwoFactor, Findings, GenerateRecoveryCodes,
    NewAuthenticator, NewRecoveryCodes, SecondFactor,
};
use echolog_commands::fields::{OneTimeCode, Password, SentCode, Token};
use echolog_events::{RecoveryCode, Uuid};
use echolog_nats::CommandSubject;

use super::login::{Checked, Found};
use super::password::password_of;
use super::{Front, target};
use crate::clock;
use crate::tokens::random;

/// How many recovery codes there are at a time.
const CODES: usize = 10;

/// What a client may show as its second factor.
pub(super) struct Shown {
    pub(super) totp: Option<OneTimeCode>,
    pub(super) recovery_code: Option<Token>,
    pub(super) otp: Option<SentCode>,
}

impl Shown {
    pub(super) fn new(
        totp: Option<OneTimeCode>,
        recovery_code: Option<Token>,
        otp: Option<SentCode>,
    ) -> Self {
        Self { totp, recovery_code, otp }
    }
}

impl Front {
    pub(super) async fn begin_two_factor(
        &self,
        subject: &CommandSubject,
        command: &mut BeginTwoFactor,
    ) -> Result<Found, Rejection> {
        let user = target(subject)?;
        let made =
            NewAuthenticator { factor_id: clock::new_id(), salt: HEXLOWER.encode(&random::<16>()) };
        let secret = secret(&self.handler.settings.factor_key, user, made.factor_id, &made.salt);
        let secret = BASE32_NOPAD.encode(&secret);
        let uri = format!("otpauth://totp/Echolog:{user}?secret={secret}&issuer=Echolog");
        let second_factor = self.second_factor(user, Shown::new(None, None, command.otp.take()))?;
        let checked = self.check(user, command.password.take()).await?;
        let findings = Findings { authenticator: Some(made), second_factor, ..checked };
        let told = vec![("secret", secret.into()), ("otpauth_uri", uri.into())];
        Ok(Found { findings, told, ..Found::default() })
    }

    pub(super) async fn enable_two_factor(
        &self,
        subject: &CommandSubject,
        command: &mut EnableTwoFactor,
    ) -> Result<Found, Rejection> {
        let user = target(subject)?;
        let shown = Shown::new(command.totp.take(), None, command.otp.take());
        // Whoever shows an authenticator had to show the password to begin it.
        let checked = match shown.otp {
            Some(_) => self.check(user, command.password.take()).await?,
            None => Findings::default(),
        };
        let second_factor = self.second_factor(user, shown)?;
        let found = self.with_recovery_codes(user);
        let recovery_codes = found.findings.recovery_codes;
        let findings = Findings { second_factor, recovery_codes, ..checked };
        Ok(Found { findings, told: found.told, ..Found::default() })
    }

    pub(super) async fn disable_two_factor(
        &self,
        subject: &CommandSubject,
        command: &mut DisableTwoFactor,
    ) -> Result<Found, Rejection> {
        let user = target(subject)?;
        let second_factor = self.second_factor(
            user,
            Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take()),
        )?;
        let checked = self.check(user, command.password.take()).await?;
        let findings = Findings { second_factor, ..checked };
        Ok(Found { findings, ..Found::default() })
    }

    pub(super) async fn generate_recovery_codes(
        &self,
        subject: &CommandSubject,
        command: &mut GenerateRecoveryCodes,
    ) -> Result<Found, Rejection> {
        let user = target(subject)?;
        let second_factor = self.second_factor(
            user,
            Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take()),
        )?;
        let checked = self.check(user, command.password.take()).await?;
        let found = self.with_recovery_codes(user);
        let recovery_codes = found.findings.recovery_codes;
        let findings = Findings { second_factor, recovery_codes, ..checked };
        Ok(Found { findings, told: found.told, ..Found::default() })
    }

    /// Whether it is the account's password, if one is shown; whether there is one at all, if not.
    pub(super) async fn check(
        &self,
        user: Uuid,
        password: Option<Password>,
    ) -> Result<Findings, Rejection> {
        let Some(password) = password else {
            let stored = password_of(&self.handler.log(), user).await?;
            let password = stored.hash.is_none().then_some(Check::NoPassword);
            return Ok(Findings {
                password,
                password_number: stored.number,
                ..Findings::default()
            });
        };
        let Checked { check, number, .. } = self.check_password(user, &password).await?;
        Ok(Findings { password: Some(check), password_number: number, ..Findings::default() })
    }

    /// The second factor that is shown, as the owner compares it.
    pub(super) fn second_factor(
        &self,
        account: Uuid,
        shown: Shown,
    ) -> Result<Option<SecondFactor>, Rejection> {
        let hash = |code: &str| code_hash(&self.handler.settings.factor_key, account, code);
        let Shown { totp, recovery_code, otp } = shown;
        let totp = totp.map(|code| SecondFactor::Totp(hash(code.expose())));
        let recovery_code =
            recovery_code.map(|code| SecondFactor::RecoveryCode(hash(&canonical(code.expose()))));
        let otp = otp.map(|code| SecondFactor::Sent(self.sent_code(account, &code)));
        let mut all = [totp, recovery_code, otp].into_iter().flatten();
        match (all.next(), all.next()) {
            (second_factor, None) => Ok(second_factor),
            (_, Some(_)) => {
                let message = "Show one second factor: `totp`, `recovery_code` or `otp`.";
                Err(Rejection::invalid("recovery_code", message))
            }
        }
    }

    fn with_recovery_codes(&self, user: Uuid) -> Found {
        let codes: Vec<String> = (0..CODES).map(|_| recovery_code()).collect();
        let kept = |code: &String| RecoveryCode {
            id: clock::new_id(),
            hash: code_hash(&self.handler.settings.factor_key, user, &canonical(code)),
        };
        let made =
            NewRecoveryCodes { set_id: clock::new_id(), codes: codes.iter().map(kept).collect() };
        let findings = Findings { recovery_codes: Some(made), ..Findings::default() };
        Found { findings, told: vec![("recovery_codes", codes.into())], ..Found::default() }
    }
}

/// Fifty random bits, easy to copy from paper: `abcde-23456`.
fn recovery_code() -> String {
    let code = BASE32_NOPAD.encode(&random::<7>()).to_lowercase();
    format!("{}-{}", &code[..5], &code[5..10])
}

/// A recovery code as it is hashed: people add spaces and capitals.
fn canonical(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_may_be_copied_carelessly() {
        let code = recovery_code();
        assert!(code.len() == 11 && recovery_code() != code, "{code}");
        let copied = format!(" {} ", code.to_uppercase().replace('-', " "));
        assert_eq!(canonical(&copied), canonical(&code));
        assert_eq!(canonical(&code).len(), 10);
    }
}
