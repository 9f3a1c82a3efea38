//! Claims signed with an nkey, as nats-server writes and reads them.

use data_encoding::BASE64URL_NOPAD as BASE64;
use nkeys::KeyPair;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::CalloutError;

const HEADER: &[u8] = br#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

/// What is said, by whom, to whom and of whom.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Claims<T> {
    #[serde(default)]
    pub(super) jti: String,
    /// The public key that it is signed with.
    pub(super) iss: String,
    pub(super) sub: String,
    #[serde(default)]
    pub(super) aud: String,
    #[serde(default)]
    pub(super) name: String,
    /// Seconds since 1970.
    pub(super) iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) exp: Option<i64>,
    pub(super) nats: T,
}

impl<T: Serialize> Claims<T> {
    pub(super) fn sign(&self, key: &KeyPair) -> Result<String, CalloutError> {
        let claims = serde_json::to_vec(self).map_err(CalloutError::unreadable)?;
        let signed = format!("{}.{}", BASE64.encode(HEADER), BASE64.encode(&claims));
        let signature = key.sign(signed.as_bytes()).map_err(CalloutError::unreadable)?;
        Ok(format!("{signed}.{}", BASE64.encode(&signature)))
    }
}

impl<T: DeserializeOwned> Claims<T> {
    /// Reads claims that whoever they name has signed.
    pub(super) fn verify(token: &str) -> Result<Self, CalloutError> {
        let unreadable = || CalloutError::unreadable("no signed claims");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(unreadable)?;
        let (_, claims) = signed.split_once('.').ok_or_else(unreadable)?;
        let claims = BASE64.decode(claims.as_bytes()).map_err(|_| unreadable())?;
        // What is wrong with them is not told: they hold what the client shows.
        let claims: Self = serde_json::from_slice(&claims).map_err(|_| unreadable())?;
        let signature = BASE64.decode(signature.as_bytes()).map_err(|_| unreadable())?;
        let key = KeyPair::from_public_key(&claims.iss).map_err(CalloutError::unreadable)?;
        key.verify(signed.as_bytes(), &signature).map_err(CalloutError::unreadable)?;
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(key: &KeyPair) -> Claims<String> {
        Claims {
            jti: String::new(),
            iss: key.public_key(),
            sub: "somebody".to_owned(),
            aud: String::new(),
            name: String::new(),
            iat: 1,
            exp: None,
            nats: "content".to_owned(),
        }
    }

    #[test]
    fn what_was_signed_is_read() {
        let key = KeyPair::new_account();
        let token = claims(&key).sign(&key).expect("a key with a seed");
        assert_eq!(Claims::<String>::verify(&token).expect("claims").nats, "content");
    }

    #[test]
    fn what_somebody_else_signed_is_refused() {
        let key = KeyPair::new_account();
        let token = claims(&key).sign(&KeyPair::new_account()).expect("a key with a seed");
        assert!(Claims::<String>::verify(&token).is_err());
        for nonsense in ["", ".", "..", "a.b.c", "{}.{}.{}"] {
            assert!(Claims::<String>::verify(nonsense).is_err(), "{nonsense}");
        }
    }
}
