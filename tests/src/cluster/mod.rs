//! A whole Echolog in processes of its own, for tests that kill them, stop them and cut them off.
//!
//! A [`crate::Tenant`] has workers that are tasks of the test and shares its servers. A cluster
//! shares nothing: its nats-server and its PostgreSQL sync to disk as in production, each worker is
//! an `echolog handler` or `echolog projector`, and every connection between them goes through
//! a [`Proxy`]. One cluster runs at a time.

mod disk;
mod proxy;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context as _;
use echolog::client::Client;
use echolog::config::{Config, Durability};
use echolog::outbox;
use echolog::supervise::{
    Binaries, Credential, Nats, NatsAuth, NatsOptions, Postgres, PostgresOptions,
};
use echolog_events::{Body, Event, Partition, Recorded, SystemEvent};
use echolog_nats::{Bus, EventLog};
use echolog_projectors::db::Database;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

pub use disk::Disk;
pub use proxy::{Link, Proxy};
pub use worker::{Role, Worker};

/// Two clusters at once would measure each other.
static TURN: Mutex<()> = Mutex::const_new(());

/// Whose disk is small, and how many megabytes it has.
#[derive(Clone, Copy, Debug)]
pub enum Small {
    /// That of nats-server.
    Nats(u32),
    /// That of PostgreSQL.
    Postgres(u32),
}

/// Servers and workers.
#[derive(Debug)]
pub struct Cluster {
    /// The workers, in the order in which they were added.
    pub workers: Vec<Worker>,
    /// The way of clients to NATS.
    pub clients: Proxy,
    /// How to reach the servers directly, for a look behind the scenes.
    pub config: Config,
    /// A direct connection.
    pub bus: Bus,
    /// A direct connection.
    pub database: Database,
    /// The build that workers are started of from now on.
    pub build: PathBuf,
    binaries: Binaries,
    nats: Option<Nats>,
    /// More servers, where they are a cluster.
    peers: Vec<Option<Nats>>,
    routes: Vec<u16>,
    nats_port: Arc<AtomicU16>,
    postgres: Option<Postgres>,
    postgres_port: Arc<AtomicU16>,
    disk: Option<Disk>,
    max_store: Option<u64>,
    directory: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Servers with a tenant that nobody works for yet, as this build of `echolog` sets it up.
    ///
    /// # Errors
    /// Whatever is missing.
    pub async fn start(build: PathBuf) -> anyhow::Result<Self> {
        Self::start_on(None, &[], build).await
    }

    /// `routes` are the ports by which several nats-servers find each other.
    async fn start_on(
        small: Option<Small>,
        routes: &[u16],
        build: PathBuf,
    ) -> anyhow::Result<Self> {
        let turn = TURN.lock().await;
        let binaries = Binaries::find()?;
        let mut directory = tempfile::Builder::new().prefix("echolog-crash-").tempdir()?;
        if std::env::var_os("ECHOLOG_KEEP").is_some() {
            directory.disable_cleanup(true);
            eprintln!("kept: {}", directory.path().display());
        }
        // PostgreSQL runs under another user where we are root.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open)?;
        let (nats_at, postgres_at) = (directory.path().join("nats"), directory.path().join("pg"));
        let disk = small.map(|small| match small {
            // Its log stays outside: it is to say what happened.
            Small::Nats(megabytes) => Disk::mount(&nats_at.join("store"), megabytes),
            Small::Postgres(megabytes) => Disk::mount(&postgres_at, megabytes),
        });
        let disk = disk.transpose()?;
        let (nats, postgres) = tokio::try_join!(
            Nats::start(&binaries, &nats_at, nats_options(routes, 0)),
            Postgres::start(&binaries, &postgres_at, postgres_options()),
        )?;
        let mut peers = Vec::new();
        for index in 1..routes.len() {
            let at = directory.path().join(format!("nats-{index}"));
            peers.push(Some(Nats::start(&binaries, &at, nats_options(routes, index)).await?));
        }
        let config = Config {
            tenant: "main".to_owned(),
            nats_url: nats.url(),
            nats_creds: None,
            nats_ca: None,
            database_url: Some(postgres.url("echolog_main")),
            database_max_connections: 4,
            database_connection_timeout: 5,
            metrics_addr: "127.0.0.1:0".parse()?,
            log: None,
            master_key: Some("a master key for tests, long enough".to_owned()),
            outbox: outbox::Options::default(),
            oauth: echolog::oauth::Options::default(),
            // A disk in memory has nothing to sync to.
            durability: match small {
                Some(Small::Nats(_)) => Durability::Relaxed,
                Some(Small::Postgres(_)) | None => Durability::Synced,
            },
        };
        let database = config.database_or_create().await?;
        let nats_port = Arc::new(AtomicU16::new(nats.port()));
        let cluster = Self {
            workers: Vec::new(),
            clients: Proxy::open(Arc::clone(&nats_port)).await?,
            bus: config.bus("test").await?,
            config,
            database,
            build,
            binaries,
            nats_port,
            nats: Some(nats),
            peers,
            routes: routes.to_vec(),
            postgres_port: Arc::new(AtomicU16::new(postgres.port())),
            postgres: Some(postgres),
            disk,
            max_store: None,
            directory,
            _turn: turn,
        };
        if routes.is_empty() {
            cluster.migrate().await?;
        } else {
            crate::eventually("the servers are a cluster", || async {
                Ok(cluster.echolog(&["migrate", "--replicas", "3"]).await?.status.success())
            })
            .await?;
        }
        Ok(cluster)
    }

    /// Brings the tenant up to date with the build.
    ///
    /// # Errors
    /// What `echolog migrate` says.
    pub async fn migrate(&self) -> anyhow::Result<()> {
        let done = self.echolog(&["migrate"]).await?;
        anyhow::ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// Servers and these workers.
    ///
    /// # Errors
    /// Whatever is missing.
    pub async fn with(roles: &[Role]) -> anyhow::Result<Self> {
        Self::with_workers(None, &[], roles).await
    }

    /// The same, with three nats-servers that keep the log together and sync nothing.
    ///
    /// # Errors
    /// Whatever is missing.
    pub async fn of_three(roles: &[Role]) -> anyhow::Result<Self> {
        // Held until all are known, so that they differ.
        let held = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0"));
        let held = held.into_iter().collect::<Result<Vec<_>, _>>()?;
        let routes = held.iter().map(|it| Ok(it.local_addr()?.port()));
        let routes: Vec<u16> = routes.collect::<std::io::Result<_>>()?;
        drop(held);
        Self::with_workers(None, &routes, roles).await
    }

    /// The same, with one of the servers on a small disk.
    ///
    /// # Errors
    /// Whatever is missing.
    pub async fn on(small: Small, roles: &[Role]) -> anyhow::Result<Self> {
        Self::with_workers(Some(small), &[], roles).await
    }

    async fn with_workers(
        small: Option<Small>,
        routes: &[u16],
        roles: &[Role],
    ) -> anyhow::Result<Self> {
        let mut cluster = Self::start_on(small, routes, crate::echolog_binary()?).await?;
        for role in roles {
            cluster.add(*role).await?;
        }
        Ok(cluster)
    }

    /// Adds a process; returns its index among the workers.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn add(&mut self, role: Role) -> anyhow::Result<usize> {
        let (nats, postgres) = (Arc::clone(&self.nats_port), Arc::clone(&self.postgres_port));
        self.workers.push(Worker::new(role, nats, postgres).await?);
        let index = self.workers.len() - 1;
        self.start_worker(index).await?;
        Ok(index)
    }

    /// Starts a worker again that was killed.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start_worker(&mut self, index: usize) -> anyhow::Result<()> {
        self.workers[index].start(&self.build, &self.config, self.directory.path()).await
    }

    /// Ends nats-server without warning.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill_nats(&mut self) -> anyhow::Result<()> {
        if let Some(nats) = self.nats.take() {
            nats.kill().await?;
        }
        Ok(())
    }

    /// Starts nats-server on what is left.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start_nats(&mut self) -> anyhow::Result<()> {
        self.start_nats_with("test").await
    }

    /// Starts nats-server on what is left, but for those who know this password.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start_nats_with(&mut self, password: &str) -> anyhow::Result<()> {
        let at = self.directory.path().join("nats");
        // Our own connections know one port.
        let options = NatsOptions {
            auth: NatsAuth::User(Credential::new("echolog", password)),
            port: Some(self.nats_port.load(Ordering::Relaxed)),
            max_store: self.max_store,
            ..nats_options(&self.routes, 0)
        };
        self.nats = Some(Nats::start(&self.binaries, &at, options).await?);
        Ok(())
    }

    /// Ends one of several nats-servers without warning, and starts it again on what is left once
    /// the others went on without it: see `meanwhile`.
    ///
    /// # Errors
    /// It cannot be killed or started, and what `meanwhile` says.
    pub async fn without_nats<T>(
        &mut self,
        index: usize,
        meanwhile: impl AsyncFnOnce(&Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let Some(peer) = index.checked_sub(1) else {
            self.kill_nats().await?;
            let done = meanwhile(self).await?;
            self.start_nats().await?;
            return Ok(done);
        };
        let nats = self.peers[peer].take().context("it runs")?;
        let port = Some(nats.port());
        nats.kill().await?;
        let done = meanwhile(self).await?;
        let at = self.directory.path().join(format!("nats-{index}"));
        let options = NatsOptions { port, ..nats_options(&self.routes, index) };
        self.peers[peer] = Some(Nats::start(&self.binaries, &at, options).await?);
        Ok(done)
    }

    /// The last sequence of a stream that each of several nats-servers has on its own disk.
    ///
    /// # Errors
    /// One of them does not answer.
    pub async fn last_sequences(&self, stream: &str) -> anyhow::Result<Vec<u64>> {
        let mut all = Vec::new();
        for nats in self.nats.iter().chain(self.peers.iter().flatten()) {
            let url = nats.monitoring_url().context("it serves monitoring")?;
            let answer = crate::http_get(&format!("{url}jsz?streams=true")).await?;
            let (_, body) = answer.split_once("\r\n\r\n").context("a body")?;
            let body: Value = serde_json::from_str(body)?;
            let accounts = body["account_details"].as_array().into_iter().flatten();
            let streams = accounts.filter_map(|it| it["stream_detail"].as_array()).flatten();
            let found = streams.filter(|it| it["name"] == stream);
            let last = found.filter_map(|it| it["state"]["last_seq"].as_u64()).max();
            all.push(last.unwrap_or_default());
        }
        Ok(all)
    }

    /// Lets JetStream store so many bytes from now on, or any number. A server that runs is told to
    /// read its configuration anew, where it may only be given more.
    ///
    /// # Errors
    /// There is no such server, or it does not say that it has done so.
    pub async fn limit_nats(&mut self, bytes: Option<u64>) -> anyhow::Result<()> {
        self.max_store = bytes;
        let Some(nats) = &self.nats else { return Ok(()) };
        nats.set_max_store(bytes)?;
        crate::eventually("nats-server has the new limit", || async {
            Ok(self.nats_log()?.contains("Reloaded: JetStream max_file_store"))
        })
        .await
    }

    /// What nats-server has written into its log since it was started.
    ///
    /// # Errors
    /// It was never started.
    pub fn nats_log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.directory.path().join("nats/nats.log"))?)
    }

    /// Whether PostgreSQL has ended by itself.
    pub fn postgres_has_ended(&mut self) -> bool {
        use futures::FutureExt as _;
        self.postgres.as_mut().is_none_or(|it| it.ended_by_itself().now_or_never().is_some())
    }

    /// Stops nats-server in its tracks.
    ///
    /// # Errors
    /// It does not run.
    pub fn freeze_nats(&self) -> anyhow::Result<Frozen> {
        Frozen::new(self.nats.as_ref().map_or(0, Nats::pid))
    }

    /// The small disk.
    ///
    /// # Errors
    /// There is none.
    pub fn disk(&self) -> anyhow::Result<&Disk> {
        self.disk.as_ref().context("no server has a small disk")
    }

    /// Where nats-server keeps a stream.
    #[must_use]
    pub fn stream_directory(&self, stream: &str) -> PathBuf {
        let store = self.directory.path().join("nats/store/jetstream/$G/streams");
        store.join(stream)
    }

    /// Ends PostgreSQL without warning.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill_postgres(&mut self) -> anyhow::Result<()> {
        if let Some(postgres) = self.postgres.take() {
            postgres.kill().await?;
        }
        Ok(())
    }

    /// Starts PostgreSQL on what is left.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start_postgres(&mut self) -> anyhow::Result<()> {
        let at = self.directory.path().join("pg");
        let port = Some(self.postgres_port.load(Ordering::Relaxed));
        let options = PostgresOptions { port, ..postgres_options() };
        self.postgres = Some(Postgres::start(&self.binaries, &at, options).await?);
        Ok(())
    }

    /// Starts whatever does not run and lets everything through.
    ///
    /// # Errors
    /// Something cannot be started, or a worker has ended by itself.
    pub async fn restore(&mut self) -> anyhow::Result<()> {
        self.check_alive()?;
        if self.nats.is_none() {
            self.start_nats().await?;
        }
        if self.postgres.is_none() {
            self.start_postgres().await?;
        }
        self.clients.set(Link::Open);
        for index in 0..self.workers.len() {
            self.workers[index].restore();
            if self.workers[index].pid() == 0 {
                self.start_worker(index).await?;
            }
        }
        Ok(())
    }

    /// Loses everything: workers, servers and all that they have on their disks. New servers are
    /// as empty as on the first day.
    ///
    /// # Errors
    /// They cannot be killed or started.
    pub async fn lose_everything(&mut self) -> anyhow::Result<()> {
        for worker in &mut self.workers {
            worker.kill().await?;
        }
        self.kill_nats().await?;
        self.kill_postgres().await?;
        for server in ["nats/store", "pg"] {
            std::fs::remove_dir_all(self.directory.path().join(server))?;
        }
        self.start_nats().await?;
        self.start_postgres().await
    }

    /// Runs `echolog` to its end.
    ///
    /// # Errors
    /// It does not run.
    pub async fn echolog(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(arguments)?.output().await?)
    }

    /// An `echolog` that is about to run. It ends when it is dropped.
    ///
    /// # Errors
    /// There is no database or no key.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.build);
        command
            .args(arguments)
            .env("NATS_URL", &self.config.nats_url)
            .env("DATABASE_URL", self.config.database_url()?)
            .env("ECHOLOG_MASTER_KEY", self.config.master_key.as_deref().context("a key")?)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Makes sure that no worker has ended by itself: they are to live through the death of
    /// whatever they work with.
    ///
    /// # Errors
    /// One has; with the end of its log.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        self.workers.iter_mut().try_for_each(Worker::check_alive)
    }

    /// A client that reaches NATS through [`Self::clients`].
    ///
    /// # Errors
    /// NATS does not answer.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let mut config = self.config.clone();
        config.nats_url = through(&config.nats_url, &self.clients)?;
        Ok(Client::connect(config.bus("client").await?, config.names()?).await?)
    }

    /// The log, read directly.
    ///
    /// # Errors
    /// A tenant with a bad name.
    pub fn log(&self) -> anyhow::Result<EventLog> {
        Ok(EventLog::new(self.bus.clone(), self.config.names()?))
    }

    /// Everything that is in the log now.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn events(&self) -> anyhow::Result<Vec<Recorded>> {
        let log = self.log()?;
        let head = log.head().await?;
        let mut events: Vec<Recorded> = Vec::new();
        let mut reader = log.read_from(1).await?;
        while events.last().map_or(0, |event| event.seq) < head {
            events.extend(reader.next(1000).await?.events);
        }
        Ok(events)
    }

    /// JetStream, as the client library has it.
    ///
    /// # Errors
    /// No connection.
    pub async fn jetstream(&self) -> anyhow::Result<async_nats::jetstream::Context> {
        crate::jetstream(&self.config).await
    }

    /// Sequence of the last command that the broker has.
    ///
    /// # Errors
    /// NATS does not answer.
    pub async fn last_command(&self) -> anyhow::Result<u64> {
        let jetstream = self.jetstream().await?;
        let queue = jetstream.get_stream(self.config.names()?.command_stream()).await?;
        Ok(queue.cached_info().state.last_sequence)
    }

    /// The worker that took a partition over last, by what the log says.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn owner(&self, partition: Partition) -> anyhow::Result<Option<usize>> {
        Ok(self.owners().await?.get(&partition).copied().flatten())
    }

    /// For each partition that has an owner by what the log says: which worker that is, if it
    /// still runs.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn owners(&self) -> anyhow::Result<BTreeMap<Partition, Option<usize>>> {
        let events = self.events().await?;
        let taken = events.iter().filter_map(|event| {
            let pid = taken(event)?;
            let worker = self.workers.iter().position(|worker| worker.pid() == pid);
            Some((event.partition, worker))
        });
        Ok(taken.collect())
    }

    /// Where in the log a worker took partitions over.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn takeovers(&self, worker: usize) -> anyhow::Result<Vec<u64>> {
        let pid = self.workers[worker].pid();
        let events = self.events().await?;
        let own = events.iter().filter(|event| taken(event) == Some(pid));
        Ok(own.map(|event| event.seq).collect())
    }

    /// The rows of a query, as text; NULL is empty.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn rows(&self, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
        Ok(self.database.text_table(sql).await?.rows)
    }

    /// The one value of a query, as text.
    ///
    /// # Errors
    /// What PostgreSQL says, and anything but one row.
    pub async fn value(&self, sql: &str) -> anyhow::Result<String> {
        let row = <[_; 1]>::try_from(self.rows(sql).await?);
        let [row] = row.map_err(|rows| anyhow::anyhow!("{} rows: {sql}", rows.len()))?;
        row.into_iter().next().context("a row has a column")
    }
}

/// The process that took a partition over, if that is what the event says.
fn taken(event: &Recorded) -> Option<u32> {
    let Body::Known(Event::System(SystemEvent::OwnershipTaken(taken))) = &event.body else {
        return None;
    };
    // `host:pid:id`
    taken.owner.rsplit(':').nth(1)?.parse().ok()
}

/// The options of one of the servers that find each other by these ports; of the only one if there
/// are none.
fn nats_options(routes: &[u16], index: usize) -> NatsOptions {
    let auth = NatsAuth::User(Credential::new("echolog", "test"));
    let Some(own) = routes.get(index) else {
        return NatsOptions { auth, ..NatsOptions::default() };
    };
    let all: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
    let all = all.join(", ");
    let config =
        format!("cluster {{ name: test, listen: \"127.0.0.1:{own}\", routes: [{all}] }}\n");
    NatsOptions { auth, sync: false, monitoring: true, config, ..NatsOptions::default() }
}

fn postgres_options() -> PostgresOptions {
    PostgresOptions::new(Credential::new("echolog_owner", "test"))
}

/// The same address, by way of a proxy.
fn through(url: &str, proxy: &Proxy) -> anyhow::Result<String> {
    let (before, _, after) = around_port(url)?;
    Ok(format!("{before}{}{after}", proxy.port()))
}

/// An address by way of a proxy of its own.
///
/// # Errors
/// No server of this machine.
pub async fn proxied(url: &str) -> anyhow::Result<(Proxy, String)> {
    let (_, port, _) = around_port(url)?;
    let proxy = Proxy::open(Arc::new(AtomicU16::new(port))).await?;
    let url = through(url, &proxy)?;
    Ok((proxy, url))
}

/// The port of an address, and what is before and behind it.
fn around_port(url: &str) -> anyhow::Result<(&str, u16, &str)> {
    let at = url.find("127.0.0.1:").context("a server on this machine")? + "127.0.0.1:".len();
    let (before, rest) = url.split_at(at);
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    Ok((before, rest[..rest.len() - after.len()].parse()?, after))
}

/// A process that was stopped. It goes on when this is dropped.
#[derive(Debug)]
pub struct Frozen(Pid);

impl Frozen {
    fn new(pid: u32) -> anyhow::Result<Self> {
        anyhow::ensure!(pid != 0, "only what runs can be stopped");
        let pid = Pid::from_raw(pid.try_into()?);
        kill(pid, Signal::SIGSTOP)?;
        Ok(Self(pid))
    }

    /// Lets it go on.
    pub fn thaw(self) {}
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // It can only fail because the process is gone.
        let _ = kill(self.0, Signal::SIGCONT);
    }
}
