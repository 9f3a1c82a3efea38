//! Facebook and GitHub: a code gets a token, the token gets who somebody is.

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac as _};
use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::http::header::{ACCEPT, AUTHORIZATION};
use oauth2::http::{Method, Request, StatusCode};
use oauth2::url::Url;
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    PkceCodeVerifier, RedirectUrl, RefreshToken, TokenResponse as _, TokenUrl,
};
use serde_json::Value;
use sha2::Sha256;

use super::http::Http;
use super::options::Client;
use super::{Code, Given, No, Said, no_token};

/// It is known where tokens are.
type Asked =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A provider that answers by OAuth 2 alone.
pub(super) struct Plain {
    client: Client,
    token_url: Url,
    user_url: Url,
    dialect: Dialect,
}

/// How a provider is asked who somebody is, and answers.
#[derive(Clone, Copy)]
enum Dialect {
    Facebook,
    Github,
}

impl Plain {
    pub(super) fn facebook(client: Client, token_url: Url, user_url: Url) -> Self {
        Self { client, token_url, user_url, dialect: Dialect::Facebook }
    }

    pub(super) fn github(client: Client, token_url: Url, user_url: Url) -> Self {
        Self { client, token_url, user_url, dialect: Dialect::Github }
    }

    pub(super) async fn by_code(
        &self,
        http: &Http,
        shown: Code,
    ) -> Result<(Said, Option<Given>), No> {
        let nowhere = |_| No::Nonsense("it cannot be asked there");
        let redirect_uri = RedirectUrl::new(shown.redirect_uri).map_err(nowhere)?;
        let token: BasicTokenResponse = self
            .client()
            .set_redirect_uri(redirect_uri)
            .exchange_code(AuthorizationCode::new(shown.code))
            .set_pkce_verifier(PkceCodeVerifier::new(shown.verifier))
            .request_async(http)
            .await
            .map_err(no_token)?;
        let said = self.user(http, token.access_token().secret()).await?;
        Ok((said, Given::of(&token)))
    }

    /// New tokens for a refresh token.
    pub(super) async fn refresh(&self, http: &Http, token: String) -> Result<Option<Given>, No> {
        let token = RefreshToken::new(token);
        let client = self.client();
        let asked = client.exchange_refresh_token(&token).request_async(http).await;
        Ok(Given::of(&asked.map_err(no_token)?))
    }

    fn client(&self) -> Asked {
        BasicClient::new(ClientId::new(self.client.id.clone()))
            .set_client_secret(ClientSecret::new(self.client.secret.clone()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(self.token_url.clone()))
    }

    /// Whose token it is.
    async fn user(&self, http: &Http, token: &str) -> Result<Said, No> {
        let mut url = self.user_url.clone();
        if let Dialect::Facebook = self.dialect {
            let proof = self.proof(token);
            url.query_pairs_mut()
                .append_pair("fields", "id,name,email,picture")
                .append_pair("appsecret_proof", &proof);
        }
        let request = Request::builder()
            .method(Method::GET)
            .uri(url.as_str())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Vec::new())
            .map_err(|_| No::Nonsense("its token is none"))?;
        let answer = http.ask(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(No::Nonsense("it does not say whose its own token is"));
        }
        let said: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        self.read(&said).ok_or(No::Nonsense("it has no name for somebody"))
    }

    /// Facebook wants to know that whoever has the token also has the secret.
    fn proof(&self, token: &str) -> String {
        let secret = self.client.secret.as_bytes();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
        mac.update(token.as_bytes());
        HEXLOWER.encode(&mac.finalize().into_bytes())
    }

    /// Neither says whether an address was verified.
    fn read(&self, said: &Value) -> Option<Said> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (id, picture) = match self.dialect {
            Dialect::Facebook => (text(&said["id"])?, &said["picture"]["data"]["url"]),
            Dialect::Github => (said["id"].as_u64()?.to_string(), &said["avatar_url"]),
        };
        let (name, email, picture) = (text(&said["name"]), text(&said["email"]), text(picture));
        Some(Said { id, name, email, has_email: false, picture })
    }
}
