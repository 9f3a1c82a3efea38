//! Who somebody is whom another provider vouches for.

use echolog_commands::auth::{Check, Findings, LinkOauthProvider};
use echolog_commands::{Actor, Rejection, fields};
use echolog_nats::CommandSubject;

use super::Front;
use super::factors::Shown;
use super::login::Found;

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
}
