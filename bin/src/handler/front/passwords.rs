//! Hashing passwords and checking them: what costs a core and 19 MiB each time, so only a few are
//! at it at once, and only so many wait.

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use echolog_commands::Rejection;
use tokio::sync::{OnceCell, Semaphore};

/// What is checked where there is nothing to check: whoever asks for an account that does not exist
/// waits as long as for one that does.
const NOBODYS: &str = "nobody's password";

/// How passwords are hashed, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingLimits {
    /// Memory of one, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// How many are at work at once.
    pub threads: usize,
    /// How many wait for their turn at most.
    pub queue: usize,
}

impl Default for HashingLimits {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, threads: 1, queue: 64 }
    }
}

/// Hashes and checks.
#[derive(Debug)]
pub(super) struct Passwords {
    params: Params,
    at_work: Semaphore,
    inside: Semaphore,
    nobodys: OnceCell<String>,
}

impl Passwords {
    /// # Errors
    /// Limits that Argon2 does not take.
    pub(super) fn new(limits: HashingLimits) -> Result<Self, argon2::Error> {
        let HashingLimits { memory_kib, iterations, threads, queue } = limits;
        Ok(Self {
            params: Params::new(memory_kib, iterations, 1, None)?,
            at_work: Semaphore::new(threads),
            inside: Semaphore::new(threads + queue),
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
            let hash = PasswordHash::new(&text).ok()?;
            Some(argon2.verify_password(password.as_bytes(), &hash).is_ok())
        });
        Ok(right.await?.ok_or_else(failed)? && known)
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Rejection> {
        let _inside = self.inside.try_acquire().map_err(|_| {
            Rejection::rate_limited("Too many passwords are being checked; retry in a moment.")
        })?;
        let _turn = self.at_work.acquire().await.map_err(|_| failed())?;
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
    async fn whoever_finds_the_queue_full_hears_so_at_once() {
        let passwords = passwords(0);
        let _inside = passwords.inside.acquire().await.expect("it is open");
        let no = passwords.hash("open sesame".to_owned()).await.expect_err("no room");
        assert_eq!(no.code, ErrorCode::RateLimited);
    }
}
