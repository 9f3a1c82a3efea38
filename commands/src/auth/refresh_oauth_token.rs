use echolog_events::{CredentialEvent, Event, OauthProvider, Sealed, Stream, Uuid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::findings::{Exchange, Exchanged};
use super::{Authority, authority, need_authority, oauth};
use crate::doc::{Doc, required};
use crate::{Context, Decide, Decision, Key, Needs, Outcome, Rejection, World, access};

/// Has a provider give new tokens for calls in the user's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshOauthToken {
    /// Which provider.
    pub provider: OauthProvider,
}

/// What the account's owner has the request path show the provider: once it is clear that the command may
/// be obeyed and was not obeyed before, since a refresh token may be good once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PresentToken {
    /// The link that it is kept for.
    pub link_id: Uuid,
    /// The token.
    pub refresh_token: Sealed,
}

impl PresentToken {
    const NAME: &str = "present_token";

    /// What an owner asks for, if this is no outcome yet.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Option<Self> {
        let asked = outcome.data.as_ref()?.get(Self::NAME)?;
        serde_json::from_value(asked.clone()).ok()
    }

    /// It goes no further than the request path, which is the only one that may hand the command over.
    fn ask(self) -> Rejection {
        let no = Rejection::unavailable("The provider was not asked.");
        no.with_data(json!({ Self::NAME: self }))
    }
}

impl Decide for RefreshOauthToken {
    const STREAM: Stream = Stream::Credential;
    const DOC: Doc = Doc {
        summary: "Has a provider give new tokens for calls in a user's name, by the refresh token that it gave before. For tenants whose operator keeps such tokens. The outcome does not tell them: they rest sealed, for backends that have the key. The outcome's `data` has `link_id`, `provider` and `token_expires_at`.",
        target: "your own user id; another's for services",
        fields: &[required("provider", "`google`, `apple`, `facebook` or `github`")],
        events: &["oauth_token_refreshed"],
        refused: &[
            ("forbidden", "the target is another user, or the account may not act"),
            ("not_found", "no identity of this provider is linked"),
            ("conflict", "tokens are not kept, or the provider has given no refresh token"),
            ("conflict", "there are newer tokens by now, which somebody else asked for"),
            ("unauthenticated", "the provider takes the refresh token no more; link it again"),
            (
                "unavailable",
                "the operator has not set the provider up, or it does not answer, or with nonsense",
            ),
        ],
        example: r#"{"provider":"google"}"#,
    };

    fn needs(&self, context: &Context<'_>, _: &World, needs: &mut Needs) {
        need_authority(context, needs);
        needs.want(Key::User(context.target));
        needs.want(Key::Credentials(context.target));
    }

    fn decide(&self, context: &Context<'_>, world: &World) -> Decision {
        match authority(context, world)? {
            Authority::Own => drop(access::active_user(context, world)?),
            Authority::Service => {}
            Authority::Admin(_) => return Err(Rejection::forbidden("This is another user's.")),
        }
        let link = world.credentials(context.target).oauth.of.get(&self.provider);
        let link =
            link.ok_or_else(|| Rejection::not_found("No identity of this provider is linked."))?;
        if !context.settings.keep_oauth_tokens {
            return Err(Rejection::conflict("Tokens of providers are not kept."));
        }
        let present = link.refresh_token.clone().ok_or_else(|| {
            Rejection::conflict("No refresh token of this provider is kept; link it again.")
        })?;
        let Some(Exchanged { link_id, used, exchange }) = &context.findings.exchanged else {
            return Err(PresentToken { link_id: link.id, refresh_token: present }.ask());
        };
        if (*link_id, used) != (link.id, &present) {
            return Err(Rejection::conflict("There are newer tokens by now."));
        }
        match exchange {
            Exchange::For(tokens) => {
                let of = (self.provider, link.id);
                Ok(vec![oauth::keeps(context, of, Some(link), tokens).into()])
            }
            Exchange::Refused => Err(Rejection::unauthenticated(
                "The provider takes the refresh token no more; link it again.",
            )),
            Exchange::Unasked => {
                Err(Rejection::unavailable("The provider cannot be asked now; try again later."))
            }
        }
    }

    fn data(&self, events: &[&Event]) -> Option<Value> {
        events.iter().find_map(|event| {
            let Event::Credentials(CredentialEvent::OauthTokenRefreshed(e)) = event else {
                return None;
            };
            let (link_id, over) = (e.link_id, e.token_expires_at);
            Some(json!({ "link_id": link_id, "provider": e.provider, "token_expires_at": over }))
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use echolog_events::{OauthTokenRefreshed, Time};

    use super::super::link_oauth_provider::tests::{has_linked, link, vouching};
    use super::super::log_in::LogIn;
    use super::super::operators::tests::{service, town};
    use super::super::tests::found;
    use super::super::{
        BanUser, Check, Findings, RegisterUser, SealedTokens, UnlinkOauthProvider, Vouched,
    };
    use super::*;
    use crate::story::{Story, id};
    use crate::{Actor, ErrorCode, Settings, State};

    const GOOGLE: OauthProvider = OauthProvider::Google;

    fn refresh() -> RefreshOauthToken {
        RefreshOauthToken { provider: GOOGLE }
    }

    fn sealed(text: &str) -> Sealed {
        Sealed::new(text)
    }

    fn over() -> Time {
        Time::default() + TimeDelta::hours(1)
    }

    fn tokens(access: &str, refresh: Option<&str>) -> SealedTokens {
        let refresh_token = refresh.map(sealed);
        SealedTokens { access_token: sealed(access), refresh_token, expires_at: Some(over()) }
    }

    /// The provider vouches for this, and gives tokens besides.
    fn giving(findings: Findings, given: SealedTokens) -> Findings {
        let Some(Vouched::For(mut identity)) = findings.oauth else { panic!("nobody") };
        identity.tokens = Some(given);
        Findings { oauth: Some(Vouched::For(identity)), ..findings }
    }

    fn keeping(story: Story) -> Story {
        story.settings(Settings { keep_oauth_tokens: true, ..Settings::default() })
    }

    /// User 1 has linked an identity, and what the provider gave is kept.
    fn has_tokens(story: Story, refresh: Option<&str>) -> Story {
        let found = giving(vouching(GOOGLE, "ada", 600), tokens("a0", refresh));
        let story = keeping(story).findings(found);
        story.done(&Actor::User(id(1)), id(1), link(GOOGLE)).findings(Findings::default())
    }

    fn exchanged(story: Story, link: u16, used: &str, exchange: Exchange) -> Story {
        let exchanged = Exchanged { link_id: id(link), used: sealed(used), exchange };
        story.findings(Findings { exchanged: Some(exchanged), ..Findings::default() })
    }

    fn exchange(access: &str, refresh: Option<&str>) -> Exchange {
        Exchange::For(Box::new(tokens(access, refresh)))
    }

    fn refreshed(access: &str, refresh: Option<&str>) -> Event {
        Event::Credentials(CredentialEvent::OauthTokenRefreshed(OauthTokenRefreshed {
            user_id: id(1),
            link_id: id(600),
            provider: GOOGLE,
            access_token: sealed(access),
            refresh_token: refresh.map(sealed),
            token_expires_at: Some(over()),
        }))
    }

    fn last(ending: crate::story::Ending) -> Event {
        ending.accepted().pop().expect("an event").event
    }

    #[test]
    fn new_tokens_take_the_place_of_old_ones() {
        let story = has_tokens(town(), Some("r0"));
        let story = exchanged(story, 600, "r0", exchange("a1", Some("r1")));
        for actor in [Actor::User(id(1)), service()] {
            let ending = story.when_actor(&actor, id(1), refresh());
            ending.then([refreshed("a1", Some("r1"))]);
        }
        let story = story.done(&Actor::User(id(1)), id(1), refresh());
        story.when(id(1), id(1), refresh()).refused(ErrorCode::Conflict);
        let story = exchanged(story, 600, "r1", exchange("a2", None));
        story.when(id(1), id(1), refresh()).then([refreshed("a2", Some("r1"))]);
    }

    #[test]
    fn nothing_is_told_of_them() {
        let event = refreshed("marked", Some("marked"));
        let data = refresh().data(&[&event]).expect("data");
        assert_eq!(data["token_expires_at"], json!(over()));
        assert!(!format!("{data} {event:?}").contains("marked"), "{data} {event:?}");
    }

    #[test]
    fn a_token_is_asked_for_only_on_behalf_of_those_who_may() {
        let story = has_tokens(town(), Some("r0"));
        for actor in [Actor::User(id(1)), service()] {
            let no = story.when_actor(&actor, id(1), refresh()).refused(ErrorCode::Unavailable);
            let outcome = Outcome::refused(None, no);
            let present = PresentToken { link_id: id(600), refresh_token: sealed("r0") };
            assert_eq!(PresentToken::of(&outcome), Some(present));
        }
        for other in [2, 4] {
            let no = story.when(id(other), id(1), refresh()).refused(ErrorCode::Forbidden);
            assert_eq!(no.data, None);
        }
        let ban: BanUser =
            serde_json::from_value(json!({ "reason": "spam" })).expect("a good body");
        let story = story.done(&service(), id(1), ban);
        story.when(id(1), id(1), refresh()).refused(ErrorCode::Forbidden);
    }

    #[test]
    fn there_is_nothing_to_refresh_where_nothing_is_kept() {
        keeping(town()).when(id(1), id(1), refresh()).refused(ErrorCode::NotFound);
        let without = has_linked(keeping(town()), GOOGLE, 600);
        without.when(id(1), id(1), refresh()).refused(ErrorCode::Conflict);
        has_tokens(town(), None).when(id(1), id(1), refresh()).refused(ErrorCode::Conflict);
        let off = has_tokens(town(), Some("r0")).settings(Settings::default());
        off.when(id(1), id(1), refresh()).refused(ErrorCode::Conflict);
    }

    #[test]
    fn what_the_provider_says_no_to_changes_nothing() {
        for (exchange, code) in [
            (Exchange::Refused, ErrorCode::Unauthenticated),
            (Exchange::Unasked, ErrorCode::Unavailable),
        ] {
            let story = exchanged(has_tokens(town(), Some("r0")), 600, "r0", exchange.clone());
            let no = story.when(id(1), id(1), refresh()).refused(code);
            assert!(no.events.is_empty() && no.data.is_none(), "{no:?}");
            // It had to: somebody else was there before.
            let story = exchanged(has_tokens(town(), Some("r1")), 600, "r0", exchange);
            story.when(id(1), id(1), refresh()).refused(ErrorCode::Conflict);
        }
    }

    #[test]
    fn a_link_that_ended_takes_its_tokens_along() {
        let unlink = UnlinkOauthProvider { provider: GOOGLE };
        let story = has_tokens(town(), Some("r0")).done(&Actor::User(id(1)), id(1), unlink);
        story.when(id(1), id(1), refresh()).refused(ErrorCode::NotFound);
        let story = story.findings(vouching(GOOGLE, "ada", 601));
        let story = story.done(&Actor::User(id(1)), id(1), link(GOOGLE));
        let story = exchanged(story, 600, "r0", exchange("a1", Some("r1")));
        story.when(id(1), id(1), refresh()).refused(ErrorCode::Conflict);
        let State::Credentials(state) = story.state(&Key::Credentials(id(1))) else {
            panic!("credentials")
        };
        assert!(state.oauth.of.values().all(|link| link.refresh_token.is_none()), "{state:?}");
    }

    #[test]
    fn whoever_links_again_or_logs_in_brings_new_ones() {
        let story = || has_tokens(town(), Some("r0"));
        // Some providers give a refresh token once.
        let again = giving(vouching(GOOGLE, "ada", 601), tokens("a1", None));
        let again = story().findings(again).when(id(1), id(1), link(GOOGLE));
        assert_eq!(last(again), refreshed("a1", Some("r0")));
        let without = story().findings(vouching(GOOGLE, "ada", 601));
        let without = without.done(&Actor::User(id(1)), id(1), link(GOOGLE));
        let without = exchanged(without, 600, "r0", exchange("a1", None));
        without.when(id(1), id(1), refresh()).then([refreshed("a1", Some("r0"))]);
        let oauth = vouching(GOOGLE, "ada", 601).oauth;
        let found = Findings { oauth, ..found(2, Check::Right) };
        let found = giving(found, tokens("a1", Some("r1")));
        let log_in: LogIn = serde_json::from_value(json!({ "oauth": { "provider": "google" } }))
            .expect("a good body");
        let anyone = Actor::Anonymous("anon-1".to_owned());
        let logged_in = story().findings(found).when_actor(&anyone, id(1), log_in);
        assert_eq!(last(logged_in), refreshed("a1", Some("r1")));
        let body = json!({ "username": "ada", "oauth": { "provider": "google" } });
        let register: RegisterUser = serde_json::from_value(body).expect("a good body");
        let new = giving(vouching(GOOGLE, "ada", 600), tokens("a0", Some("r0")));
        let events = Story::new().findings(new).when_actor(&anyone, id(1), register).accepted();
        assert!(events.iter().any(|new| new.event == refreshed("a0", Some("r0"))), "{events:?}");
    }
}
