//! A private PostgreSQL.

use super::child::{Supervised, end_leftovers, end_with_parent, spawn_on_lasting_thread, tail};
use super::place::{Place, write_secret};
use super::{Binaries, Credential, SuperviseError};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

const WHAT: &str = "postgres";
const PORT: &str = "port";
const POSTMASTER_PID: &str = "postmaster.pid";
/// Its fast shutdown; at SIGTERM it would wait for every client to leave.
const STOP_SIGNAL: Signal = Signal::SIGINT;
/// Clusters live here when nobody but root may enter the directory that was asked for.
const ELSEWHERE: &str = "/var/lib/echolog";

/// How to run a PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The superuser; its password is set when the cluster is made and not changed later.
    pub owner: Credential,
    /// The port on 127.0.0.1; `None` takes the one of the run before, or any free one.
    pub port: Option<u16>,
    /// Whether a committed transaction is on the disk. Tests that do not test this may save time.
    pub fsync: bool,
    /// More settings, as in `postgresql.conf`; they win over those of this module.
    pub settings: Vec<(String, String)>,
}

impl PostgresOptions {
    /// A durable server on any port.
    #[must_use]
    pub fn new(owner: Credential) -> Self {
        Self { owner, port: None, fsync: true, settings: Vec::new() }
    }
}

/// A running PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    server: Supervised,
    port: u16,
    owner: Credential,
    _place: Place,
}

impl Postgres {
    /// Starts PostgreSQL with its cluster and log in `directory`, and waits until it accepts
    /// connections. An empty directory gets a new cluster: UTF-8, sorted by code point,
    /// passwords only.
    ///
    /// PostgreSQL refuses to run as root. Then another user runs it: who owns the directory or
    /// one above it, else `postgres`, else `nobody`. Where none of them may enter (a checkout in
    /// `/root`), the cluster is made under `/var/lib/echolog`, with a link in `directory`.
    pub async fn start(
        binaries: &Binaries,
        directory: &Path,
        options: PostgresOptions,
    ) -> Result<Self, SuperviseError> {
        let place = Place::take(directory)?;
        let home = Home::of(&place)?;
        end_leftovers(WHAT, &home.cluster(), STOP_SIGNAL).await?;
        // Nobody is left. The process that a stale file names may be a stranger by now, whom
        // PostgreSQL would take for itself, and refuse to start.
        let _ = std::fs::remove_file(home.cluster().join(POSTMASTER_PID));
        if !home.cluster().join("PG_VERSION").exists() {
            home.make_cluster(binaries, &place, &options).await?;
        }
        let (server, port) = match home.launch(binaries, &place, &options).await {
            Err(error) if error.is_port_taken() && options.port.is_none() => {
                place.forget_port(PORT);
                home.launch(binaries, &place, &options).await?
            }
            other => other?,
        };
        Ok(Self { server, port, owner: options.owner, _place: place })
    }

    /// What a client connects to, as the superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.owner.url("postgres", self.port, database)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the postmaster; 0 once it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Waits until it ends by itself, which it should not, and says why.
    pub async fn ended_by_itself(&mut self) -> SuperviseError {
        self.server.ended_by_itself().await
    }

    /// Stops it: connections are ended, a checkpoint is written. One that does not stop within 20
    /// seconds is killed, and recovers at the next start.
    pub async fn stop(self) -> Result<(), SuperviseError> {
        self.server.stop().await
    }

    /// Ends it without warning, to see what is left.
    pub async fn kill(self) -> Result<(), SuperviseError> {
        self.server.kill().await
    }
}

/// Where the cluster is, and who runs PostgreSQL there.
#[derive(Debug)]
struct Home {
    directory: PathBuf,
    /// `None`: we ourselves.
    user: Option<(u32, u32)>,
}

impl Home {
    fn of(place: &Place) -> Result<Self, SuperviseError> {
        let wanted = place.directory();
        if !Uid::effective().is_root() {
            return Ok(Self { directory: wanted.to_owned(), user: None });
        }
        let candidates = candidates(wanted);
        let enter = |directory: &Path| {
            candidates.iter().copied().find(|&user| closed_to(user, directory).is_none())
        };
        let home = match enter(wanted) {
            Some(user) => Self { directory: wanted.to_owned(), user: Some(user) },
            None => {
                let directory = elsewhere(wanted)?;
                let user = enter(&directory).ok_or_else(|| unreachable(&candidates, wanted))?;
                Self { directory, user: Some(user) }
            }
        };
        home.give(&home.directory)?;
        Ok(home)
    }

    fn cluster(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Makes the user who runs PostgreSQL the owner of a file or directory.
    fn give(&self, path: &Path) -> Result<(), SuperviseError> {
        let Some((uid, gid)) = self.user else { return Ok(()) };
        let doing = format!("give {} to user {}", path.display(), name(uid));
        chown(path, Some(uid), Some(gid)).map_err(SuperviseError::io(doing))
    }

    /// A program of PostgreSQL, to be run by the right user in its home.
    fn command(&self, binaries: &Binaries, program: &str) -> Command {
        let mut command = Command::new(binaries.postgres_bin.join(program));
        command.current_dir(&self.directory);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        // The password of somebody's own servers, or another cluster's directory.
        for (variable, _) in std::env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(variable);
            }
        }
        command
    }

    /// Makes a new cluster beside its final place, so that one cut short is never taken for whole.
    async fn make_cluster(
        &self,
        binaries: &Binaries,
        place: &Place,
        options: &PostgresOptions,
    ) -> Result<(), SuperviseError> {
        let draft = self.directory.join("new-cluster");
        let _ = std::fs::remove_dir_all(&draft);
        let password = self.directory.join("new-password");
        write_secret(&password, &options.owner.password)?;
        self.give(&password)?;

        let mut command = self.command(binaries, "initdb");
        command.arg("--pgdata").arg(&draft).arg("--pwfile").arg(&password);
        command.args(["--username", &options.owner.user, "--auth=scram-sha-256"]);
        command.args(["--encoding=UTF8", "--no-locale", "--no-instructions"]);
        if !options.fsync {
            command.arg("--no-sync");
        }
        let log = place.join("initdb.log");
        let made = run(command, &log).await;
        let _ = std::fs::remove_file(&password);
        if !made? {
            let directory = self.directory.clone();
            return Err(SuperviseError::Initdb { directory, output: tail(&log) });
        }
        let cluster = self.cluster();
        std::fs::rename(&draft, &cluster)
            .map_err(SuperviseError::io(format!("rename {}", draft.display())))
    }

    async fn launch(
        &self,
        binaries: &Binaries,
        place: &Place,
        options: &PostgresOptions,
    ) -> Result<(Supervised, u16), SuperviseError> {
        let port = place.port(PORT, options.port)?;
        let mut command = self.command(binaries, "postgres");
        command.arg("-D").arg(self.cluster());
        for (name, value) in settings(port, options) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = place.join("postgres.log");
        let mut server = Supervised::spawn(WHAT, command, STOP_SIGNAL, log).await?;
        let (status, pid) = (self.cluster().join(POSTMASTER_PID), server.pid());
        server.until_ready(async || is_ready(&status, pid).then_some(())).await?;
        Ok((server, port))
    }
}

fn settings(port: u16, options: &PostgresOptions) -> Vec<(String, String)> {
    let durable = if options.fsync { "on" } else { "off" };
    let port = port.to_string();
    let ours = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port),
        ("unix_socket_directories", ""),
        ("fsync", durable),
        ("synchronous_commit", durable),
        ("full_page_writes", durable),
        ("max_connections", "100"),
        ("shared_buffers", "256MB"),
        ("wal_compression", "on"),
        ("max_wal_size", "2GB"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];
    let ours = ours.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ours.into_iter().chain(options.settings.iter().cloned()).collect()
}

/// Reads what `pg_ctl --wait` reads: line 1 of the file is the process, line 8 how far it is.
fn is_ready(postmaster_pid: &Path, pid: u32) -> bool {
    let text = std::fs::read_to_string(postmaster_pid).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

/// Runs a program to its end with its output in `log`; did it succeed?
async fn run(mut command: Command, log: &Path) -> Result<bool, SuperviseError> {
    let doing = || format!("write {}", log.display());
    let file = std::fs::File::create(log).map_err(SuperviseError::io(doing()))?;
    let copy = file.try_clone().map_err(SuperviseError::io(doing()))?;
    command.stdin(Stdio::null()).stdout(copy).stderr(file).kill_on_drop(true);
    end_with_parent(&mut command, Signal::SIGTERM);
    let doing = "run a program of PostgreSQL";
    let mut child = spawn_on_lasting_thread(command).await.map_err(SuperviseError::io(doing))?;
    let status = child.wait().await.map_err(SuperviseError::io(doing))?;
    Ok(status.success())
}

/// Who might run PostgreSQL for root, the best first.
fn candidates(directory: &Path) -> Vec<(u32, u32)> {
    let owners = directory.ancestors().filter_map(|path| path.metadata().ok());
    let owners = owners.filter(|owned| owned.uid() != 0).map(|owned| (owned.uid(), owned.gid()));
    let known = ["postgres", "nobody"].into_iter().filter_map(|name| User::from_name(name).ok()?);
    owners.chain(known.map(|user| (user.uid.as_raw(), user.gid.as_raw()))).collect()
}

/// The first directory on the way down to `directory` that the user may not pass through.
/// `directory` itself does not count: it is going to be theirs.
fn closed_to((uid, gid): (u32, u32), directory: &Path) -> Option<PathBuf> {
    let mut above: Vec<&Path> = directory.ancestors().skip(1).collect();
    above.reverse();
    let closed = |path: &&Path| {
        path.metadata().map_or(true, |found| {
            let bit = match (found.uid() == uid, found.gid() == gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            found.permissions().mode() & bit == 0
        })
    };
    above.into_iter().find(closed).map(Path::to_owned)
}

/// The directory under `/var/lib` that stands in for `wanted`, with a link to it in `wanted`. If
/// the link is gone, so is the password: what is left of that cluster is of no use.
fn elsewhere(wanted: &Path) -> Result<PathBuf, SuperviseError> {
    let name = wanted.to_string_lossy().trim_start_matches('/').replace('/', "-");
    let directory = Path::new(ELSEWHERE).join(name);
    let doing = || format!("use directory {}", directory.display());
    let link = wanted.join("elsewhere");
    if std::fs::read_link(&link).ok().as_deref() != Some(&directory) {
        let _ = std::fs::remove_file(&link);
        let _ = std::fs::remove_dir_all(&directory);
        std::os::unix::fs::symlink(&directory, &link).map_err(SuperviseError::io(doing()))?;
    }
    std::fs::create_dir_all(&directory).map_err(SuperviseError::io(doing()))?;
    Ok(directory)
}

/// The sentence for when nobody may enter, about the likeliest of them.
fn unreachable(candidates: &[(u32, u32)], directory: &Path) -> SuperviseError {
    let user = candidates.last().copied().unwrap_or((65534, 65534));
    let closed = closed_to(user, directory).unwrap_or_else(|| directory.to_owned());
    SuperviseError::Unreachable { user: name(user.0), directory: closed }
}

fn name(uid: u32) -> String {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| user.name)
}
