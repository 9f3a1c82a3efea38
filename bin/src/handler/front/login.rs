//! Who somebody is who logs in: found out before the owner of the account decides.

use echolog_commands::auth::{
    Check, CreateApiKey, Findings, LogIn, Login, NameType, Refresh, RefreshSession,
};
use echolog_commands::fields::Password;
use echolog_commands::state::Claim;
use echolog_commands::{ClaimId, Rejection, State};
use echolog_events::{Body, ClaimKind, PasswordHash, Recorded, Uuid, partition_of};
use echolog_nats::{BusError, CommandSubject, EventLog};
use serde_json::Value;
use uuid::Builder;

use super::factors::Shown;
use super::password::{Stored, password_of};
use super::{Front, target};
use crate::clock;
use crate::outbox::{Channel, Letter};
use crate::tokens::{self, ApiKey, Tokens};

/// What was found out.
#[derive(Default)]
pub(super) struct Found {
    pub(super) findings: Findings,
    /// What the client is told besides if the owner says yes.
    pub(super) told: Vec<(&'static str, Value)>,
    /// What is sent to somebody then.
    pub(super) letter: Option<(Channel, Letter)>,
    /// The account that decides, where that is not the target that the client named.
    pub(super) home: Option<Uuid>,
}

/// The account that a name leads to.
pub(super) struct Named {
    pub(super) account: Uuid,
    /// The user who has the name.
    pub(super) user: Option<Uuid>,
    pub(super) claim: ClaimId,
}

/// What became of a password, and of which one.
pub(super) struct Checked {
    pub(super) check: Check,
    /// The number of the hash that it was checked against.
    pub(super) number: u32,
    /// Whether that takes less to guess than those that are made now.
    pub(super) weak: bool,
}

impl Front {
    /// Finds out whose name it is and whether what is shown is right. All walk the same way, whether
    /// there is such an account or not.
    pub(super) async fn log_in(
        &self,
        subject: &CommandSubject,
        command: &mut LogIn,
    ) -> Result<Found, Rejection> {
        let session_id = target(subject)?;
        let password = command.password.take();
        let mut shown =
            Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take());
        if let Some(proof) = &mut command.oauth {
            let proof = proof.take();
            if password.is_some() || command.identifier.is_some() {
                let message = "An identity elsewhere says by itself whose it is.";
                return Err(Rejection::invalid("oauth", message));
            }
            return self.log_in_by_oauth(session_id, proof, shown).await;
        }
        let (Some(name), Some(kind)) = (&command.identifier, command.name_type()) else {
            return Err(Rejection::invalid("identifier", "An identifier is needed."));
        };
        // Without a password it is the first factor.
        let code = if password.is_none() { shown.otp.take() } else { None };
        if password.is_none() && code.is_none() {
            return Err(Rejection::invalid("password", "A password or a code is needed."));
        }
        let canonical = command.canonical();
        let typed = canonical.as_deref().unwrap_or(name.as_str());
        let Named { account, user, claim } = self.named(kind, typed).await?;
        let checked = match &password {
            Some(password) => self.check_password(account, password).await?,
            None => Checked { check: Check::NoPassword, number: 0, weak: false },
        };
        let check = if user.is_some() { checked.check } else { Check::Unknown };
        // Whether it is right or not: it must not take longer where it is.
        let rehashed = match &password {
            Some(password) if checked.weak => {
                Some(PasswordHash::new(self.passwords.hash(password.expose().to_owned()).await?))
            }
            Some(_) | None => None,
        };
        let rehashed = rehashed.filter(|_| check == Check::Right);
        let second_factor = self.second_factor(account, shown)?;
        let tokens = Tokens::new(&self.handler.keys.tokens, account, session_id, 0);
        let identifier = match user {
            Some(_) => typed.to_owned(),
            None => format!("unknown:{}", &claim.0[..16]),
        };
        let login = Login {
            session_id,
            identifier,
            check,
            code: code.map(|code| self.sent_code(account, &code)),
            tokens: tokens.hashes.clone(),
            device_id: clock::new_id().to_string(),
            password: checked.number,
            rehashed,
        };
        Ok(Found {
            findings: Findings { login: Some(login), second_factor, ..Findings::default() },
            told: tokens.told(),
            letter: None,
            home: Some(account),
        })
    }

    /// Whom a name leads to: the user who has it, or the account that is nobody's.
    pub(super) async fn named(&self, kind: NameType, name: &str) -> Result<Named, Rejection> {
        let kind = match kind {
            NameType::Email => ClaimKind::Email,
            NameType::Phone => ClaimKind::PhoneNumber,
            NameType::Username => ClaimKind::Username,
        };
        let claim = ClaimId::new(&self.handler.settings.claim_key, kind, name);
        let user = owner(&self.handler.log(), &claim).await.map_err(unreadable)?;
        let account = user.unwrap_or_else(|| stand_in(&claim));
        Ok(Named { account, user, claim })
    }

    /// Finds out which of our tokens it is.
    pub(super) fn refresh(
        &self,
        subject: &CommandSubject,
        command: &mut RefreshSession,
    ) -> Result<Found, Rejection> {
        let Some(token) = command.refresh_token.take() else {
            return Err(Rejection::invalid("refresh_token", "A refresh token is needed."));
        };
        let key = &self.handler.keys.tokens;
        let shown = tokens::Refresh::read(key, token.expose());
        let shown = shown.filter(|shown| shown.user.to_string() == subject.target);
        let next = |shown: &tokens::Refresh| {
            Tokens::new(key, shown.user, shown.session, shown.generation.saturating_add(1))
        };
        let tokens = shown.as_ref().map(next);
        let refresh = shown.zip(tokens.as_ref()).map(|(shown, tokens)| Refresh {
            session_id: shown.session,
            generation: shown.generation,
            hash: shown.hash,
            tokens: tokens.hashes.clone(),
        });
        let findings = Findings { refresh, ..Findings::default() };
        let told = tokens.map(Tokens::told).unwrap_or_default();
        Ok(Found { findings, told, ..Found::default() })
    }

    /// Whether it is the password of an account. It takes as long where there is no account, or one
    /// without a password.
    pub(super) async fn check_password(
        &self,
        account: Uuid,
        password: &Password,
    ) -> Result<Checked, Rejection> {
        let Stored { hash, number } = password_of(&self.handler.log(), account).await?;
        let hash = hash.map(|hash| hash.expose().to_owned());
        let has_password = hash.is_some();
        let weak = hash.as_ref().is_some_and(|hash| self.passwords.is_weak(hash));
        let right = self.passwords.check(password.expose().to_owned(), hash).await?;
        let check = match (has_password, right) {
            (false, _) => Check::NoPassword,
            (true, false) => Check::Wrong,
            (true, true) => Check::Right,
        };
        Ok(Checked { check, number, weak })
    }

    /// Makes a key. Whoever makes one for themselves proves once more who they are.
    pub(super) async fn new_api_key(
        &self,
        subject: &CommandSubject,
        command: &mut CreateApiKey,
    ) -> Result<Found, Rejection> {
        let user = target(subject)?;
        let second_factor = self.second_factor(
            user,
            Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take()),
        )?;
        let checked = self.check(user, command.password.take()).await?;
        let (key, kept) = ApiKey::make(user, command.api_key_id.get());
        let findings = Findings { api_key: Some(kept), second_factor, ..checked };
        Ok(Found { findings, told: vec![("api_key", key.into())], home: None, letter: None })
    }
}

/// Whose name it is, by the log itself.
pub(super) async fn owner(log: &EventLog, claim: &ClaimId) -> Result<Option<Uuid>, BusError> {
    let last = log.last(partition_of(&claim.0), &claim.stream_key()).await?;
    let mut state = State::Claim(Claim::default());
    if let Some(Recorded { body: Body::Known(event), seq, .. }) = &last {
        state.evolve(event, *seq);
    }
    let torn = is_torn(log, last.as_ref()).await?;
    let State::Claim(Claim { owner, .. }) = state else { return Ok(None) };
    Ok(owner.filter(|_| !torn))
}

/// Whether an event is of a group of which the log has only the beginning. Without an event, another
/// one is asked about: what it takes must not tell whether there is one.
pub(super) async fn is_torn(log: &EventLog, event: Option<&Recorded>) -> Result<bool, BusError> {
    let torn = log.is_torn(event.map_or(1, |event| event.seq)).await?;
    Ok(torn && event.is_some())
}

/// How many accounts there are that count attempts under names that nobody has. Names share them,
/// so that nobody can make more and more; that such an account is locked, nobody sees.
const STAND_INS: u16 = 4096;

/// The account that counts attempts under a name that nobody has.
fn stand_in(claim: &ClaimId) -> Uuid {
    let number = u16::from_str_radix(&claim.0[..4], 16).unwrap_or_default() % STAND_INS;
    let mut bytes = [0; 16];
    bytes[14..].copy_from_slice(&number.to_be_bytes());
    Builder::from_custom_bytes(bytes).into_uuid()
}

pub(super) fn unreadable(error: BusError) -> Rejection {
    tracing::warn!(%error, "the log cannot be asked who somebody is");
    Rejection::unavailable("Who this is cannot be told now.")
}
