//! Real servers for tests: one nats-server and one PostgreSQL per test process, a tenant per test.

pub mod broker;
pub mod cluster;
pub mod decoders;

use std::future::Future;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use echolog::callout;
use echolog::client::{Client, Request};
use echolog::clock;
use echolog::config::{Config, Durability};
use echolog::connect::Connected;
use echolog::handler::{Limits, RateLimit};
use echolog::outbox;
use echolog::roles::{Roles, Running};
use echolog::supervise::{
    Binaries, Credential, Nats, NatsAuth, NatsOptions, Postgres, PostgresOptions,
};
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::Uuid;
use echolog_nats::{Bus, EventLog, ProvisionOptions};
use echolog_projectors::db::Database;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// All tests of a process share one runtime: the servers live as long as it does.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the async runtime starts")
});

static SERVERS: OnceCell<Servers> = OnceCell::const_new();

/// What an operator does once, so that workers have a role of their own.
static WORKERS_MAY_LOG_IN: OnceCell<()> = OnceCell::const_new();

/// Runs a test.
///
/// # Panics
/// If the test fails.
pub fn run(test: impl Future<Output = anyhow::Result<()>>) {
    if let Err(error) = RUNTIME.block_on(test) {
        panic!("{error:?}");
    }
}

/// The servers of this test process. They end with it.
#[derive(Debug)]
pub struct Servers {
    nats: Nats,
    postgres: Postgres,
    _directory: tempfile::TempDir,
}

impl Servers {
    async fn get() -> anyhow::Result<&'static Self> {
        SERVERS.get_or_try_init(Self::start).await
    }

    async fn start() -> anyhow::Result<Self> {
        let binaries = Binaries::find()?;
        let directory = tempfile::Builder::new().prefix("echolog-test-").tempdir()?;
        // PostgreSQL runs under another user where we are root.
        std::fs::set_permissions(
            directory.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        let nats_options = NatsOptions {
            sync: false,
            auth: NatsAuth::User(Credential::new("echolog", "test")),
            ..NatsOptions::default()
        };
        let mut postgres_options = PostgresOptions::new(Credential::new("echolog_owner", "test"));
        postgres_options.fsync = false;
        postgres_options.settings.push(("max_connections".to_owned(), "500".to_owned()));
        let (nats_dir, pg_dir) = (directory.path().join("nats"), directory.path().join("pg"));
        let (nats, postgres) = tokio::try_join!(
            Nats::start(&binaries, &nats_dir, nats_options),
            Postgres::start(&binaries, &pg_dir, postgres_options),
        )?;
        Ok(Self { nats, postgres, _directory: directory })
    }
}

/// A tenant of its own, with its workers.
#[derive(Debug)]
pub struct Tenant {
    /// How to reach it.
    pub config: Config,
    /// Sends commands.
    pub client: Client,
    /// Reads tables.
    pub database: Database,
    /// The connection.
    pub bus: Bus,
    workers: Vec<Running>,
}

impl Tenant {
    /// A new tenant with one process that runs all workers.
    ///
    /// # Errors
    /// Whatever is missing.
    pub async fn start() -> anyhow::Result<Self> {
        let mut tenant = Self::without_workers().await?;
        tenant.add(Roles::ALL).await?;
        Ok(tenant)
    }

    /// A new tenant that nobody works for yet.
    ///
    /// # Errors
    /// Whatever is missing.
    pub async fn without_workers() -> anyhow::Result<Self> {
        Self::on(Servers::get().await?.nats.url()).await
    }

    /// The same, on a nats-server of its own.
    ///
    /// # Errors
    /// Whatever is missing.
    pub async fn on(nats_url: String) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let servers = Servers::get().await?;
        let tenant = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let config = Config {
            database_url: Some(servers.postgres.url(&format!("echolog_{tenant}"))),
            tenant,
            nats_url,
            nats_creds: None,
            nats_ca: None,
            database_max_connections: 12,
            database_connection_timeout: 20,
            metrics_addr: "127.0.0.1:0".parse()?,
            log: None,
            master_key: Some("a master key for tests, long enough".to_owned()),
            durability: Durability::Relaxed,
            outbox: outbox::Options::default(),
            oauth: echolog::oauth::Options::default(),
        };
        let database = config.database_or_create().await?;
        let options = ProvisionOptions::default();
        let (Connected { bus, database, .. }, _) =
            Connected::set_up(&config, database, &options).await?;
        let login = database.execute("ALTER ROLE echolog_projector LOGIN PASSWORD 'test'");
        WORKERS_MAY_LOG_IN.get_or_try_init(|| login).await?;
        let client = Client::connect(bus.clone(), config.names()?).await?;
        Ok(Self { config, client, database, bus, workers: Vec::new() })
    }

    /// Starts one more process' worth of workers.
    ///
    /// # Errors
    /// What they cannot start without.
    pub async fn add(&mut self, roles: Roles) -> anyhow::Result<()> {
        self.add_with(roles, &callout::Options::default()).await
    }

    /// The same, with an auth callout.
    ///
    /// # Errors
    /// What they cannot start without.
    pub async fn add_with(
        &mut self,
        roles: Roles,
        callout: &callout::Options,
    ) -> anyhow::Result<()> {
        let limits = Limits { rate: Self::UNLIMITED, ..Limits::default() };
        self.add_limited(roles, limits, callout).await
    }

    /// No limit for what a test sends.
    pub const UNLIMITED: RateLimit = RateLimit { per_second: 0.0, burst: 0.0 };

    /// The same, with limits.
    ///
    /// # Errors
    /// What they cannot start without.
    pub async fn add_limited(
        &mut self,
        roles: Roles,
        limits: Limits,
        callout: &callout::Options,
    ) -> anyhow::Result<()> {
        let config = self.workers_config();
        self.workers.push(Running::start_with(&config, roles, limits, callout).await?);
        Ok(())
    }

    /// How workers reach it: as a role that can do no more than they have to.
    #[must_use]
    pub fn workers_config(&self) -> Config {
        let url = self.config.database_url.as_deref().unwrap_or_default();
        let url = url.replace("//echolog_owner:", "//echolog_projector:");
        Config { database_url: Some(url), ..self.config.clone() }
    }

    /// Stops the workers that were started first.
    ///
    /// # Errors
    /// Why one of them failed.
    pub async fn stop_first(&mut self) -> anyhow::Result<()> {
        self.stop_at(0).await
    }

    /// Stops a process, counted from the one that was started first.
    ///
    /// # Errors
    /// Why one of its workers failed.
    pub async fn stop_at(&mut self, index: usize) -> anyhow::Result<()> {
        self.workers.remove(index).stop().await
    }

    /// How many partitions each process owns.
    #[must_use]
    pub fn owned_partitions(&self) -> Vec<f64> {
        self.workers.iter().map(|worker| worker.metrics.handler.owned_partitions.get()).collect()
    }

    /// The address of the first process's metrics.
    ///
    /// # Panics
    /// If there is no process.
    #[must_use]
    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.workers[0].metrics_addr)
    }

    /// The log.
    ///
    /// # Errors
    /// A tenant with a bad name.
    pub fn log(&self) -> anyhow::Result<EventLog> {
        Ok(EventLog::new(self.bus.clone(), self.config.names()?))
    }

    /// JetStream, as the client library has it: for looks behind the scenes.
    ///
    /// # Errors
    /// No connection.
    pub async fn jetstream(&self) -> anyhow::Result<async_nats::jetstream::Context> {
        jetstream(&self.config).await
    }

    /// Sends a command and returns its outcome, whatever it is, once the tables show it.
    ///
    /// # Errors
    /// No outcome.
    pub async fn send(
        &self,
        actor: impl ToString,
        name: &str,
        target: impl ToString,
        body: Value,
    ) -> anyhow::Result<Outcome> {
        let request = Request::new(actor, name, target, body).projected();
        Ok(self.client.send(&request).await?)
    }

    /// Sends a command that has to be accepted.
    ///
    /// # Errors
    /// Any other outcome.
    pub async fn accept(
        &self,
        actor: impl ToString,
        name: &str,
        target: impl ToString,
        body: Value,
    ) -> anyhow::Result<Outcome> {
        let outcome = self.send(actor, name, target, body).await?;
        anyhow::ensure!(outcome.status == Status::Accepted, "{name}: {outcome:?}");
        anyhow::ensure!(outcome.seq.is_none() || outcome.projected == Some(true), "{outcome:?}");
        Ok(outcome)
    }

    /// Sends a command that has to be refused with this code.
    ///
    /// # Errors
    /// Any other outcome.
    pub async fn refuse(
        &self,
        code: ErrorCode,
        actor: impl ToString,
        name: &str,
        target: impl ToString,
        body: Value,
    ) -> anyhow::Result<Outcome> {
        let outcome = self.send(actor, name, target, body).await?;
        let error = outcome.error.as_ref().with_context(|| format!("{name} was not refused"))?;
        anyhow::ensure!(error.code == code, "{name}: {error:?} instead of {code:?}");
        anyhow::ensure!(outcome.seq.is_none() && outcome.events.is_empty(), "{outcome:?}");
        Ok(outcome)
    }

    /// Registers a user and returns the id.
    ///
    /// # Errors
    /// A name that is taken.
    pub async fn user(&self, username: &str) -> anyhow::Result<Uuid> {
        let id = clock::new_id();
        self.accept("anon-test", "auth.register_user", id, json!({ "username": username })).await?;
        Ok(id)
    }

    /// Creates a group and returns its id; the first member is the owner.
    ///
    /// # Errors
    /// A refusal.
    pub async fn group(&self, members: &[Uuid]) -> anyhow::Result<Uuid> {
        let id = clock::new_id();
        let body = json!({ "conversation_type": "group", "title": "a group", "member_user_ids": members[1..] });
        self.accept(members[0], "messages.create_conversation", id, body).await?;
        Ok(id)
    }

    /// Sends a text and returns the message's id.
    ///
    /// # Errors
    /// A refusal.
    pub async fn say(&self, conversation: Uuid, sender: Uuid, text: &str) -> anyhow::Result<Uuid> {
        let id = clock::new_id();
        let body = json!({ "message_id": id, "content": text });
        self.accept(sender, "messages.send_message", conversation, body).await?;
        Ok(id)
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
        let mut rows = self.rows(sql).await?;
        anyhow::ensure!(rows.len() == 1, "{} rows: {sql}", rows.len());
        rows.remove(0).into_iter().next().context("a row has a column")
    }
}

/// What a web server answers, from the status line on.
///
/// # Errors
/// It does not answer.
pub async fn http_get(url: &str) -> anyhow::Result<String> {
    let rest = url.trim_start_matches("http://");
    let (host, path) = rest.split_once('/').with_context(|| format!("{url} has no path"))?;
    let mut stream = tokio::net::TcpStream::connect(host).await?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Waits until a condition holds.
///
/// # Errors
/// It does not hold within 20 seconds, or cannot be told.
pub async fn eventually<F, T>(what: &str, condition: F) -> anyhow::Result<()>
where
    F: FnMut() -> T,
    T: Future<Output = anyhow::Result<bool>>,
{
    within(Duration::from_secs(20), what, condition).await
}

/// Waits until a condition holds.
///
/// # Errors
/// It does not hold in time, or cannot be told.
pub async fn within<F, T>(time: Duration, what: &str, mut condition: F) -> anyhow::Result<()>
where
    F: FnMut() -> T,
    T: Future<Output = anyhow::Result<bool>>,
{
    let deadline = tokio::time::Instant::now() + time;
    while !condition().await? {
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "not within {time:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The version that nats-server says it is.
///
/// # Errors
/// It does not answer.
pub async fn nats_version(config: &Config) -> anyhow::Result<String> {
    let (_, server) = config.nats_url.rsplit_once('@').context("a server with a password")?;
    let stream = tokio::net::TcpStream::connect(server).await?;
    let mut greeting = String::new();
    tokio::io::BufReader::new(stream).read_line(&mut greeting).await?;
    let info: Value = serde_json::from_str(greeting.trim_start_matches("INFO "))?;
    Ok(info["version"].as_str().context("a version")?.to_owned())
}

/// A version that is older than any that will do, and as long as this one.
#[must_use]
pub fn older(version: &str) -> String {
    format!("0{}", &version[1..])
}

/// The `echolog` that was built beside the tests.
///
/// # Errors
/// It was not built.
pub fn echolog_binary() -> anyhow::Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let folder = tests.parent().and_then(std::path::Path::parent).context("target/debug/deps")?;
    let binary = folder.join("echolog");
    anyhow::ensure!(
        binary.exists(),
        "{} is missing: run `./dev test`, or `cargo build -p echolog` first",
        binary.display()
    );
    Ok(binary)
}

/// The `echolog` of the commit before this one; `None` where there is none.
///
/// # Errors
/// It was not built.
pub fn previous_binary() -> anyhow::Result<Option<PathBuf>> {
    let named = std::env::var_os("ECHOLOG_PREVIOUS")
        .context("ECHOLOG_PREVIOUS names no earlier build: run `./dev test`")?;
    Ok(Some(PathBuf::from(named)).filter(|path| !path.as_os_str().is_empty()))
}

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// JetStream, as the client library has it: for looks behind the scenes.
///
/// # Errors
/// No connection.
pub async fn jetstream(config: &Config) -> anyhow::Result<async_nats::jetstream::Context> {
    let credentials =
        async_nats::ConnectOptions::with_user_and_password("echolog".into(), "test".into());
    Ok(async_nats::jetstream::new(credentials.connect(&config.nats_url).await?))
}
