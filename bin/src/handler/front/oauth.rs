//! Who somebody is whom another provider vouches for, and what it gives for calls in their name.

use bytes::Bytes;
use echolog_commands::auth::{
    Check, Exchange, Exchanged, Findings, LinkOauthProvider, Login, OauthProof, PresentToken,
    RefreshOauthToken, RegisterUser, SealedTokens, Vouched, cannot_be_asked, not_linked,
    not_vouched_for,
};
use echolog_commands::{Actor, ClaimId, ContentType, Rejection};
use echolog_events::{ClaimKind, Uuid};
use echolog_nats::CommandSubject;

use super::factors::Shown;
use super::login::{Found, owner, unreadable};
use super::{Front, target};
use crate::clock;
use crate::oauth::{self, Given};
use crate::sealing::{Kind, Seal};
use crate::tokens::Tokens;

impl Front {
    /// Asks the provider whom it vouches for, on behalf of somebody who has proved once more whose account
    /// it is. What the provider says is for the owner to decide: a command that was accepted before stays
    /// so, though its code is good for nothing any more.
    pub(super) async fn link_oauth_provider(
        &self,
        subject: &CommandSubject,
        command: &mut LinkOauthProvider,
    ) -> Result<Found, Rejection> {
        let user = target(subject)?;
        let question = self.handler.oauth.question(command.take_proof())?;
        let shown =
            Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take());
        let second_factor = self.second_factor(user, shown)?;
        let checked = self.check(user, command.password.take()).await?;
        let own = Actor::parse(&subject.actor) == Some(Actor::User(user));
        let oauth = match checked.password {
            Some(Check::Right | Check::NoPassword) if own => {
                Some(self.vouched(user, self.handler.oauth.ask(question).await))
            }
            Some(_) | None => None,
        };
        let findings = Findings { oauth, second_factor, ..checked };
        Ok(Found { findings, ..Found::default() })
    }

    /// Finds out whose the identity is that somebody logs in with. Only the log tells, never an e-mail
    /// address.
    pub(super) async fn log_in_by_oauth(
        &self,
        session_id: Uuid,
        proof: OauthProof,
        shown: Shown,
    ) -> Result<Found, Rejection> {
        let provider = proof.provider;
        let question = self.handler.oauth.question(proof)?;
        let (vouched, given) = self.handler.oauth.ask(question).await;
        let identity = match vouched {
            Vouched::For(identity) => identity,
            Vouched::ForNobody => return Err(not_vouched_for()),
            Vouched::Unasked => return Err(cannot_be_asked()),
        };
        let key = &self.handler.settings.claim_key;
        let value = provider.identity(&identity.provider_user_id);
        let claim = ClaimId::new(key, ClaimKind::OauthIdentity, &value);
        let user = owner(&self.handler.log(), &claim).await.map_err(unreadable)?;
        let user = user.ok_or_else(not_linked)?;
        let second_factor = self.second_factor(user, shown)?;
        let tokens = Tokens::new(&self.handler.keys.tokens, user, session_id, 0);
        let login = Login {
            session_id,
            identifier: provider.name().to_owned(),
            check: Check::Right,
            code: None,
            tokens: tokens.hashes.clone(),
            device_id: clock::new_id().to_string(),
            password: 0,
            rehashed: None,
        };
        let vouched = self.vouched(user, (Vouched::For(identity), given));
        let (login, oauth) = (Some(login), Some(vouched));
        let findings = Findings { login, oauth, second_factor, ..Findings::default() };
        Ok(Found { findings, told: tokens.told(), letter: None, home: Some(user) })
    }

    /// Asks the provider whom it vouches for who wants an account. As in linking, its owner decides what
    /// comes of the answer.
    pub(super) async fn first_identity(
        &self,
        subject: &CommandSubject,
        command: &mut RegisterUser,
    ) -> Result<Option<Vouched>, Rejection> {
        let Some(proof) = &mut command.oauth else { return Ok(None) };
        let user = target(subject)?;
        let question = self.handler.oauth.question(proof.take())?;
        Ok(Some(self.vouched(user, self.handler.oauth.ask(question).await)))
    }

    /// Has the provider give new tokens, if the account's owner says so, who knows whether this was done
    /// before; `None` if not: then the owner's answer is the outcome.
    pub(super) async fn refresh_oauth_token(
        &self,
        subject: &CommandSubject,
        command: &RefreshOauthToken,
        (content_type, answer): (ContentType, &Bytes),
    ) -> Result<Option<Found>, Rejection> {
        let Some(present) = PresentToken::of(&content_type.decode_outcome(answer)?) else {
            return Ok(None);
        };
        let user = target(subject)?;
        let provider = command.provider;
        let PresentToken { link_id, refresh_token: used } = present;
        let seal = Seal::new(&self.handler.keys.oauth, user, provider);
        let Some(token) = seal.open(Kind::Refresh, used.expose()) else {
            tracing::error!("the token of a provider was sealed with another key");
            return Err(Rejection::internal("What is kept of the provider's cannot be read."));
        };
        let exchange = match self.handler.oauth.refresh(provider, token).await {
            oauth::Exchanged::For(given) => Exchange::For(Box::new(sealed(&seal, &given))),
            oauth::Exchanged::Refused => Exchange::Refused,
            oauth::Exchanged::Unasked => Exchange::Unasked,
        };
        let exchanged = Some(Exchanged { link_id, used, exchange });
        let findings = Findings { exchanged, ..Findings::default() };
        Ok(Some(Found { findings, ..Found::default() }))
    }

    /// What a provider says, with what it gives, where that is kept.
    fn vouched(&self, user: Uuid, (vouched, given): (Vouched, Option<Given>)) -> Vouched {
        let given = given.filter(|_| self.handler.settings.keep_oauth_tokens);
        match (vouched, given) {
            (Vouched::For(mut identity), Some(given)) => {
                let seal = Seal::new(&self.handler.keys.oauth, user, identity.provider);
                identity.tokens = Some(sealed(&seal, &given));
                Vouched::For(identity)
            }
            (vouched, _) => vouched,
        }
    }
}

fn sealed(seal: &Seal, given: &Given) -> SealedTokens {
    let refresh_token = given.refresh_token.as_ref();
    SealedTokens {
        access_token: seal.seal(Kind::Access, &given.access_token),
        refresh_token: refresh_token.map(|token| seal.seal(Kind::Refresh, token)),
        expires_at: given.expires_at,
    }
}
