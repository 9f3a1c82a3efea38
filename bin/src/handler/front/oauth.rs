//! Who somebody is whom another provider vouches for.

use echolog_commands::auth::{
    Check, Findings, LinkOauthProvider, Login, OauthProof, RegisterUser, Vouched, cannot_be_asked,
    not_linked, not_vouched_for,
};
use echolog_commands::{Actor, ClaimId, Rejection, fields};
use echolog_events::{ClaimKind, Uuid};
use echolog_nats::CommandSubject;

use super::Front;
use super::factors::Shown;
use super::login::{Found, owner, unreadable};
use crate::clock;
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
        let user = fields::parse_id(&subject.target)
            .map_err(|message| Rejection::invalid("target", message))?;
        let question = self.handler.oauth.question(command.take_proof())?;
        let shown =
            Shown::new(command.totp.take(), command.recovery_code.take(), command.otp.take());
        let second_factor = self.second_factor(user, shown)?;
        let checked = self.check(user, command.password.take()).await?;
        let own = Actor::parse(&subject.actor) == Some(Actor::User(user));
        let oauth = match checked.password {
            Some(Check::Right | Check::NoPassword) if own => {
                Some(self.handler.oauth.ask(question).await)
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
        let identity = match self.handler.oauth.ask(question).await {
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
        let (login, oauth) = (Some(login), Some(Vouched::For(identity)));
        let findings = Findings { login, oauth, second_factor, ..Findings::default() };
        Ok(Found { findings, told: tokens.told(), letter: None, home: Some(user) })
    }

    /// Asks the provider whom it vouches for who wants an account. As in linking, its owner decides what
    /// comes of the answer.
    pub(super) async fn first_identity(
        &self,
        command: &mut RegisterUser,
    ) -> Result<Option<Vouched>, Rejection> {
        let Some(proof) = &mut command.oauth else { return Ok(None) };
        let question = self.handler.oauth.question(proof.take())?;
        Ok(Some(self.handler.oauth.ask(question).await))
    }
}
