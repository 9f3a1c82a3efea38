use echolog_events::{CredentialEvent, Event, OauthProvider, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::findings::Check;
use super::{OauthProof, oauth, proof};
use crate::doc::{Doc, optional, required};
use crate::fields::{CodeVerifier, OneTimeCode, Password, ProviderToken, SentCode, Text, Token};
use crate::{Context, Decide, Decision, Needs, World, access};

/// Lets an identity at a provider speak for the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkOauthProvider {
    /// Who vouches for it.
    pub provider: OauthProvider,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub code: Option<ProviderToken>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub code_verifier: Option<CodeVerifier>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub redirect_uri: Option<Text<1, 2048>>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub nonce: Option<Token>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub id_token: Option<ProviderToken>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub password: Option<Password>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub totp: Option<OneTimeCode>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub recovery_code: Option<Token>,
    /// Never leaves the request path.
    #[serde(skip_serializing)]
    pub otp: Option<SentCode>,
}

impl LinkOauthProvider {
    /// What is shown of the identity, taken out.
    pub fn take_proof(&mut self) -> OauthProof {
        OauthProof {
            provider: self.provider,
            code: self.code.take(),
            code_verifier: self.code_verifier.take(),
            redirect_uri: self.redirect_uri.take(),
            nonce: self.nonce.take(),
            id_token: self.id_token.take(),
        }
    }
}

impl Decide for LinkOauthProvider {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Lets an identity at another provider speak for you. You show the `code` that the provider gave you, or the `id_token` that it gave an app of yours; what is asked of the provider with it is who you are there, and nothing is kept of it but that, and, where the operator wants so, what it gives for calls in your name, sealed. The outcome's `data` has `link_id`, `provider` and `provider_email`. Linking the same again notes what the provider says by now.",
        target: "your own user id",
        fields: &[
            required("provider", "`google`, `apple`, `facebook` or `github`"),
            optional(
                "code",
                "text, at most 8 KiB: the authorization code; **a secret**; needed, or `id_token`",
            ),
            optional(
                "code_verifier",
                "text, 43 to 128 of `A-Z a-z 0-9 - . _ ~`: that of PKCE; **a secret**; needed with `code`",
            ),
            optional(
                "redirect_uri",
                "text: the address that the code came to, one of those of the configuration; needed with `code`",
            ),
            optional(
                "nonce",
                "text, at most 512 bytes: with `code` from Google or Apple what you sent as `nonce`; with `id_token` what you sent the SHA-256 of, in hex; **a secret**",
            ),
            optional(
                "id_token",
                "text, at most 8 KiB: what Google or Apple gave an app; **a secret**; instead of `code`, no older than ten minutes",
            ),
            optional("password", "text, 8 to 256 bytes; **a secret**; needed if you have one"),
            optional(
                "totp",
                "text of six digits: what the authenticator shows; **a secret**; needed, or `recovery_code`, where two factors are in use",
            ),
            optional("recovery_code", "text: one of the recovery codes; **a secret**"),
            optional(
                "otp",
                "map of `otp_id` and `code`: one that was sent for `2fa`, where that is the second factor or there is no password; **a secret**",
            ),
        ],
        events: &[
            "totp_used",
            "recovery_code_used",
            "otp_verified",
            "otp_attempt_failed",
            "oauth_provider_linked",
            "identifier_claimed",
            "oauth_token_refreshed",
            "login_failed",
            "user_locked",
        ],
        refused: &[
            (
                "unauthenticated",
                "what proves who you are is not right, or too many attempts failed before; or the provider does not vouch for what you show: a code is good once",
            ),
            ("forbidden", "the target is another user, or the account may not act"),
            ("already_exists", "the identity is linked to another account"),
            ("conflict", "another identity of this provider is linked"),
            (
                "unavailable",
                "the operator has not set the provider up, or it does not answer, or with nonsense",
            ),
        ],
        example: r#"{"provider":"google","code":"4/0AY0e-g7","code_verifier":"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk","redirect_uri":"https://app.example.org/callback","nonce":"n-0S6_WzA2Mj","id_token":"eyJhbGciOiJSUzI1NiJ9.e30.c2ln","password":"correct horse battery","totp":"287082","recovery_code":"abcde-23456","otp":{"otp_id":"0192f3c4-aaaa-7bbb-8ccc-000000000007","code":"123456"}}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        proof::need(context, needs);
        oauth::need_claim(context, needs);
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        context.own_user()?;
        access::active_user(context, world)?;
        // It would let whoever has got hold of a session come back for ever.
        let used = proof::check(context, world)?;
        let identity = oauth::vouched(context)?;
        let has_password = context.findings.password == Some(Check::Right);
        let linked = oauth::links(context, world, identity, has_password)?;
        Ok(proof::along(used, linked.into_iter().collect()))
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        events.iter().find_map(|event| {
            let Event::Credentials(CredentialEvent::OauthProviderLinked(e)) = event else {
                return None;
            };
            Some(json!({
                "link_id": e.link_id, "provider": e.provider, "provider_email": e.provider_email,
            }))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use echolog_events::{
        AuthEvent, ClaimKind, IdentifierClaimed, JsonMap, OauthProviderLinked, Uuid,
    };

    use super::super::operators::tests::names;
    use super::super::tests::{showing, two_factor};
    use super::super::{Findings, Identity, Vouched};
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode};

    pub(in crate::auth) fn link(provider: OauthProvider) -> LinkOauthProvider {
        serde_json::from_value(json!({ "provider": provider })).expect("a good body")
    }

    fn identity(provider: OauthProvider, its_id: &str, link: u16) -> Identity {
        Identity {
            link_id: id(link),
            provider,
            provider_user_id: its_id.to_owned(),
            email: Some("ada@example.org".to_owned()),
            profile: JsonMap::new(),
            tokens: None,
        }
    }

    fn found(vouched: Vouched, password: Option<Check>) -> Findings {
        Findings { oauth: Some(vouched), password, ..Findings::default() }
    }

    /// The provider vouches for this, and the password is right.
    pub(in crate::auth) fn vouching(provider: OauthProvider, its_id: &str, link: u16) -> Findings {
        let identity = identity(provider, its_id, link);
        found(Vouched::For(Box::new(identity)), Some(Check::Right))
    }

    fn linked(user: u16, link: u16) -> Event {
        Event::Credentials(CredentialEvent::OauthProviderLinked(OauthProviderLinked {
            user_id: id(user),
            link_id: id(link),
            provider: OauthProvider::Google,
            provider_user_id: "ada".to_owned(),
            provider_email: Some("ada@example.org".to_owned()),
            profile_data: JsonMap::new(),
            has_password: true,
        }))
    }

    fn google(story: Story, its_id: &str, link: u16) -> Story {
        story.findings(vouching(OauthProvider::Google, its_id, link))
    }

    /// User 1 has linked this.
    pub(in crate::auth) fn has_linked(
        story: Story,
        provider: OauthProvider,
        link_id: u16,
    ) -> Story {
        let story = story.findings(vouching(provider, "ada", link_id));
        story.done(&Actor::User(id(1)), id(1), link(provider))
    }

    #[test]
    fn an_identity_is_linked_and_claimed() {
        let story = google(Story::new().users([id(1)]), "ada", 600);
        let (kind, owner_id) = (ClaimKind::OauthIdentity, id(1));
        let claimed = AuthEvent::IdentifierClaimed(IdentifierClaimed { kind, owner_id });
        let events = story.when(id(1), id(1), link(OauthProvider::Google)).accepted();
        assert_eq!(events[1].key, story.claim(kind, "google\0ada").stream_key());
        assert_eq!(events[1].expected, Some(0));
        let events: Vec<Event> = events.into_iter().map(|new| new.event).collect();
        assert_eq!(events, [linked(1, 600), Event::Auth(claimed)]);
    }

    #[test]
    fn the_same_again_keeps_its_link() {
        let story = has_linked(Story::new().users([id(1)]), OauthProvider::Google, 600);
        let story = google(story, "ada", 601);
        story.when(id(1), id(1), link(OauthProvider::Google)).then([linked(1, 600)]);
        let other = google(story, "another", 602);
        other.when(id(1), id(1), link(OauthProvider::Google)).refused(ErrorCode::Conflict);
        // Another provider may call somebody else the same.
        let github = other.findings(vouching(OauthProvider::Github, "ada", 603));
        github.when(id(1), id(1), link(OauthProvider::Github)).accepted();
    }

    #[test]
    fn an_identity_speaks_for_one() {
        let story = has_linked(Story::new().users([id(1), id(2)]), OauthProvider::Google, 600);
        let story = google(story, "ada", 601);
        story.when(id(2), id(2), link(OauthProvider::Google)).refused(ErrorCode::AlreadyExists);
        story.when(id(2), id(1), link(OauthProvider::Google)).refused(ErrorCode::Forbidden);
    }

    #[test]
    fn a_session_alone_links_nothing() {
        let vouched = || Vouched::For(Box::new(identity(OauthProvider::Google, "ada", 600)));
        let story = || Story::new().users([id(1)]);
        let try_with = |story: Story, password| {
            let story = story.findings(found(vouched(), password));
            story.when(id(1), id(1), link(OauthProvider::Google))
        };
        try_with(story(), None).refused(ErrorCode::Invalid);
        let no = try_with(story(), Some(Check::Wrong)).refused(ErrorCode::Unauthenticated);
        assert_eq!(no.events.len(), 1, "it counts");
        let story = two_factor(story(), 1);
        let no = google(story, "ada", 600).when(id(1), id(1), link(OauthProvider::Google));
        assert!(no.refused(ErrorCode::Unauthenticated).data.is_some(), "a second factor is asked");
    }

    #[test]
    fn with_a_second_factor_it_is_used_up() {
        let story = two_factor(Story::new().users([id(1)]), 1);
        let shown = showing(&story, 1, 30).second_factor;
        let vouched = vouching(OauthProvider::Google, "ada", 600);
        let story = story.findings(Findings { second_factor: shown, ..vouched });
        let events = story.when(id(1), id(1), link(OauthProvider::Google)).accepted();
        assert_eq!(names(events), ["totp_used", "oauth_provider_linked", "identifier_claimed"]);
    }

    #[test]
    fn whom_no_provider_vouches_for_is_refused() {
        let story =
            |vouched| Story::new().users([id(1)]).findings(found(vouched, Some(Check::Right)));
        for (vouched, code) in [
            (Vouched::ForNobody, ErrorCode::Unauthenticated),
            (Vouched::Unasked, ErrorCode::Unavailable),
        ] {
            let story = story(vouched);
            let no = story.when(id(1), id(1), link(OauthProvider::Google)).refused(code);
            assert!(no.events.is_empty(), "that is no guess at a password");
        }
    }

    #[test]
    fn shows_no_secret() {
        let example: Value = serde_json::from_str(LinkOauthProvider::DOC.example).expect("JSON");
        let link: LinkOauthProvider = serde_json::from_value(example.clone()).expect("good");
        let shown = format!("{link:?} {}", serde_json::to_string(&link).expect("JSON"));
        for secret in ["code", "code_verifier", "nonce", "id_token", "password", "totp"] {
            let secret = example[secret].as_str().expect("a text");
            assert!(!shown.contains(secret), "{shown}");
        }
        let _: Uuid = id(1);
    }
}
