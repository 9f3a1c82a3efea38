//! Hashing passwords and checking them: what costs a core and 19 MiB each time, so only a few are
//! at it at once, and only so many wait.

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use echolog_commands::Rejection;
use tokio::sync::OnceCell;

use crate::turns::Turns;

/// What is checked where there is nothing to check: whoever asks for an account that does not exist
/// waits as long as for one that does.
const NOBODYS: &str = "nobody's password";

/// How hashes of bcrypt begin, whichever of its versions made them. It looks at the first 72 bytes of a
/// password.
const BCRYPT: &str = "$2";

/// How passwords are hashed, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingLimits {
    /// Memory of one, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// How many are at work at once.
    pub threads: usize,
    /// How many wait for their turn at most. The last of them should have its turn before its client asks
    /// again, or it is hashed once more for nothing.
    pub queue: usize,
}

impl Default for HashingLimits {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, threads: 1, queue: 24 }
    }
}

/// Hashes and checks.
#[derive(Debug)]
pub(super) struct Passwords {
    params: Params,
    turns: Turns,
    nobodys: OnceCell<String>,
}

impl Passwords {
    /// # Errors
    /// Limits that Argon2 does not take.
    pub(super) fn new(limits: HashingLimits) -> Result<Self, argon2::Error> {
        let HashingLimits { memory_kib, iterations, threads, queue } = limits;
        Ok(Self {
            params: Params::new(memory_kib, iterations, 1, None)?,
            turns: Turns::new(threads, queue),
            nobodys: OnceCell::new(),
        })
    }

    /// Hashes a new password, as a PHC string.
    pub(super) async fn hash(&self, password: String) -> Result<String, Rejection> {
        let argon2 = self.argon2();
        let hash = self.work(move || hash(&argon2, &password)).await?;
        hash.ok_or_else(failed)
    }

    /// Whether it is the password of this hash. Without a hash as much work is done for nothing.
    pub(super) async fn check(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, Rejection> {
        let argon2 = self.argon2();
        let nobodys = || async { self.hash(NOBODYS.to_owned()).await };
        let nobodys = self.nobodys.get_or_try_init(nobodys).await?.clone();
        let known = stored.is_some();
        let right = self.work(move || {
            let text = stored.unwrap_or(nobodys);
            if text.starts_with(BCRYPT) {
                return bcrypt::verify(password, &text).ok();
            }
            let hash = PasswordHash::new(&text).ok()?;
            Some(argon2.verify_password(password.as_bytes(), &hash).is_ok())
        });
        Ok(right.await?.ok_or_else(failed)? && known)
    }

    /// Whether a hash takes less to guess than those that are made now.
    pub(super) fn is_weak(&self, stored: &str) -> bool {
        if stored.starts_with(BCRYPT) {
            return true;
        }
        let params = PasswordHash::new(stored).ok().and_then(|hash| Params::try_from(&hash).ok());
        params.is_some_and(|params| {
            params.m_cost() < self.params.m_cost() || params.t_cost() < self.params.t_cost()
        })
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Rejection> {
        let _turn = self.turns.take().await.ok_or_else(|| {
            Rejection::rate_limited("Too many passwords are being checked; retry in a moment.")
        })?;
        tokio::task::spawn_blocking(work).await.map_err(|_| failed())
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Option<String> {
    let salt = SaltString::generate(&mut OsRng);
    Some(argon2.hash_password(password.as_bytes(), &salt).ok()?.to_string())
}

fn failed() -> Rejection {
    Rejection::internal("The password could not be hashed.")
}

#[cfg(test)]
mod tests {
    use echolog_commands::ErrorCode;

    use super::*;

    fn passwords(queue: usize) -> Passwords {
        let limits = HashingLimits { memory_kib: 64, iterations: 1, threads: 1, queue };
        Passwords::new(limits).expect("good limits")
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = passwords(1);
        let hash = passwords.hash("open sesame".to_owned()).await.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        for (password, stored, right) in [
            ("open sesame", Some(hash.clone()), true),
            ("open barley", Some(hash), false),
            ("open sesame", None, false),
            (NOBODYS, None, false),
        ] {
            assert_eq!(passwords.check(password.to_owned(), stored).await.ok(), Some(right));
        }
    }

    #[tokio::test]
    async fn a_hash_of_bcrypt_is_checked_and_weak() {
        // Of the bcrypt library of OpenBSD and of others, for what `$2y$` is the same as `$2b$`.
        let long = "a".repeat(72);
        let hashes = [
            ("open sesame", bcrypt::hash("open sesame", 4).expect("a hash")),
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned()),
            (&long, bcrypt::hash(&long, 4).expect("a hash")),
        ];
        let passwords = passwords(1);
        for (password, hash) in hashes {
            for version in ["$2a$", "$2b$", "$2y$"] {
                let hash = format!("{version}{}", &hash[4..]);
                let check =
                    |password: &str| passwords.check(password.to_owned(), Some(hash.clone()));
                assert_eq!(check(password).await.ok(), Some(true), "{hash}");
                assert_eq!(check("open barley").await.ok(), Some(false), "{hash}");
                assert!(passwords.is_weak(&hash));
            }
            if password.len() == 72 {
                let longer = format!("{password} and what bcrypt does not look at");
                assert_eq!(passwords.check(longer, Some(hash)).await.ok(), Some(true));
            }
        }
    }

    #[tokio::test]
    async fn a_hash_is_weak_that_takes_less_than_new_ones() {
        let of = |memory_kib, iterations| {
            let limits = HashingLimits { memory_kib, iterations, threads: 1, queue: 1 };
            Passwords::new(limits).expect("good limits")
        };
        let now = of(128, 2);
        for (made_by, weak) in [(of(64, 2), true), (of(128, 1), true), (of(256, 3), false)] {
            let hash = made_by.hash("open sesame".to_owned()).await.expect("a hash");
            assert_eq!(now.is_weak(&hash), weak, "{hash}");
        }
        assert!(!now.is_weak(&now.hash("open sesame".to_owned()).await.expect("a hash")));
    }

    #[tokio::test]
    async fn whoever_finds_the_queue_full_hears_so_at_once() {
        let passwords = passwords(0);
        let _turn = passwords.turns.take().await.expect("nobody is there");
        let no = passwords.hash("open sesame".to_owned()).await.expect_err("no room");
        assert_eq!(no.code, ErrorCode::RateLimited);
    }
}
