//! The tokens of sessions, and API keys: random, told once, kept as hashes.
//!
//! They name the account, so that whoever gets one knows whom to ask. A refresh token also has a
//! MAC: one that was exchanged long ago is told from one that somebody made up, since the former
//! ends its session.

use argon2::password_hash::rand_core::{OsRng, RngCore as _};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use echolog_commands::auth::{NewKey, NewTokens};
use echolog_events::{TokenHash, Uuid};
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::clock;

const SESSION: &str = "es_";
const REFRESH: &str = "er_";
const API_KEY: &str = "ek_";
const RESET: &str = "ep_";
const PROOF: &str = "eo_";
const RANDOM: usize = 32;
const MAC: usize = 16;

/// How much of a key is shown.
const PREFIX: usize = 11;

/// A pair of tokens that nobody has seen yet.
pub(crate) struct Tokens {
    pub(crate) session: String,
    pub(crate) refresh: String,
    pub(crate) hashes: NewTokens,
}

/// What looks like the token of a session.
#[derive(Debug, PartialEq)]
pub(crate) struct Session {
    pub(crate) user: Uuid,
    pub(crate) session: Uuid,
    pub(crate) hash: TokenHash,
}

/// What looks like an API key.
#[derive(Debug, PartialEq)]
pub(crate) struct ApiKey {
    pub(crate) user: Uuid,
    pub(crate) key: Uuid,
    pub(crate) hash: TokenHash,
}

impl ApiKey {
    /// A new one, and what is kept of it. It begins with its own id, so that its first letters tell it
    /// from others.
    pub(crate) fn make(user: Uuid, key: Uuid) -> (String, NewKey) {
        let bytes = [key.as_bytes().as_slice(), user.as_bytes(), &random::<RANDOM>()].concat();
        let text = format!("{API_KEY}{}", BASE64URL_NOPAD.encode(&bytes));
        let key_prefix = text[..PREFIX].to_owned();
        let kept = NewKey { key_hash: hash(&text), key_prefix };
        (text, kept)
    }

    /// Reads a key by its shape, as [`Session::read`].
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (key, user) = ids(API_KEY, text)?;
        Some(Self { user, key, hash: hash(text) })
    }
}

/// What proves that a one-time code was right.
#[derive(Debug, PartialEq)]
pub(crate) struct Proof {
    /// The account that the code was asked for under.
    pub(crate) account: Uuid,
    /// The code's id.
    pub(crate) otp: Uuid,
    pub(crate) hash: TokenHash,
}

impl Proof {
    /// A new one.
    pub(crate) fn make(account: Uuid, otp: Uuid) -> (String, Self) {
        let bytes = [account.as_bytes().as_slice(), otp.as_bytes(), &random::<RANDOM>()].concat();
        let text = format!("{PROOF}{}", BASE64URL_NOPAD.encode(&bytes));
        let hash = hash(&text);
        (text, Self { account, otp, hash })
    }

    /// Reads one by its shape, as [`Session::read`].
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (account, otp) = ids(PROOF, text)?;
        Some(Self { account, otp, hash: hash(text) })
    }
}

/// The two ids that something of ours begins with, and nothing but chance after them.
fn ids(kind: &str, text: &str) -> Option<(Uuid, Uuid)> {
    let bytes = BASE64URL_NOPAD.decode(text.strip_prefix(kind)?.as_bytes()).ok()?;
    if bytes.len() != 16 + 16 + RANDOM {
        return None;
    }
    Some((Uuid::from_slice(&bytes[..16]).ok()?, Uuid::from_slice(&bytes[16..32]).ok()?))
}

/// A refresh token that we made.
#[derive(Debug, PartialEq)]
pub(crate) struct Refresh {
    pub(crate) user: Uuid,
    pub(crate) session: Uuid,
    pub(crate) generation: u32,
    pub(crate) hash: TokenHash,
}

impl Tokens {
    /// New ones. `generation` counts those of a session.
    pub(crate) fn new(key: &[u8], user: Uuid, session: Uuid, generation: u32) -> Self {
        let mut bytes =
            [user.as_bytes().as_slice(), session.as_bytes(), &random::<RANDOM>()].concat();
        let session_token = format!("{SESSION}{}", BASE64URL_NOPAD.encode(&bytes));
        bytes.truncate(32);
        bytes.extend(generation.to_be_bytes());
        bytes.extend(random::<RANDOM>());
        bytes.extend(mac(key, &bytes));
        let refresh = format!("{REFRESH}{}", BASE64URL_NOPAD.encode(&bytes));
        let hashes = NewTokens {
            token_hash: hash(&session_token),
            refresh_id: clock::new_id(),
            refresh_hash: hash(&refresh),
            generation,
        };
        Self { session: session_token, refresh, hashes }
    }
}

impl Session {
    /// Reads a token by its shape. Whether it is ours, the owner of the account tells by its hash.
    pub(crate) fn read(token: &str) -> Option<Self> {
        let (user, session) = ids(SESSION, token)?;
        Some(Self { user, session, hash: hash(token) })
    }
}

impl Tokens {
    /// What the client is told of them.
    pub(crate) fn told(self) -> Vec<(&'static str, Value)> {
        vec![("session_token", self.session.into()), ("refresh_token", self.refresh.into())]
    }
}

impl Refresh {
    /// Reads a token; `None` for anything that we did not make.
    pub(crate) fn read(key: &[u8], token: &str) -> Option<Self> {
        let said = signed(key, token.strip_prefix(REFRESH)?)?;
        Some(Self {
            user: Uuid::from_slice(said.get(..16)?).ok()?,
            session: Uuid::from_slice(said.get(16..32)?).ok()?,
            generation: u32::from_be_bytes(said.get(32..36)?.try_into().ok()?),
            hash: hash(token),
        })
    }
}

/// A token that stands for a password which was lost.
#[derive(Debug, PartialEq)]
pub(crate) struct Reset {
    pub(crate) user: Uuid,
    pub(crate) reset: Uuid,
    pub(crate) hash: TokenHash,
}

impl Reset {
    /// A new one, and its text.
    pub(crate) fn new(key: &[u8], user: Uuid, reset: Uuid) -> (Self, String) {
        let mut bytes =
            [user.as_bytes().as_slice(), reset.as_bytes(), &random::<RANDOM>()].concat();
        bytes.extend(mac(key, &bytes));
        let token = format!("{RESET}{}", BASE64URL_NOPAD.encode(&bytes));
        (Self { user, reset, hash: hash(&token) }, token)
    }

    /// Reads a token; `None` for anything that we did not make: for that no password is hashed.
    pub(crate) fn read(key: &[u8], token: &str) -> Option<Self> {
        let bytes = signed(key, token.strip_prefix(RESET)?)?;
        if bytes.len() != 32 + RANDOM {
            return None;
        }
        Some(Self {
            user: Uuid::from_slice(bytes.get(..16)?).ok()?,
            reset: Uuid::from_slice(bytes.get(16..32)?).ok()?,
            hash: hash(token),
        })
    }
}

/// What we once put a MAC to.
fn signed(key: &[u8], token: &str) -> Option<Vec<u8>> {
    let mut bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    let mac = bytes.split_off(bytes.len().checked_sub(MAC)?);
    let mut expected = Hmac::<Sha256>::new_from_slice(key).ok()?;
    expected.update(&bytes);
    expected.verify_truncated_left(&mac).ok()?;
    Some(bytes)
}

/// What is kept of a token.
pub(super) fn hash(token: &str) -> TokenHash {
    TokenHash::new(HEXLOWER.encode(&Sha256::digest(token.as_bytes())))
}

/// So many random bytes.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut random = [0; N];
    OsRng.fill_bytes(&mut random);
    random
}

fn mac(key: &[u8], said: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(said);
    mac.finalize().into_bytes()[..MAC].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_made_is_known_again() {
        let (user, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let tokens = Tokens::new(b"key", user, session, 7);
        let read = Refresh::read(b"key", &tokens.refresh).expect("our own");
        let hash = tokens.hashes.refresh_hash;
        assert_eq!(read, Refresh { user, session, generation: 7, hash });
        assert_eq!(Refresh::read(b"another", &tokens.refresh), None);
        assert_eq!(Refresh::read(b"key", &tokens.session), None);
    }

    #[test]
    fn a_session_token_names_account_and_session() {
        let (user, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let tokens = Tokens::new(b"key", user, session, 0);
        let hash = tokens.hashes.token_hash;
        assert_eq!(Session::read(&tokens.session), Some(Session { user, session, hash }));
        for odd in ["", "es_", "es_AAAA", "es_=", &tokens.refresh, &tokens.session[..88]] {
            assert_eq!(Session::read(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_api_key_names_itself_and_its_account() {
        let (user, key) = (Uuid::from_u128(1), Uuid::from_u128(u128::MAX));
        let (text, NewKey { key_hash, key_prefix }) = ApiKey::make(user, key);
        assert_eq!(ApiKey::read(&text), Some(ApiKey { user, key, hash: key_hash }));
        assert_eq!(key_prefix, "ek_________");
        assert_eq!((ApiKey::read("ek_AAAA"), Session::read(&text)), (None, None));
    }

    #[test]
    fn what_we_did_not_make_is_not() {
        let token = Tokens::new(b"key", Uuid::nil(), Uuid::nil(), 0).refresh;
        for place in 3..token.len() - 1 {
            let mut forged = token.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("letters");
            assert_eq!(Refresh::read(b"key", &forged), None, "{forged}");
        }
        for odd in ["", "er_", "er_AAAA", "er_=", "x"] {
            assert_eq!(Refresh::read(b"key", odd), None, "{odd}");
        }
    }

    #[test]
    fn a_reset_is_known_again() {
        let (user, id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (reset, token) = Reset::new(b"key", user, id);
        assert_eq!(Reset::read(b"key", &token), Some(reset));
        assert_eq!(Reset::read(b"another", &token), None);
        let refresh = Tokens::new(b"key", user, id, 7).refresh;
        assert_eq!(Reset::read(b"key", &refresh.replace("er_", "ep_")), None, "it is longer");
    }

    #[test]
    fn no_two_are_alike() {
        let make = || Tokens::new(b"key", Uuid::nil(), Uuid::nil(), 0);
        let (one, other) = (make(), make());
        assert!(one.session != other.session && one.refresh != other.refresh);
        assert!(one.session.len() == 89 && one.refresh.len() == 115);
    }
}
