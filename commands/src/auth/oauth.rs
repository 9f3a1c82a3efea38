//! Identities at other providers: what is shown of them, and whose they are.

use echolog_events::{
    AuthEvent, ClaimKind, CredentialEvent, Event, IdentifierClaimed, IdentifierReleased,
    OauthProvider, OauthProviderLinked, OauthProviderUnlinked, OauthTokenRefreshed, Uuid,
};

use serde::{Deserialize, Serialize};

use super::findings::{Identity, SealedTokens, Vouched};
use crate::fields::{CodeVerifier, ProviderToken, Text, Token};
use crate::state::OauthLink;
use crate::{ClaimId, Context, Key, Needs, NewEvent, Rejection, World};

/// What somebody shows for a provider to vouch for them. Nothing of it leaves the request path but who the
/// provider is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthProof {
    /// Who is to vouch.
    pub provider: OauthProvider,
    /// What the provider gave for its answer to be fetched with.
    #[serde(skip_serializing)]
    pub code: Option<ProviderToken>,
    /// Of PKCE: what only the client knows that began.
    #[serde(skip_serializing)]
    pub code_verifier: Option<CodeVerifier>,
    /// Where the provider sent the client with the code.
    #[serde(skip_serializing)]
    pub redirect_uri: Option<Text<1, 2048>>,
    /// What makes the provider's answer one for this occasion.
    #[serde(skip_serializing)]
    pub nonce: Option<Token>,
    /// The provider's answer, where the client has it already.
    #[serde(skip_serializing)]
    pub id_token: Option<ProviderToken>,
}

impl OauthProof {
    /// Whether it is whole, as its owner sent it.
    #[must_use]
    pub fn carries_secret(&self) -> bool {
        let Self { provider: _, code, code_verifier, redirect_uri: _, nonce, id_token } = self;
        code.is_some() || code_verifier.is_some() || nonce.is_some() || id_token.is_some()
    }

    /// What is shown, taken out; who is to vouch stays.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self {
            provider: self.provider,
            code: self.code.take(),
            code_verifier: self.code_verifier.take(),
            redirect_uri: self.redirect_uri.take(),
            nonce: self.nonce.take(),
            id_token: self.id_token.take(),
        }
    }
}

/// What the reference says of such a field.
pub(super) const KIND: &str = "map of `provider` and what it gave you, as the fields of `link_oauth_provider` of the same names: `code`, `code_verifier`, `redirect_uri` and `nonce`, or `id_token` and `nonce`; **a secret**";

/// Whom the provider vouches for.
///
/// # Errors
/// `unauthenticated` if for nobody, `unavailable` if it cannot be asked.
pub(super) fn vouched<'c>(context: &Context<'c>) -> Result<&'c Identity, Rejection> {
    match &context.findings.oauth {
        Some(Vouched::For(identity)) => Ok(identity),
        Some(Vouched::ForNobody) => Err(not_vouched_for()),
        Some(Vouched::Unasked) => Err(cannot_be_asked()),
        None => {
            Err(Rejection::invalid("", "What a provider gave you goes by `req.`, which asks it."))
        }
    }
}

/// What is said to somebody whom the provider does not vouch for.
#[must_use]
pub fn not_vouched_for() -> Rejection {
    Rejection::unauthenticated("The provider does not vouch for this; begin with it again.")
}

/// What is said where a provider gives no answer that means anything.
#[must_use]
pub fn cannot_be_asked() -> Rejection {
    Rejection::unavailable("The provider cannot be asked now; begin with it again later.")
}

/// Whether the identity that somebody logs in with is linked to the account; and that what its provider
/// gave besides is kept, where it is.
///
/// # Errors
/// `not_found` if it is not, or not any more.
pub(super) fn linked(
    context: &Context<'_>,
    world: &World,
) -> Result<Option<CredentialEvent>, Rejection> {
    let Identity { provider, provider_user_id, tokens, .. } = vouched(context)?;
    let link = world.credentials(context.target).oauth.of.get(provider);
    let link = link.filter(|link| link.provider_user_id == *provider_user_id);
    let link = link.ok_or_else(not_linked)?;
    let kept = |tokens| keeps(context, (*provider, link.id), Some(link), tokens);
    Ok(tokens.as_ref().map(kept))
}

/// What is said to somebody whose identity speaks for nobody here: it is theirs, so they may know.
#[must_use]
pub fn not_linked() -> Rejection {
    Rejection::not_found("The identity is linked to no account: register with it, or link it.")
}

/// Names the claim to an identity.
pub(super) fn claim_id(context: &Context<'_>, provider: OauthProvider, its_id: &str) -> ClaimId {
    let identity = provider.identity(its_id);
    ClaimId::new(&context.settings.claim_key, ClaimKind::OauthIdentity, &identity)
}

/// Asks for the claim to the identity that is vouched for.
pub(super) fn need_claim(context: &Context<'_>, needs: &mut Needs) {
    if let Some(Vouched::For(identity)) = &context.findings.oauth {
        let Identity { provider, provider_user_id, .. } = &**identity;
        needs.want(Key::Claim(claim_id(context, *provider, provider_user_id)));
    }
}

/// The identity speaks for a user from now on.
///
/// # Errors
/// `already_exists` if it speaks for another, `conflict` if another of the provider's speaks for
/// this one.
pub(super) fn links(
    context: &Context<'_>,
    world: &World,
    identity: &Identity,
    has_password: bool,
) -> Result<Vec<NewEvent>, Rejection> {
    let user_id = context.target;
    let Identity { provider, provider_user_id, .. } = identity;
    let claim_id = claim_id(context, *provider, provider_user_id);
    let claim = world.claim(&claim_id);
    if claim.owner.is_some_and(|owner| owner != user_id) {
        return Err(Rejection::already_exists("The identity is linked to another account."));
    }
    let present = world.credentials(user_id).oauth.of.get(provider);
    if present.is_some_and(|link| link.provider_user_id != *provider_user_id) {
        return Err(Rejection::conflict(
            "Another identity of this provider is linked; unlink it first.",
        ));
    }
    let link_id = present.map_or(identity.link_id, |link| link.id);
    let linked = CredentialEvent::OauthProviderLinked(OauthProviderLinked {
        user_id,
        link_id,
        provider: *provider,
        provider_user_id: provider_user_id.clone(),
        provider_email: identity.email.clone(),
        profile_data: identity.profile.clone(),
        has_password,
    });
    let claimed = claim.owner.is_none().then(|| {
        let (kind, owner_id) = (ClaimKind::OauthIdentity, user_id);
        let claimed = IdentifierClaimed { kind, owner_id };
        of_claim(&claim_id, claim.seq, AuthEvent::IdentifierClaimed(claimed))
    });
    let tokens = identity.tokens.as_ref();
    let kept = tokens.map(|tokens| keeps(context, (*provider, link_id), present, tokens).into());
    Ok([linked.into()].into_iter().chain(claimed).chain(kept).collect())
}

/// What a provider gave for calls in the user's name is kept. Where there is no new refresh token, the
/// one of before stays good.
pub(super) fn keeps(
    context: &Context<'_>,
    (provider, link_id): (OauthProvider, Uuid),
    present: Option<&OauthLink>,
    tokens: &SealedTokens,
) -> CredentialEvent {
    let before = present.and_then(|link| link.refresh_token.clone());
    CredentialEvent::OauthTokenRefreshed(OauthTokenRefreshed {
        user_id: context.target,
        link_id,
        provider,
        access_token: tokens.access_token.clone(),
        refresh_token: tokens.refresh_token.clone().or(before),
        token_expires_at: tokens.expires_at,
    })
}

/// Asks for the claims to the identities that speak for the account, once they are known.
pub(super) fn need_claims(context: &Context<'_>, world: &World, needs: &mut Needs) {
    for (provider, link) in &world.credentials(context.target).oauth.of {
        needs.want(Key::Claim(claim_id(context, *provider, &link.provider_user_id)));
    }
}

/// An identity speaks for the account no more, and is free again.
pub(super) fn unlinks(
    context: &Context<'_>,
    world: &World,
    (provider, link): (OauthProvider, &OauthLink),
    by_user_id: Option<Uuid>,
) -> impl Iterator<Item = NewEvent> {
    let user_id = context.target;
    let unlinked = OauthProviderUnlinked { user_id, link_id: link.id, provider, by_user_id };
    let claim_id = claim_id(context, provider, &link.provider_user_id);
    let claim = world.claim(&claim_id);
    let released = (claim.owner == Some(user_id)).then(|| {
        let (kind, owner_id) = (ClaimKind::OauthIdentity, user_id);
        let released = IdentifierReleased { kind, owner_id };
        of_claim(&claim_id, claim.seq, AuthEvent::IdentifierReleased(released))
    });
    [CredentialEvent::OauthProviderUnlinked(unlinked).into()].into_iter().chain(released)
}

fn of_claim(id: &ClaimId, seq: u64, event: AuthEvent) -> NewEvent {
    NewEvent { key: id.stream_key(), event: Event::Auth(event), expected: Some(seq) }
}
