//! A private nats-server and a private PostgreSQL, as children of this process.
//!
//! `echolog dev` and the tests run on real servers without asking anybody to install a service:
//! [`Nats`] and [`Postgres`] keep everything in a directory of their own, listen on 127.0.0.1
//! only, and never outlive the process that started them, not even after `kill -9`.
//!
//! ```no_run
//! # async fn example() -> Result<(), echolog::supervise::SuperviseError> {
//! use echolog::supervise::{Binaries, Credential, Nats, NatsOptions, Postgres, PostgresOptions};
//! use std::path::Path;
//!
//! let binaries = Binaries::find()?;
//! let nats = Nats::start(&binaries, Path::new(".data/nats"), NatsOptions::default()).await?;
//! let owner = Credential::new("echolog_owner", "a long random word");
//! let options = PostgresOptions::new(owner);
//! let postgres = Postgres::start(&binaries, Path::new(".data/postgres"), options).await?;
//! println!("{} {}", nats.url(), postgres.url("postgres"));
//! postgres.stop().await?;
//! nats.stop().await
//! # }
//! ```
//!
//! A directory serves one process at a time (a lock file in it says so). Started again on the same
//! directory a server gets the port that it had before, so that clients find it again.

mod binaries;
mod child;
mod nats;
mod place;
mod postgres;

pub use binaries::{Binaries, postgres_places};
pub use child::Supervised;
pub use nats::{Nats, NatsAuth, NatsOptions};
pub use postgres::{Postgres, PostgresOptions};

use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a server could not be started, watched or stopped; every message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// No binary anywhere.
    #[error(
        "{what} was not found: `./dev run` sets it up, or set {variable} to {meaning} of your own"
    )]
    NotFound {
        /// The program.
        what: &'static str,
        /// The environment variable that names it.
        variable: &'static str,
        /// What that variable holds.
        meaning: &'static str,
    },

    /// No binary where the variable points.
    #[error("{variable} leads to {path}, which is no {what} that runs: correct it or unset it")]
    Misnamed {
        /// The environment variable.
        variable: &'static str,
        /// Where it leads.
        path: PathBuf,
        /// The program that should be there.
        what: &'static str,
    },

    /// The binary that the variable names is older than Echolog needs.
    #[error(
        "{what} in {path} is {found}, but Echolog needs {needed} or newer: \
         unset {variable}, or point it at a newer one"
    )]
    TooOld {
        /// The program.
        what: &'static str,
        /// Where it was found.
        path: PathBuf,
        /// The version that it reports.
        found: String,
        /// The oldest version that will do.
        needed: &'static str,
        /// The environment variable that names it.
        variable: &'static str,
    },

    /// Another process works on this directory.
    #[error("{directory} is in use by another Echolog: stop that one, or choose another directory")]
    InUse {
        /// The directory.
        directory: PathBuf,
    },

    /// A server from an earlier run is still there and does not end.
    #[error(
        "{what} from an earlier run still works on {directory}: end it with `kill -9 {pid}`, \
         then try again"
    )]
    Leftover {
        /// The program.
        what: &'static str,
        /// Its process.
        pid: i32,
        /// The directory.
        directory: PathBuf,
    },

    /// The port that was asked for is taken.
    #[error("port {port} on 127.0.0.1 is taken: choose another, or none to get a free one")]
    PortTaken {
        /// The port.
        port: u16,
    },

    /// We are root, PostgreSQL refuses to be, and nobody else may enter the directory.
    #[error(
        "PostgreSQL refuses to run as root and user {user} may not enter {directory}: \
         run `chmod o+x {directory}`, or work as a user other than root"
    )]
    Unreachable {
        /// The user who would run it.
        user: String,
        /// The directory without the execute bit.
        directory: PathBuf,
    },

    /// `initdb` failed.
    #[error("initdb could not make a database cluster in {directory}: {output}")]
    Initdb {
        /// The directory.
        directory: PathBuf,
        /// What it said.
        output: String,
    },

    /// The server ended by itself.
    #[error("{what} ended ({status}); see {log}, which ends: {tail}")]
    Exited {
        /// The program.
        what: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },

    /// The server runs, but does not answer.
    #[error("{what} was not ready after {seconds} seconds; see {log}, which ends: {tail}")]
    NotReady {
        /// The program.
        what: &'static str,
        /// How long we waited.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },

    /// The operating system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried, with the path.
        doing: String,
        /// The reason.
        source: std::io::Error,
    },
}

impl SuperviseError {
    /// For `map_err`: an I/O error with what was being done.
    fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// Did the server end because somebody else took its port first?
    fn is_port_taken(&self) -> bool {
        matches!(self, Self::Exited { tail, .. } if tail.contains("ddress already in use"))
    }
}

/// A user name and its password.
#[derive(Clone)]
pub struct Credential {
    /// The name.
    pub user: String,
    /// The password; the caller makes and keeps it.
    pub password: String,
}

impl Credential {
    /// A credential of these two.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    /// `scheme://user:password@127.0.0.1:port/path`, escaped as a URL wants it.
    fn url(&self, scheme: &str, port: u16, path: &str) -> String {
        let mut url = local_url(scheme, port);
        // `url` escapes everything but the escape character; it fails for URLs without a host only.
        let _ = url.set_username(&self.user.replace('%', "%25"));
        let _ = url.set_password(Some(&self.password.replace('%', "%25")));
        url.set_path(path);
        url.into()
    }
}

/// Says who, never the password: this ends up in logs.
impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credential").field("user", &self.user).finish_non_exhaustive()
    }
}

fn local_url(scheme: &str, port: u16) -> url::Url {
    url::Url::parse(&format!("{scheme}://127.0.0.1:{port}")).expect("a scheme and a number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    #[test]
    fn a_url_keeps_every_character_of_the_password() {
        let url = Credential::new("svc", "a%2F@b:/c").url("nats", 4222, "");
        assert_eq!(url, "nats://svc:a%252F%40b%3A%2Fc@127.0.0.1:4222");
    }

    #[tokio::test]
    async fn a_directory_serves_one_at_a_time_and_keeps_its_ports() {
        let name = format!("echolog-supervise-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let (in_nats, in_postgres) = (directory.join("nats"), directory.join("postgres"));
        let binaries = Binaries::find().unwrap();
        let owner = Credential::new("echolog_owner", "secret");
        let options = PostgresOptions { fsync: false, ..PostgresOptions::new(owner) };

        let nats = Nats::start(&binaries, &in_nats, NatsOptions::default()).await.unwrap();
        let postgres = Postgres::start(&binaries, &in_postgres, options.clone()).await.unwrap();
        let ports = [nats.port(), postgres.port()];
        for port in ports {
            TcpStream::connect(("127.0.0.1", port)).unwrap();
        }
        let second = Nats::start(&binaries, &in_nats, NatsOptions::default()).await;
        assert!(matches!(second, Err(SuperviseError::InUse { .. })), "{second:?}");
        // One goes in an orderly way, one without warning; both come back where they were.
        nats.stop().await.unwrap();
        postgres.kill().await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        for port in ports {
            // What a killed server leaves behind takes a moment to go as well.
            while TcpStream::connect(("127.0.0.1", port)).is_ok() {
                assert!(Instant::now() < deadline, "somebody still listens on {port}");
                tokio::task::yield_now().await;
            }
        }

        let nats = Nats::start(&binaries, &in_nats, NatsOptions::default()).await.unwrap();
        let postgres = Postgres::start(&binaries, &in_postgres, options).await.unwrap();
        assert_eq!([nats.port(), postgres.port()], ports);
        postgres.stop().await.unwrap();
        nats.stop().await.unwrap();
        std::fs::remove_dir_all(directory).unwrap();
    }
}
