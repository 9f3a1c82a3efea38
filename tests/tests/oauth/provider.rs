//! Providers of a test: a server that speaks OpenID Connect as Google and Apple do, and OAuth 2 as
//! Facebook and GitHub do. It knows everybody, by any name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use anyhow::Context as _;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use echolog::clock;
use echolog::oauth::Options;
use echolog_tests::http_get;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

/// Where clients come back to.
pub(crate) const HERE: &str = "https://app.example.org/callback";
pub(crate) const ELSEWHERE: &str = "https://other.example.org/callback";

/// All of them.
pub(crate) const ALL: [&str; 4] = ["google", "apple", "facebook", "github"];

/// How the server is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    Well,
    /// It hangs up.
    Down,
    /// It takes a request and says nothing.
    Silent,
    /// It says something else.
    Nonsense,
    /// It says too much.
    Endless,
    /// It sends whoever asks elsewhere.
    Moved,
}

/// What is wrong with the tokens that it signs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flaw {
    None,
    Issuer,
    Audience,
    Nonce,
    NoNonce,
    Expired,
    Old,
    OfTheFuture,
    Signature,
    UnknownKey,
    Unsigned,
    /// Signed with what everybody knows: the public key as a shared secret.
    Shared,
}

/// What a client keeps to itself between the beginning and the end.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) verifier: String,
    pub(crate) nonce: String,
    pub(crate) redirect_uri: &'static str,
}

impl Flow {
    pub(crate) fn new() -> Self {
        Self {
            verifier: format!("marked-verifier-{}", clock::new_id().simple()),
            nonce: format!("marked-nonce-{}", clock::new_id().simple()),
            redirect_uri: HERE,
        }
    }

    /// What is told of the verifier.
    fn challenge(&self) -> String {
        BASE64URL_NOPAD.encode(&Sha256::digest(&self.verifier))
    }

    /// What is told of the nonce where a token is shown.
    pub(crate) fn nonce_hash(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(&self.nonce))
    }
}

/// What a code is good for.
struct Grant {
    provider: String,
    redirect_uri: String,
    challenge: String,
    nonce: String,
    login: String,
}

enum Signs {
    Rsa(Box<SigningKey<Sha256>>),
    Ec(Box<EcdsaKeyPair>),
}

struct Key {
    id: String,
    signs: Signs,
}

impl Key {
    /// As large as those of Google; made once, since that takes its time.
    fn rsa() -> Self {
        static MADE: OnceLock<SigningKey<Sha256>> = OnceLock::new();
        let made = MADE.get_or_init(|| {
            let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("a key");
            SigningKey::new(key)
        });
        Self { id: clock::new_id().to_string(), signs: Signs::Rsa(Box::new(made.clone())) }
    }

    fn ec() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).expect("a key");
        Self { id: clock::new_id().to_string(), signs: Signs::Ec(Box::new(key)) }
    }

    fn published(&self) -> Value {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match &self.signs {
            Signs::Rsa(key) => {
                let key: &rsa::RsaPrivateKey = (**key).as_ref();
                json!({
                    "kid": self.id, "kty": "RSA", "use": "sig", "alg": "RS256",
                    "n": text(&key.n().to_bytes_be()), "e": text(&key.e().to_bytes_be()),
                })
            }
            Signs::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({
                    "kid": self.id, "kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256",
                    "x": text(&point[1..33]), "y": text(&point[33..]),
                })
            }
        }
    }

    fn algorithm(&self) -> &'static str {
        match &self.signs {
            Signs::Rsa(_) => "RS256",
            Signs::Ec(_) => "ES256",
        }
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        match &self.signs {
            Signs::Rsa(key) => key.sign(text.as_bytes()).to_vec(),
            Signs::Ec(key) => {
                let signed = key.sign(&SystemRandom::new(), text.as_bytes());
                signed.expect("a signature").as_ref().to_vec()
            }
        }
    }
}

struct State {
    mood: Mood,
    flaw: Flaw,
    /// By provider.
    keys: HashMap<&'static str, Key>,
    codes: HashMap<String, Grant>,
    /// Whose they are.
    tokens: HashMap<String, String>,
    /// Which provider's they are, and whose.
    refresh_tokens: HashMap<String, (String, String)>,
    /// Whether a refresh token is good once, and another comes with its answer.
    rotates: bool,
    /// How often each path was asked for.
    asked: BTreeMap<String, usize>,
    given: usize,
}

/// The server.
pub(crate) struct Provider {
    state: Arc<Mutex<State>>,
    address: String,
    serving: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Provider {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Well,
            flaw: Flaw::None,
            keys: HashMap::from([("google", Key::rsa()), ("apple", Key::ec())]),
            codes: HashMap::new(),
            tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            rotates: true,
            asked: BTreeMap::new(),
            given: 0,
        }));
        let (shared, at) = (Arc::clone(&state), address.clone());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, at) = (Arc::clone(&shared), at.clone());
                tokio::spawn(async move { answer(stream, &shared, &at).await });
            }
        });
        Ok(Self { state, address, serving })
    }

    /// How Echolog finds all four here.
    pub(crate) fn options(&self) -> Options {
        let at = |path: &str| format!("{}/{path}", self.address);
        let id = |name: &str| Some(client_id(name));
        let secret = |name: &str| Some(client_secret(name));
        Options {
            oauth_redirect_uris: vec![HERE.to_owned(), ELSEWHERE.to_owned()],
            oauth_keep_tokens: false,
            oauth_google_client_id: id("google"),
            oauth_google_client_secret: secret("google"),
            oauth_google_app_client_ids: vec!["the-android-app".to_owned()],
            oauth_google_issuer: at("google"),
            oauth_apple_client_id: id("apple"),
            oauth_apple_client_secret: secret("apple"),
            oauth_apple_app_client_ids: vec!["org.example.ios".to_owned()],
            oauth_apple_issuer: at("apple"),
            oauth_facebook_client_id: id("facebook"),
            oauth_facebook_client_secret: secret("facebook"),
            oauth_facebook_token_url: at("facebook/token"),
            oauth_facebook_user_url: at("facebook/me"),
            oauth_github_client_id: id("github"),
            oauth_github_client_secret: secret("github"),
            oauth_github_token_url: at("github/token"),
            oauth_github_user_url: at("github/user"),
        }
    }

    /// The same, for a process.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let o = self.options();
        let mut environment = vec![("REDIRECT_URIS".to_owned(), o.oauth_redirect_uris.join(","))];
        for name in ALL {
            let upper = name.to_uppercase();
            environment.push((format!("{upper}_CLIENT_ID"), client_id(name)));
            environment.push((format!("{upper}_CLIENT_SECRET"), client_secret(name)));
        }
        for (name, at) in [
            ("GOOGLE_ISSUER", o.oauth_google_issuer),
            ("APPLE_ISSUER", o.oauth_apple_issuer),
            ("FACEBOOK_TOKEN_URL", o.oauth_facebook_token_url),
            ("FACEBOOK_USER_URL", o.oauth_facebook_user_url),
            ("GITHUB_TOKEN_URL", o.oauth_github_token_url),
            ("GITHUB_USER_URL", o.oauth_github_user_url),
        ] {
            environment.push((name.to_owned(), at));
        }
        let named = |(name, value)| (format!("ECHOLOG_OAUTH_{name}"), value);
        environment.into_iter().map(named).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.state().mood = mood;
    }

    pub(crate) fn signs(&self, flaw: Flaw) {
        self.state().flaw = flaw;
    }

    /// Signs with another key from now on, which is the only one that is published.
    pub(crate) fn rotate(&self, name: &'static str) {
        self.state().keys.insert(name, Key::ec());
    }

    /// Refresh tokens stay good, and are given once.
    pub(crate) fn rotates_no_more(&self) {
        self.state().rotates = false;
    }

    /// Somebody takes back what they allowed.
    pub(crate) fn revoke(&self, login: &str) {
        self.state().refresh_tokens.retain(|_, (_, whose)| whose != login);
    }

    /// Whose access token it is.
    pub(crate) fn knows(&self, token: &str) -> Option<String> {
        self.state().tokens.get(token).cloned()
    }

    /// How often this was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.state().asked.get(path).copied().unwrap_or_default()
    }

    /// Everything that it was asked for.
    pub(crate) fn questions(&self) -> usize {
        self.state().asked.values().sum()
    }

    /// Somebody logs in and is sent back with a code.
    pub(crate) async fn code(
        &self,
        name: &str,
        login: &str,
        flow: &Flow,
    ) -> anyhow::Result<String> {
        let mut url = Url::parse(&format!("{}/{name}/authorize", self.address))?;
        url.query_pairs_mut()
            .append_pair("client_id", &client_id(name))
            .append_pair("redirect_uri", flow.redirect_uri)
            .append_pair("code_challenge", &flow.challenge())
            .append_pair("code_challenge_method", "S256")
            .append_pair("nonce", &flow.nonce)
            .append_pair("login_hint", login);
        let answer = http_get(url.as_str()).await?;
        let back = answer.lines().find_map(|line| line.strip_prefix("Location: "));
        let back = Url::parse(back.context("sent back")?)?;
        let code = back.query_pairs().find(|(name, _)| name == "code").context("a code")?;
        Ok(code.1.into_owned())
    }

    /// What the provider gives an app in which somebody logs in.
    pub(crate) fn id_token(&self, name: &str, app: &str, login: &str, nonce: &str) -> String {
        id_token(&self.state(), &self.address, name, app, login, nonce)
    }
}

fn client_id(name: &str) -> String {
    format!("{name}-client")
}

pub(crate) fn client_secret(name: &str) -> String {
    format!("marked-secret-{name}")
}

/// What a provider calls somebody.
pub(crate) fn name_of(provider: &str, login: &str) -> String {
    match provider {
        "github" => login.bytes().map(u32::from).sum::<u32>().to_string(),
        _ => format!("{provider}|{login}"),
    }
}

fn id_token(
    state: &State,
    address: &str,
    name: &str,
    audience: &str,
    login: &str,
    nonce: &str,
) -> String {
    let now = clock::now().timestamp();
    let flaw = state.flaw;
    let is = |other| flaw == other;
    let age = if is(Flaw::Expired) {
        3601
    } else if is(Flaw::Old) {
        1200
    } else if is(Flaw::OfTheFuture) {
        -600
    } else {
        0
    };
    let mut claims = json!({
        "iss": format!("{address}/{name}"), "aud": audience, "sub": name_of(name, login),
        "iat": now - age, "exp": now - age + 3600, "nonce": nonce, "name": format!("{login} Ž 😀"),
        "email": format!("{login}@Example.org"), "email_verified": true,
        "picture": format!("https://example.org/{login}.png"), "at_hash": "x", "locale": "en",
    });
    if name == "apple" {
        claims["email_verified"] = json!("true");
        claims["is_private_email"] = json!("false");
    }
    if is(Flaw::Issuer) {
        claims["iss"] = json!(format!("{address}/apple-pie"));
    } else if is(Flaw::Audience) {
        claims["aud"] = json!("another-client");
    } else if is(Flaw::Nonce) {
        claims["nonce"] = json!("of another occasion");
    } else if is(Flaw::NoNonce) {
        claims.as_object_mut().expect("claims").remove("nonce");
    }
    let published = &state.keys[name];
    let unpublished = Key::ec();
    let key = if is(Flaw::UnknownKey) { &unpublished } else { published };
    let algorithm = if is(Flaw::Unsigned) {
        "none"
    } else if is(Flaw::Shared) {
        "HS256"
    } else {
        key.algorithm()
    };
    let header = json!({ "alg": algorithm, "kid": key.id, "typ": "JWT" });
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let text = format!("{}.{}", part(&header), part(&claims));
    let mut signature = if is(Flaw::Unsigned) {
        Vec::new()
    } else if is(Flaw::Shared) {
        let secret = published.published().to_string();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        ring::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    } else {
        key.sign(&text)
    };
    if let (Flaw::Signature, Some(byte)) = (flaw, signature.last_mut()) {
        *byte ^= 1;
    }
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// A request: its first line, its head and its body.
async fn read(stream: &mut TcpStream) -> Option<(Url, String, String)> {
    let mut request = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&bytes[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(Some(0), |length| length.parse().ok())?;
        if body.len() >= length {
            let path = head.split(' ').nth(1)?;
            let url = Url::parse("http://provider").ok()?.join(path).ok()?;
            return Some((url, head.to_owned(), body.to_owned()));
        }
    }
}

async fn answer(mut stream: TcpStream, state: &Mutex<State>, address: &str) {
    let Some((url, head, body)) = read(&mut stream).await else { return };
    let mood = {
        let mut state = state.lock().expect("nobody panicked");
        *state.asked.entry(url.path().to_owned()).or_default() += 1;
        state.mood
    };
    let (status, location, answer) = match mood {
        // People reach it all the same.
        _ if url.path().ends_with("/authorize") => {
            let back = authorize(&mut state.lock().expect("nobody panicked"), &url);
            ("302 Found", format!("Location: {back}\r\n"), String::new())
        }
        Mood::Well => {
            let mut state = state.lock().expect("nobody panicked");
            let (status, said) = say(&mut state, address, &url, &head, &body);
            (status, String::new(), said.to_string())
        }
        Mood::Down => return,
        Mood::Silent => return std::future::pending().await,
        Mood::Nonsense => ("200 OK", String::new(), "<p>nonsense</p>".to_owned()),
        Mood::Endless => ("200 OK", String::new(), format!("\"{}\"", "x".repeat(1024 * 1024))),
        Mood::Moved => ("307 Moved", format!("Location: {address}/elsewhere\r\n"), String::new()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{location}\
         Connection: close\r\n\r\n{answer}",
        answer.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn authorize(state: &mut State, url: &Url) -> String {
    let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
    let provider = url.path().split('/').nth(1).unwrap_or_default();
    assert_eq!(query["client_id"], client_id(provider));
    assert_eq!(query["code_challenge_method"], "S256");
    state.given += 1;
    let code = format!("marked-code-{}", state.given);
    let grant = Grant {
        provider: provider.to_owned(),
        redirect_uri: query["redirect_uri"].clone(),
        challenge: query["code_challenge"].clone(),
        nonce: query["nonce"].clone(),
        login: query["login_hint"].clone(),
    };
    state.codes.insert(code.clone(), grant);
    format!("{}?code={code}", query["redirect_uri"])
}

fn say(
    state: &mut State,
    address: &str,
    url: &Url,
    head: &str,
    body: &str,
) -> (&'static str, Value) {
    let issuer = |name: &str| format!("{address}/{name}");
    let (name, what) = url.path()[1..].split_once('/').unwrap_or_default();
    match (name, what) {
        ("google" | "apple", ".well-known/openid-configuration") => {
            let at = |path: &str| format!("{}/{path}", issuer(name));
            let said = json!({
                "issuer": issuer(name), "authorization_endpoint": at("authorize"),
                "token_endpoint": at("token"), "jwks_uri": at("keys"),
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [state.keys[name].algorithm()],
            });
            ("200 OK", said)
        }
        ("google" | "apple", "keys") => {
            ("200 OK", json!({ "keys": [state.keys[name].published()] }))
        }
        (_, "token") => give(state, address, name, body),
        ("facebook", "me") | ("github", "user") => who(state, name, url, head),
        _ => ("404 Not Found", json!({})),
    }
}

/// A token for a code.
fn give(state: &mut State, address: &str, name: &str, body: &str) -> (&'static str, Value) {
    let form: HashMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("client_id") != client_id(name) || field("client_secret") != client_secret(name) {
        return ("401 Unauthorized", json!({ "error": "invalid_client" }));
    }
    if field("grant_type") == "refresh_token" {
        return renew(state, name, field("refresh_token"));
    }
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(field("code_verifier")));
    let grant = state.codes.remove(field("code")).filter(|grant| {
        grant.provider == name
            && grant.redirect_uri == field("redirect_uri")
            && grant.challenge == challenge
            && field("grant_type") == "authorization_code"
    });
    let Some(grant) = grant else {
        let wrong = "marked: what was shown";
        return match name {
            "github" => ("200 OK", json!({ "error": "bad_verification_code" })),
            "facebook" => {
                let error = json!({ "message": wrong, "type": "OAuthException", "code": 100 });
                ("400 Bad Request", json!({ "error": error }))
            }
            _ => {
                let error = json!({ "error": "invalid_grant", "error_description": wrong });
                ("400 Bad Request", error)
            }
        };
    };
    let access = access_token(state, name, &grant.login);
    let mut said = json!({ "access_token": access, "token_type": "bearer", "expires_in": 3600 });
    if name != "facebook" {
        said["refresh_token"] = json!(refresh_token(state, name, &grant.login));
    }
    if let "google" | "apple" = name {
        let (id, login) = (client_id(name), &grant.login);
        said["id_token"] = json!(id_token(state, address, name, &id, login, &grant.nonce));
    }
    ("200 OK", said)
}

/// Those of one provider are as long as any that are kept.
fn access_token(state: &mut State, name: &str, login: &str) -> String {
    state.given += 1;
    let length = if name == "apple" { 4096 } else { 0 };
    let access = format!("{:x<length$}", format!("marked-access-{}-", state.given));
    state.tokens.insert(access.clone(), login.to_owned());
    access
}

fn refresh_token(state: &mut State, name: &str, login: &str) -> String {
    let refresh = format!("marked-refresh-{}", state.given);
    state.refresh_tokens.insert(refresh.clone(), (name.to_owned(), login.to_owned()));
    refresh
}

/// A token for a refresh token.
fn renew(state: &mut State, name: &str, shown: &str) -> (&'static str, Value) {
    let known = state.refresh_tokens.get(shown).filter(|(provider, _)| provider == name).cloned();
    let Some((_, login)) = known else {
        return match name {
            "github" => ("200 OK", json!({ "error": "bad_refresh_token" })),
            _ => ("400 Bad Request", json!({ "error": "invalid_grant" })),
        };
    };
    let access = access_token(state, name, &login);
    let mut said = json!({ "access_token": access, "token_type": "bearer", "expires_in": 3600 });
    if state.rotates {
        state.refresh_tokens.remove(shown);
        said["refresh_token"] = json!(refresh_token(state, name, &login));
    }
    ("200 OK", said)
}

/// Whose token it is.
fn who(state: &State, name: &str, url: &Url, head: &str) -> (&'static str, Value) {
    let bearer = head.lines().find_map(|line| {
        let (header, value) = line.split_once(": ")?;
        header.eq_ignore_ascii_case("authorization").then(|| value.strip_prefix("Bearer "))?
    });
    let Some((token, login)) = bearer.and_then(|token| state.tokens.get_key_value(token)) else {
        return ("401 Unauthorized", json!({ "error": "no such token" }));
    };
    let (id, email) = (name_of(name, login), format!("{login}@example.org"));
    let picture = format!("https://example.org/{login}.png");
    if name == "github" {
        let id: u64 = id.parse().expect("a number");
        let said = json!({ "id": id, "name": login, "email": email, "avatar_url": picture });
        return ("200 OK", said);
    }
    let secret = client_secret(name);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let proof = HEXLOWER.encode(ring::hmac::sign(&key, token.as_bytes()).as_ref());
    if !url.query_pairs().any(|(name, value)| name == "appsecret_proof" && value == proof) {
        return ("400 Bad Request", json!({ "error": { "code": 104 } }));
    }
    let picture = json!({ "data": { "url": picture } });
    ("200 OK", json!({ "id": id, "name": login, "email": email, "picture": picture }))
}
