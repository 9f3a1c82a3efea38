use echolog_events::{OauthProvider, Stream};
use serde::{Deserialize, Serialize};

use super::{Authority, authority, need_authority, oauth};
use crate::doc::{Doc, required};
use crate::{Context, Decide, Decision, Key, Needs, Rejection, Settings, World};

/// Lets an identity at a provider speak for the user no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlinkOauthProvider {
    /// Who vouched for it.
    pub provider: OauthProvider,
}

impl Decide for UnlinkOauthProvider {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Lets an identity at another provider speak for you no more. One that is not linked is no error.",
        target: "your own user id; another's for services",
        fields: &[required("provider", "`google`, `apple`, `facebook` or `github`")],
        events: &["oauth_provider_unlinked", "identifier_released"],
        refused: &[
            ("forbidden", "the target is another user"),
            (
                "conflict",
                "there is no other way left to log in: no password, no verified address or number, no other link",
            ),
        ],
        example: r#"{"provider":"google"}"#,
    };

    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs) {
        need_authority(context, needs);
        needs.want(Key::User(context.target));
        needs.want(Key::Credentials(context.target));
        needs.want(Key::Sessions(context.target));
        oauth::need_claims(context, world, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        let by = match authority(context, world)? {
            Authority::Own => Some(context.target),
            Authority::Service => None,
            Authority::Admin(_) => return Err(Rejection::forbidden("This is another user's.")),
        };
        let links = &world.credentials(context.target).oauth;
        let Some(link) = links.of.get(&self.provider) else { return Ok(Vec::new()) };
        // The first password has the number 0.
        let has_password = links.has_password || world.sessions(context.target).password > 0;
        // Codes go there.
        let Settings { sends_emails, sends_texts, .. } = context.settings;
        let has_contact = world.user(context.target).is_some_and(|user| {
            (user.email_verified && *sends_emails) || (user.phone_verified && *sends_texts)
        });
        if !has_password && !has_contact && links.of.len() == 1 {
            return Err(Rejection::conflict(
                "There is no other way left to log in: choose a password first.",
            ));
        }
        Ok(oauth::unlinks(context, world, (self.provider, link), by).collect())
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::{
        AccountEvent, AuthEvent, ClaimKind, CredentialEvent, EmailVerified, Event,
        IdentifierReleased, JsonMap, OauthProviderLinked, OauthProviderUnlinked, StreamKey,
    };

    use super::super::link_oauth_provider::tests::{has_linked, link, vouching};
    use super::super::operators::tests::{service, town};
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    fn unlink(provider: OauthProvider) -> UnlinkOauthProvider {
        UnlinkOauthProvider { provider }
    }

    fn unlinked(by_user_id: Option<echolog_events::Uuid>) -> [Event; 2] {
        let (user_id, link_id, provider) = (id(1), id(600), OauthProvider::Google);
        let unlinked = OauthProviderUnlinked { user_id, link_id, provider, by_user_id };
        let released = IdentifierReleased { kind: ClaimKind::OauthIdentity, owner_id: id(1) };
        [
            Event::Credentials(CredentialEvent::OauthProviderUnlinked(unlinked)),
            Event::Auth(AuthEvent::IdentifierReleased(released)),
        ]
    }

    #[test]
    fn an_identity_is_free_again() {
        let google = unlink(OauthProvider::Google);
        let story = has_linked(town(), OauthProvider::Google, 600);
        story.when(id(1), id(1), google.clone()).then(unlinked(Some(id(1))));
        story.when_actor(&service(), id(1), google.clone()).then(unlinked(None));
        for other in [2, 4] {
            story.when(id(other), id(1), google.clone()).refused(ErrorCode::Forbidden);
        }
        story.when(id(1), id(1), unlink(OauthProvider::Apple)).then_nothing();
        let story = story.done(&Actor::User(id(1)), id(1), google.clone());
        story.when(id(1), id(1), google).then_nothing();
        let story = story.findings(vouching(OauthProvider::Google, "ada", 601));
        let events = story.when(id(2), id(2), link(OauthProvider::Google)).accepted();
        assert_eq!(events.len(), 2, "who proves it next has it");
    }

    /// User 1 has no password, and these links.
    fn without_password(providers: &[OauthProvider]) -> Story {
        providers.iter().fold(Story::new().users([id(1)]), |story, provider| {
            let linked = OauthProviderLinked {
                user_id: id(1),
                link_id: id(600),
                provider: *provider,
                provider_user_id: "ada".to_owned(),
                provider_email: None,
                profile_data: JsonMap::new(),
                has_password: false,
            };
            let event = Event::Credentials(CredentialEvent::OauthProviderLinked(linked));
            story.event(StreamKey::of(Stream::Credential, id(1)), event)
        })
    }

    #[test]
    fn the_last_way_in_stays_open() {
        let (google, github) = (OauthProvider::Google, OauthProvider::Github);
        let story = without_password(&[google]);
        for actor in [Actor::User(id(1)), service()] {
            story.when_actor(&actor, id(1), unlink(google)).refused(ErrorCode::Conflict);
        }
        let story = without_password(&[google, github]);
        let story = story.done(&Actor::User(id(1)), id(1), unlink(google));
        story.when(id(1), id(1), unlink(github)).refused(ErrorCode::Conflict);
    }

    #[test]
    fn an_address_is_a_way_in_if_codes_get_there() {
        let google = OauthProvider::Google;
        let verified =
            EmailVerified { user_id: id(1), email: "ada@example.org".to_owned(), activates: false };
        let verified = Event::Accounts(AccountEvent::EmailVerified(verified));
        let story = || {
            let key = StreamKey::of(Stream::User, id(1));
            without_password(&[google]).event(key, verified.clone())
        };
        story().when(id(1), id(1), unlink(google)).accepted();
        let settings = Settings { sends_emails: false, ..Settings::default() };
        let story = story().settings(settings);
        story.when(id(1), id(1), unlink(google)).refused(ErrorCode::Conflict);
    }
}
