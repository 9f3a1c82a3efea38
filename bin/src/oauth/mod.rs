//! Other providers, who vouch for people: Google and Apple by OpenID Connect, Facebook and GitHub by
//! OAuth 2.
//!
//! A provider is asked who somebody is, and for new tokens where those are kept. One that is slow or down
//! takes none of the others with it.

mod http;
mod oidc;
mod options;
mod plain;

use std::sync::Arc;
use std::time::Duration;

use chrono::{SubsecRound as _, TimeDelta};
use echolog_commands::Rejection;
use echolog_commands::auth::{Identity, OauthProof, Vouched};
use echolog_commands::fields::{Email, Token};
use echolog_events::{JsonMap, OauthProvider, Time};
use oauth2::{RequestTokenError, StandardErrorResponse, TokenResponse};
use prometheus::IntCounterVec;
use serde_json::Value;

use self::http::{Http, NoAnswer};
use self::oidc::Oidc;
pub use self::options::Options;
use self::options::{Client, address, issuer};
use self::plain::Plain;
use crate::clock;
use crate::turns::{Turn, Turns};

/// How long a provider may take for all that it is asked about one person.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many people a provider is asked about at once.
const CONCURRENCY: usize = 16;

/// How many more may wait for their turn. All providers together must not take all places that there are
/// for requests.
const QUEUE: usize = 32;

/// The most bytes of what a provider says about somebody that are kept, each.
const MAX_WORD: usize = 1000;

/// The most bytes of a token that are kept: more is no token that is known.
const MAX_TOKEN: usize = 4096;

/// The longest time that a token is said to last; more is as good as no end.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// What makes a code another one's, or nobody's.
enum No {
    /// The provider does not vouch for what was shown.
    Refused,
    /// It says nothing that means anything, and what is wrong with that.
    Nonsense(&'static str),
}

impl From<NoAnswer> for No {
    fn from(no: NoAnswer) -> Self {
        match no {
            NoAnswer::Unreachable => Self::Nonsense("it cannot be reached"),
            NoAnswer::TooMuch => Self::Nonsense("it says more than is read"),
        }
    }
}

/// A way to ask.
enum Way {
    Oidc(Box<Oidc>),
    Plain(Box<Plain>),
}

/// A provider that is set up.
struct Provider {
    way: Way,
    turns: Turns,
}

/// The providers that are set up. Nothing prints what they know us by.
#[derive(Clone)]
pub struct Oauth(Arc<Providers>);

struct Providers {
    redirect_uris: Vec<String>,
    of: Vec<(OauthProvider, Provider)>,
    http: Http,
    asked: IntCounterVec,
}

impl std::fmt::Debug for Oauth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.of.iter().map(|(provider, _)| provider)).finish()
    }
}

/// What a provider is asked about.
pub struct Question {
    provider: OauthProvider,
    shown: Shown,
}

/// What somebody shows.
enum Shown {
    Code(Code),
    /// A token of the provider's, and what it has the hash of.
    IdToken(String, String),
}

/// A code that an answer is fetched with.
struct Code {
    code: String,
    verifier: String,
    redirect_uri: String,
    /// What the answer has to have in it, if it has such a thing.
    nonce: Option<String>,
}

/// What a provider gives for calls in somebody's name. Nothing prints it.
pub(crate) struct Given {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) expires_at: Option<Time>,
}

impl Given {
    /// What is in an answer; nothing if that is more than is kept.
    fn of(answer: &impl TokenResponse) -> Option<Self> {
        let is_short = |token: &&String| token.len() <= MAX_TOKEN && !token.contains('\0');
        let access_token = Some(answer.access_token().secret()).filter(is_short)?;
        let refresh_token = answer.refresh_token().map(oauth2::RefreshToken::secret);
        let lasts = answer.expires_in().filter(|lasts| *lasts <= MAX_LIFETIME);
        let lasts = lasts.and_then(|lasts| TimeDelta::from_std(lasts).ok());
        Some(Self {
            access_token: access_token.clone(),
            refresh_token: refresh_token.filter(is_short).cloned(),
            expires_at: lasts.map(|lasts| clock::now().trunc_subsecs(0) + lasts),
        })
    }
}

/// What came of a refresh token.
pub(crate) enum Exchanged {
    For(Given),
    Refused,
    Unasked,
}

impl Oauth {
    /// The providers of the configuration.
    ///
    /// # Errors
    /// Addresses that are none, and ids without secrets.
    pub fn new(options: &Options, asked: IntCounterVec) -> anyhow::Result<Self> {
        let o = options;
        let mut of = Vec::new();
        let mut add = |provider, way| {
            of.push((provider, Provider { way, turns: Turns::new(CONCURRENCY, QUEUE) }));
        };
        let client = |name, id: &Option<String>, secret: &Option<String>| {
            Client::of(name, id.as_deref(), secret.as_deref())
        };
        let google = client("GOOGLE", &o.oauth_google_client_id, &o.oauth_google_client_secret)?;
        if let Some(client) = google {
            let issuer = issuer("ECHOLOG_OAUTH_GOOGLE_ISSUER", &o.oauth_google_issuer)?;
            let oidc = Oidc::new(client, issuer, &o.oauth_google_app_client_ids);
            add(OauthProvider::Google, Way::Oidc(Box::new(oidc)));
        }
        let apple = client("APPLE", &o.oauth_apple_client_id, &o.oauth_apple_client_secret)?;
        if let Some(client) = apple {
            let issuer = issuer("ECHOLOG_OAUTH_APPLE_ISSUER", &o.oauth_apple_issuer)?;
            let oidc = Oidc::new(client, issuer, &o.oauth_apple_app_client_ids);
            add(OauthProvider::Apple, Way::Oidc(Box::new(oidc)));
        }
        let facebook =
            client("FACEBOOK", &o.oauth_facebook_client_id, &o.oauth_facebook_client_secret)?;
        if let Some(client) = facebook {
            let token = address("ECHOLOG_OAUTH_FACEBOOK_TOKEN_URL", &o.oauth_facebook_token_url)?;
            let user = address("ECHOLOG_OAUTH_FACEBOOK_USER_URL", &o.oauth_facebook_user_url)?;
            add(
                OauthProvider::Facebook,
                Way::Plain(Box::new(Plain::facebook(client, token, user))),
            );
        }
        let github = client("GITHUB", &o.oauth_github_client_id, &o.oauth_github_client_secret)?;
        if let Some(client) = github {
            let token = address("ECHOLOG_OAUTH_GITHUB_TOKEN_URL", &o.oauth_github_token_url)?;
            let user = address("ECHOLOG_OAUTH_GITHUB_USER_URL", &o.oauth_github_user_url)?;
            add(OauthProvider::Github, Way::Plain(Box::new(Plain::github(client, token, user))));
        }
        let redirect_uris = o.oauth_redirect_uris.clone();
        Ok(Self(Arc::new(Providers { redirect_uris, of, http: Http::new()?, asked })))
    }

    fn provider(&self, provider: OauthProvider) -> Result<&Provider, Rejection> {
        let found = self.0.of.iter().find(|(known, _)| *known == provider);
        let found = found.map(|(_, provider)| provider);
        found.ok_or_else(|| {
            Rejection::unavailable("The operator has not set up log-in by this provider.")
        })
    }

    /// Whether what is shown can be asked about at all.
    ///
    /// # Errors
    /// `invalid`, and `unavailable` if the provider is not set up.
    pub fn question(&self, shown: OauthProof) -> Result<Question, Rejection> {
        let OauthProof { provider, code, code_verifier, redirect_uri, nonce, id_token } = shown;
        let tells_nonce = match self.provider(provider)?.way {
            Way::Oidc(_) => true,
            Way::Plain(_) => false,
        };
        let missing = |field: &str| Rejection::invalid(field, format!("`{field}` is needed."));
        let nonce = nonce.as_ref().map(Token::expose).map(str::to_owned);
        let shown = match (code, id_token) {
            (Some(code), None) => {
                let uri = redirect_uri.ok_or_else(|| missing("redirect_uri"))?.into_string();
                if !self.0.redirect_uris.contains(&uri) {
                    let message = "This is none of the addresses of the configuration.";
                    return Err(Rejection::invalid("redirect_uri", message));
                }
                let verifier = code_verifier.ok_or_else(|| missing("code_verifier"))?;
                let nonce = nonce.filter(|_| tells_nonce);
                if tells_nonce && nonce.is_none() {
                    return Err(missing("nonce"));
                }
                Shown::Code(Code {
                    code: code.expose().to_owned(),
                    verifier: verifier.expose().to_owned(),
                    redirect_uri: uri,
                    nonce,
                })
            }
            (None, Some(token)) if tells_nonce => {
                let nonce = nonce.ok_or_else(|| missing("nonce"))?;
                Shown::IdToken(token.expose().to_owned(), nonce)
            }
            (None, Some(_)) => {
                let message = "This provider gives no ID tokens; show a `code`.";
                return Err(Rejection::invalid("id_token", message));
            }
            (None, None) => return Err(missing("code")),
            (Some(_), Some(_)) => {
                let message = "Show a `code` or an `id_token`, not both.";
                return Err(Rejection::invalid("id_token", message));
            }
        };
        Ok(Question { provider, shown })
    }

    /// Asks whom the provider vouches for, and what it gives besides.
    pub(crate) async fn ask(&self, question: Question) -> (Vouched, Option<Given>) {
        let Question { provider, shown } = question;
        match self.in_time(provider, "vouched", self.identity(provider, shown)).await {
            Ok((identity, given)) => (Vouched::For(Box::new(identity)), given),
            Err(No::Refused) => (Vouched::ForNobody, None),
            Err(No::Nonsense(_)) => (Vouched::Unasked, None),
        }
    }

    /// Asks for new tokens.
    pub(crate) async fn refresh(&self, provider: OauthProvider, token: String) -> Exchanged {
        match self.in_time(provider, "refreshed", self.exchange(provider, token)).await {
            Ok(given) => Exchanged::For(given),
            Err(No::Refused) => Exchanged::Refused,
            Err(No::Nonsense(_)) => Exchanged::Unasked,
        }
    }

    /// Waits for an answer, and counts it; a good one is called so.
    async fn in_time<T>(
        &self,
        provider: OauthProvider,
        good: &str,
        answer: impl Future<Output = Result<T, No>>,
    ) -> Result<T, No> {
        let late = No::Nonsense("it does not answer in time");
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap_or(Err(late));
        let result = match &answer {
            Ok(_) => good,
            Err(No::Refused) => "refused",
            Err(No::Nonsense(reason)) => {
                let provider = provider.name();
                tracing::warn!(provider, reason, "a provider cannot be asked");
                "failed"
            }
        };
        self.0.asked.with_label_values(&[provider.name(), result]).inc();
        answer
    }

    /// How a provider is asked, and the turn to do so.
    async fn turn(&self, name: OauthProvider) -> Result<(&Way, Turn<'_>), No> {
        let provider = self.provider(name).map_err(|_| No::Nonsense("it is not set up"))?;
        let turn = provider.turns.take().await;
        Ok((&provider.way, turn.ok_or(No::Nonsense("too many wait for it"))?))
    }

    async fn identity(
        &self,
        name: OauthProvider,
        shown: Shown,
    ) -> Result<(Identity, Option<Given>), No> {
        let (way, _turn) = self.turn(name).await?;
        let http = &self.0.http;
        let (said, given) = match (way, shown) {
            (Way::Oidc(oidc), Shown::Code(code)) => oidc.by_code(http, code).await?,
            (Way::Oidc(oidc), Shown::IdToken(token, nonce)) => {
                (oidc.by_token(http, &token, &nonce).await?, None)
            }
            (Way::Plain(plain), Shown::Code(code)) => plain.by_code(http, code).await?,
            (Way::Plain(_), Shown::IdToken(..)) => return Err(No::Refused),
        };
        Ok((said.identity(name)?, given))
    }

    async fn exchange(&self, name: OauthProvider, token: String) -> Result<Given, No> {
        let (way, _turn) = self.turn(name).await?;
        let given = match way {
            Way::Oidc(oidc) => oidc.refresh(&self.0.http, token).await?,
            Way::Plain(plain) => plain.refresh(&self.0.http, token).await?,
        };
        given.ok_or(No::Nonsense("it gives more than is kept"))
    }
}

/// What a provider says about somebody.
#[derive(Default)]
struct Said {
    id: String,
    name: Option<String>,
    email: Option<String>,
    /// Whether it says that the address is theirs.
    has_email: bool,
    picture: Option<String>,
}

impl Said {
    /// As far as it is kept.
    fn identity(self, provider: OauthProvider) -> Result<Identity, No> {
        let Self { id, name, email, has_email, picture } = self;
        if id.is_empty() || id.len() > 255 || id.contains('\0') {
            return Err(No::Nonsense("it has no name for somebody"));
        }
        let words = [("sub", Some(id.clone())), ("name", name), ("email", email.clone())];
        let words = words.into_iter().chain([("picture", picture)]);
        let kept = words.filter_map(|(name, word)| Some((name.to_owned(), word?)));
        let kept = kept.filter(|(_, word)| word.len() <= MAX_WORD && !word.contains('\0'));
        let profile: JsonMap = kept.map(|(name, word)| (name, Value::from(word))).collect();
        let email = email.filter(|_| has_email).and_then(|email| Email::try_from(email).ok());
        Ok(Identity {
            link_id: clock::new_id(),
            provider,
            provider_user_id: id,
            email: email.map(Email::into_string),
            profile,
            tokens: None,
        })
    }
}

/// What a provider means that gives no token for a code.
fn no_token<T>(error: RequestTokenError<NoAnswer, StandardErrorResponse<T>>) -> No
where
    T: oauth2::ErrorResponseType + std::fmt::Display + 'static,
{
    match error {
        RequestTokenError::Request(no) => no.into(),
        RequestTokenError::ServerResponse(error) => refusal(&error.error().to_string()),
        RequestTokenError::Parse(_, body) => not_by_the_book(&body),
        RequestTokenError::Other(_) => No::Nonsense("it has no answer"),
    }
}

fn refusal(error: &str) -> No {
    const WRONG: [&str; 4] =
        ["invalid_grant", "invalid_request", "bad_verification_code", "bad_refresh_token"];
    if WRONG.contains(&error) {
        No::Refused
    } else {
        No::Nonsense("it does not know this application, or not so")
    }
}

/// GitHub says no with the status 200, Facebook with errors of its own kind.
fn not_by_the_book(body: &[u8]) -> No {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match &body["error"] {
        Value::String(error) => refusal(error),
        // What was shown is wrong, used or over.
        Value::Object(error) if error.get("code") == Some(&Value::from(100)) => No::Refused,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            No::Nonsense("it answers what nobody understands")
        }
    }
}
