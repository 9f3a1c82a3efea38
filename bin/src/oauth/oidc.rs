//! Google and Apple: what they sign says who somebody is.

use std::str::FromStr as _;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use echolog_events::Time;
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, PkceCodeVerifier, RedirectUrl, RefreshToken,
};
use openidconnect::core::{
    CoreClient, CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJwsSigningAlgorithm,
    CoreProviderMetadata,
};
use openidconnect::{
    ClaimsVerificationError, DiscoveryError, IssuerUrl, Nonce, SignatureVerificationError,
    TokenResponse as _,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::http::Http;
use super::options::Client;
use super::{Code, Given, No, Said, no_token};
use crate::clock;
use crate::handler::{Limiter, RateLimit};

/// How long it is believed where a provider is and what it signs with.
const BELIEVED: Duration = Duration::from_secs(60 * 60);

/// How often the keys are read anew because a token names one that is not among them: anybody can
/// name any key.
const ANEW: RateLimit = RateLimit { per_second: 1.0 / 60.0, burst: 2.0 };

/// How old a token may be.
const FRESH: TimeDelta = TimeDelta::minutes(10);

/// How far ahead of ours a provider's clock may be.
const AHEAD: TimeDelta = TimeDelta::minutes(2);

/// What is known from its metadata can be asked.
type Asked = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider of OpenID Connect.
pub(super) struct Oidc {
    client: Client,
    issuer: IssuerUrl,
    /// Whom tokens may be for: this application, and its apps.
    audience: Vec<ClientId>,
    known: Mutex<Option<Known>>,
    anew: StdMutex<Limiter>,
}

/// Where it is and what it signs with.
#[derive(Clone)]
struct Known {
    metadata: Arc<CoreProviderMetadata>,
    since: Instant,
}

impl Oidc {
    pub(super) fn new(client: Client, issuer: IssuerUrl, apps: &[String]) -> Self {
        let audience = [&client.id].into_iter().chain(apps).cloned().map(ClientId::new).collect();
        let anew = StdMutex::new(Limiter::new(ANEW));
        Self { client, issuer, audience, known: Mutex::default(), anew }
    }

    pub(super) async fn by_code(
        &self,
        http: &Http,
        shown: Code,
    ) -> Result<(Said, Option<Given>), No> {
        let known = self.known(http, None).await?;
        let nowhere = |_| No::Nonsense("it cannot be asked there");
        let redirect_uri = RedirectUrl::new(shown.redirect_uri).map_err(nowhere)?;
        let answer = self
            .client(&known)
            .set_redirect_uri(redirect_uri)
            .exchange_code(AuthorizationCode::new(shown.code))
            .map_err(|_| No::Nonsense("it does not say where it gives tokens"))?
            .set_pkce_verifier(PkceCodeVerifier::new(shown.verifier))
            .request_async(http)
            .await
            .map_err(no_token)?;
        let token = answer.id_token().ok_or(No::Nonsense("it gives no ID token"))?;
        let nonce = shown.nonce.unwrap_or_default();
        let said = self.read(http, known, token, &self.audience[..1], &nonce).await?;
        Ok((said, Given::of(&answer)))
    }

    /// New tokens for a refresh token, which is this application's own.
    pub(super) async fn refresh(&self, http: &Http, token: String) -> Result<Option<Given>, No> {
        let known = self.known(http, None).await?;
        let answer = self
            .client(&known)
            .exchange_refresh_token(&RefreshToken::new(token))
            .map_err(|_| No::Nonsense("it does not say where it gives tokens"))?
            .request_async(http)
            .await
            .map_err(no_token)?;
        Ok(Given::of(&answer))
    }

    fn client(&self, known: &Known) -> Asked {
        let (metadata, id) = ((*known.metadata).clone(), self.audience[0].clone());
        let secret = ClientSecret::new(self.client.secret.clone());
        CoreClient::from_provider_metadata(metadata, id, Some(secret))
            .set_auth_type(AuthType::RequestBody)
    }

    /// The token may have been seen by others. That whoever shows it has got it from the provider
    /// follows from what it has only the hash of.
    pub(super) async fn by_token(
        &self,
        http: &Http,
        token: &str,
        secret: &str,
    ) -> Result<Said, No> {
        let token = CoreIdToken::from_str(token).map_err(|_| No::Refused)?;
        let known = self.known(http, None).await?;
        let nonce = HEXLOWER.encode(&Sha256::digest(secret.as_bytes()));
        self.read(http, known, &token, &self.audience, &nonce).await
    }

    /// What is known about it: what it says itself, at times anew, and where the keys that it had
    /// before are not all.
    async fn known(&self, http: &Http, but: Option<&Known>) -> Result<Known, No> {
        let mut known = self.known.lock().await;
        if let Some(known) = &*known {
            let same = but.is_some_and(|but| Arc::ptr_eq(&but.metadata, &known.metadata));
            if known.since.elapsed() < BELIEVED && !(same && self.may_read_anew()) {
                return Ok(known.clone());
            }
        }
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), http).await;
        let metadata = metadata.map_err(|error| {
            if let DiscoveryError::Request(no) = error {
                no.into()
            } else {
                No::Nonsense("it does not say where it is and what it signs with")
            }
        })?;
        let fresh = Known { metadata: Arc::new(metadata), since: Instant::now() };
        *known = Some(fresh.clone());
        Ok(fresh)
    }

    fn may_read_anew(&self) -> bool {
        let mut anew = self.anew.lock().unwrap_or_else(PoisonError::into_inner);
        anew.allows("", Instant::now())
    }

    async fn read(
        &self,
        http: &Http,
        known: Known,
        token: &CoreIdToken,
        audience: &[ClientId],
        nonce: &str,
    ) -> Result<Said, No> {
        match self.check(&known, token, audience, nonce) {
            Err(Fault::UnknownKey) => {
                let known = self.known(http, Some(&known)).await?;
                self.check(&known, token, audience, nonce).map_err(|_| No::Refused)
            }
            Err(Fault::Other) => Err(No::Refused),
            Ok(said) => Ok(said),
        }
    }

    fn check(
        &self,
        known: &Known,
        token: &CoreIdToken,
        audience: &[ClientId],
        nonce: &str,
    ) -> Result<Said, Fault> {
        let mut fault = Fault::Other;
        for client in audience {
            let verifier = self.verifier(known, client);
            let is_the_nonce = |said: Option<&Nonce>| match said {
                Some(said) if said.secret() == nonce => Ok(()),
                Some(_) | None => Err("It is of another occasion.".to_owned()),
            };
            match token.claims(&verifier, is_the_nonce) {
                Ok(claims) => return Ok(said(claims)),
                Err(ClaimsVerificationError::SignatureVerification(
                    SignatureVerificationError::NoMatchingKey,
                )) => fault = Fault::UnknownKey,
                Err(_) => {}
            }
        }
        Err(fault)
    }

    fn verifier(&self, known: &Known, client: &ClientId) -> CoreIdTokenVerifier<'static> {
        let keys = known.metadata.jwks().clone();
        CoreIdTokenVerifier::new_public_client(client.clone(), self.issuer.clone(), keys)
            .set_allowed_algs([
                CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
                CoreJwsSigningAlgorithm::EcdsaP256Sha256,
            ])
            .set_time_fn(clock::now)
            .set_issue_time_verifier_fn(is_fresh)
    }
}

/// What is wrong with a token.
enum Fault {
    /// It names a key that is not among those that are known.
    UnknownKey,
    Other,
}

fn is_fresh(issued: Time) -> Result<(), String> {
    let age = clock::now() - issued;
    if age <= FRESH && age >= -AHEAD { Ok(()) } else { Err("It is not of now.".to_owned()) }
}

fn said(claims: &CoreIdTokenClaims) -> Said {
    Said {
        id: claims.subject().as_str().to_owned(),
        name: claims.name().and_then(|it| it.get(None)).map(|it| it.as_str().to_owned()),
        email: claims.email().map(|it| it.as_str().to_owned()),
        has_email: claims.email_verified() == Some(true),
        picture: claims.picture().and_then(|it| it.get(None)).map(|it| it.as_str().to_owned()),
    }
}
