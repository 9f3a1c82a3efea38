//! One-time codes that somebody shows: which is right, and what showing it leaves.

use echolog_events::{
    AccountEvent, AccountStatus, CodeEvent, EmailVerified, IdentifierType, OtpAttemptFailed,
    OtpPurpose, OtpVerified, PhoneVerified, TokenHash, Uuid,
};

use super::{SentCode, ShownProof};
use crate::state::{Code, User};
use crate::{ClaimId, Context, Key, Needs, NewEvent, Rejection, World};

/// Asks for what [`right`] and [`verifies`] read of the code that is shown.
pub(super) fn need(context: &Context<'_>, world: &World, otp_id: Uuid, needs: &mut Needs) {
    needs.want(Key::Codes(context.target));
    needs.want(Key::User(context.target));
    if let Some(code) = world.codes(context.target).open.get(&otp_id) {
        needs.want(Key::Claim(ClaimId(code.identifier_hash.clone())));
    }
}

/// Why a code is not right.
#[derive(Clone, Copy)]
pub(super) enum Wrong {
    /// There is none that could be shown.
    Gone,
    /// It is another than this, which counts.
    Another { otp_id: Uuid, attempts: u32 },
}

impl Wrong {
    /// What it leaves.
    pub(super) fn leaves(self, context: &Context<'_>, world: &World) -> Option<NewEvent> {
        let Self::Another { otp_id, attempts } = self else { return None };
        let failed = CodeEvent::OtpAttemptFailed(OtpAttemptFailed {
            account_id: context.target,
            user_id: user_id(context, world),
            otp_id,
            attempts,
            origin: context.findings.origin.clone(),
        });
        Some(failed.into())
    }

    /// The answer where nothing else proves who somebody is.
    pub(super) fn refused(self, context: &Context<'_>, world: &World) -> Rejection {
        match self {
            Self::Gone => gone(),
            Self::Another { .. } => not_right().leaving(self.leaves(context, world)),
        }
    }
}

/// The answer to whoever shows a code that could not be right.
pub(super) fn gone() -> Rejection {
    Rejection::gone("The code has expired, was used, replaced or guessed wrong too often.")
}

/// The one answer to whoever shows another code than the one that was sent.
pub(super) fn not_right() -> Rejection {
    Rejection::unauthenticated("The code is not right.")
}

/// Whether a code went to the name that it is said to have gone to. Two names that lead to one account
/// must not be told from others by asking for a code under the one and showing it under the other.
pub(super) fn went_to(code: &Code, identifier_hash: Option<&str>) -> bool {
    identifier_hash.is_none_or(|hash| hash == code.identifier_hash)
}

/// Whether a code went to an address or number that the account has changed since: whoever has got
/// hold of that must not get in with what was on its way.
fn is_of_before(world: &World, user_id: Uuid, code: &Code) -> bool {
    match code.purpose {
        // They may be about another name than the account's.
        OtpPurpose::Registration | OtpPurpose::PhoneChange | OtpPurpose::EmailVerification => false,
        OtpPurpose::Login | OtpPurpose::PasswordReset | OtpPurpose::TwoFactor => {
            let user = world.user(user_id);
            let changed = user.and_then(|user| user.changed(code.identifier_type));
            changed.is_some_and(|name| name != code.identifier)
        }
    }
}

/// The code of the account that was shown, if it is right and for one of these purposes.
pub(super) fn right<'w>(
    context: &Context<'_>,
    world: &'w World,
    shown: &SentCode,
    purposes: &[OtpPurpose],
) -> Result<&'w Code, Wrong> {
    let code = world.codes(context.target).open.get(&shown.otp_id);
    let is_good = |code: &&Code| {
        code.is_good(context.time)
            && purposes.contains(&code.purpose)
            && !is_of_before(world, context.target, code)
    };
    let code = code.filter(is_good).ok_or(Wrong::Gone)?;
    if code.hash == shown.hash {
        Ok(code)
    } else {
        Err(Wrong::Another { otp_id: shown.otp_id, attempts: code.attempts + 1 })
    }
}

/// What showing the right one leaves: it serves once.
pub(super) fn used(
    context: &Context<'_>,
    world: &World,
    otp_id: Uuid,
    proof_hash: Option<TokenHash>,
) -> NewEvent {
    let verified = CodeEvent::OtpVerified(OtpVerified {
        account_id: context.target,
        user_id: user_id(context, world),
        otp_id,
        verified_at: context.time,
        proof_hash,
        origin: context.findings.origin.clone(),
    });
    verified.into()
}

fn user_id(context: &Context<'_>, world: &World) -> Option<Uuid> {
    world.user(context.target).map(|_| context.target)
}

/// That the user has the name that the code went to, where it is the account's own and nobody knew.
pub(super) fn verifies(context: &Context<'_>, world: &World, code: &Code) -> Option<NewEvent> {
    let user_id = context.target;
    let user = world.user(user_id)?;
    let claim = world.claim(&ClaimId(code.identifier_hash.clone()));
    if claim.owner != Some(user_id) || code.identifier.is_empty() {
        return None;
    }
    contact_verified(user_id, user, code.identifier_type, &code.identifier)
}

fn contact_verified(
    user_id: Uuid,
    user: &User,
    kind: IdentifierType,
    name: &str,
) -> Option<NewEvent> {
    let activates = user.status == AccountStatus::Pending;
    match kind {
        IdentifierType::Email if !user.email_verified => {
            let email = name.to_owned();
            let event = EmailVerified { user_id, email, activates };
            Some(AccountEvent::EmailVerified(event).into())
        }
        IdentifierType::Phone if !user.phone_verified => {
            let phone_number = name.to_owned();
            let event = PhoneVerified { user_id, phone_number, activates };
            Some(AccountEvent::PhoneVerified(event).into())
        }
        IdentifierType::Email
        | IdentifierType::Phone
        | IdentifierType::Username
        | IdentifierType::UserId
        | IdentifierType::Oauth => None,
    }
}

/// Demands the proof that a code was right which went to this name for this purpose.
///
/// # Errors
/// `gone`.
pub(super) fn check_proof(
    context: &Context<'_>,
    world: &World,
    shown: &ShownProof,
    name: &ClaimId,
    purpose: OtpPurpose,
) -> Result<(), Rejection> {
    let code = world.codes(shown.account).open.get(&shown.otp_id);
    let proves = |code: &&Code| {
        code.is_proven(context.time)
            && code.purpose == purpose
            && code.identifier_hash == name.0
            && code.proof_hash.as_ref() == Some(&shown.hash)
    };
    match code.filter(proves) {
        Some(_) => Ok(()),
        None => Err(Rejection::gone("The proof is not right, is of another name, or has expired.")),
    }
}
