//! What has to be read again and must not lie open: the tokens of providers, sealed with
//! XChaCha20-Poly1305 under a key for each user.
//!
//! `x1.` and base64url without padding of a nonce of 24 random bytes, the ciphertext and its tag. Whose it
//! is, whose it was and what it is are no part of the text: it opens only where the same is said of it.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use data_encoding::BASE64URL_NOPAD;
use echolog_events::{OauthProvider, Sealed, Uuid};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::tokens::random;

const VERSION: &str = "x1.";
const NONCE: usize = 24;

/// The kinds of tokens that a provider gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// What calls show.
    Access,
    /// What is shown for new ones.
    Refresh,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
        }
    }
}

/// Seals and opens what one provider gives in the name of one user.
pub(crate) struct Seal {
    cipher: XChaCha20Poly1305,
    user: Uuid,
    provider: OauthProvider,
}

impl Seal {
    /// `key` is the tenant's; the user's own follows from it.
    pub(crate) fn new(key: &[u8], user: Uuid, provider: OauthProvider) -> Self {
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(key);
        let mut mac = mac.expect("HMAC takes a key of any length");
        mac.update(user.as_bytes());
        let cipher = XChaCha20Poly1305::new(&mac.finalize().into_bytes());
        Self { cipher, user, provider }
    }

    /// What only the key opens.
    pub(crate) fn seal(&self, kind: Kind, token: &str) -> Sealed {
        let nonce: [u8; NONCE] = random();
        let aad = self.about(kind);
        let payload = Payload { msg: token.as_bytes(), aad: aad.as_bytes() };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.expect("a token is shorter than what a key can encrypt");
        let bytes = [nonce.as_slice(), &sealed].concat();
        Sealed::new(format!("{VERSION}{}", BASE64URL_NOPAD.encode(&bytes)))
    }

    /// What was sealed; `None` if it was not with this key, or not as this.
    pub(crate) fn open(&self, kind: Kind, sealed: &str) -> Option<String> {
        let bytes = BASE64URL_NOPAD.decode(sealed.strip_prefix(VERSION)?.as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let aad = self.about(kind);
        let payload = Payload { msg: sealed, aad: aad.as_bytes() };
        let token = self.cipher.decrypt(XNonce::from_slice(nonce), payload).ok()?;
        String::from_utf8(token).ok()
    }

    fn about(&self, kind: Kind) -> String {
        format!("{}\0{}\0{}", self.user, self.provider.name(), kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOGLE: OauthProvider = OauthProvider::Google;

    fn seal() -> Seal {
        Seal::new(b"key", Uuid::from_u128(1), GOOGLE)
    }

    #[test]
    fn what_was_sealed_opens_again_and_looks_like_nothing() {
        for token in ["a marked token", "", "ü"] {
            let sealed = seal().seal(Kind::Access, token);
            assert_eq!(seal().open(Kind::Access, sealed.expose()).as_deref(), Some(token));
            assert!(sealed.expose().starts_with("x1.") && !sealed.expose().contains("marked"));
            assert_ne!(seal().seal(Kind::Access, token), sealed, "another nonce each time");
        }
    }

    #[test]
    fn it_opens_only_as_what_it_is() {
        let sealed = seal().seal(Kind::Access, "token");
        assert_eq!(seal().open(Kind::Refresh, sealed.expose()), None);
        for (key, user, provider) in
            [(b"yek", 1, GOOGLE), (b"key", 2, GOOGLE), (b"key", 1, OauthProvider::Apple)]
        {
            let other = Seal::new(key, Uuid::from_u128(user), provider);
            assert_eq!(other.open(Kind::Access, sealed.expose()), None);
        }
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let sealed = seal().seal(Kind::Access, "token").expose().to_owned();
        for place in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("letters");
            assert_eq!(seal().open(Kind::Access, &forged), None, "{forged}");
        }
        for odd in ["", "x1.", "x1.AAAA", "x2.", "x1.=", &sealed[..40]] {
            assert_eq!(seal().open(Kind::Access, odd), None, "{odd}");
        }
    }
}
