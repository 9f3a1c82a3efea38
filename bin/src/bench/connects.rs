//! Many who come at once through the auth callout, and go at once when their sessions are ended.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use echolog_commands::{Outcome, Status};
use echolog_events::Uuid;
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::figures::{Burst, Connects, percentile};
use super::site::Site;
use super::worker::{Role, Worker};
use crate::callout::accounts::{CORE_USER, Secrets};
use crate::client::{Client, Request};
use crate::clock;
use crate::config::Config;
use crate::supervise::{Binaries, Credential, Nats, NatsAuth, NatsOptions};

/// Those who come at once, and how often they do.
const CLIENTS: usize = 500;
const ROUNDS: usize = 3;

/// Sessions of which each lets in as many: to log in takes longer than to connect.
const SESSIONS: usize = 50;

/// How often one tries who was not let in: nats-server sends away whoever waits for long.
const ATTEMPTS: u64 = 5;

/// How long the callout may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

const NAME: &str = "somebody";
const PASSWORD: &str = "correct horse battery";

/// Measures on servers of its own: only they have accounts.
pub(super) async fn measure(
    binaries: &Binaries,
    config: &Config,
    data: &Path,
) -> anyhow::Result<Connects> {
    let secrets = Secrets::new()?;
    let options = NatsOptions {
        auth: NatsAuth::Configured(Credential::new(CORE_USER, secrets.core.as_str())),
        config: secrets.configuration()?,
        ..NatsOptions::default()
    };
    let nats = Nats::start(binaries, &data.join("nats"), options).await?;
    let port = nats.port();
    let mut site = Site::on(binaries, config, data, vec![nats]).await?;
    site.start_worker(Role::Projector).await?;
    site.start_worker(Role::Handler).await?;
    let callout = start_callout(&site, &secrets, port, data).await?;
    let client =
        Client::connect(site.config.bus("bench-connects").await?, site.config.names()?).await?;
    let user = clock::new_id();
    let body = json!({ "username": NAME, "password": PASSWORD });
    accepted(&client, "auth.register_user", user, body).await?;
    let fixed = json!({ "user": CORE_USER, "pass": secrets.core });
    let (mut by_token, mut by_password) = (Coming::default(), Coming::default());
    let mut gone = Duration::ZERO;
    for _ in 0..ROUNDS {
        let shown = log_in(&client).await?;
        let connections = by_token.come(port, |number| &shown[number % SESSIONS]).await?;
        gone = gone.max(end(&client, user, connections).await?);
        by_password.come(port, |_| &fixed).await?;
    }
    callout.stop().await?;
    site.stop().await?;
    let (by_token, again) = (by_token.burst(), by_token.again);
    let by_password = by_password.burst();
    Ok(Connects {
        ratio: by_token.per_second / by_password.per_second,
        by_token,
        by_password,
        again,
        gone_ms: gone.as_secs_f64() * 1_000.0,
    })
}

/// The callout, with no limit for this machine, once it lets somebody in.
async fn start_callout(
    site: &Site,
    secrets: &Secrets,
    port: u16,
    data: &Path,
) -> anyhow::Result<Worker> {
    let options = secrets.callout(&format!("127.0.0.1:{port}"));
    let settings = [
        ("ECHOLOG_CALLOUT_URL", options.callout_url),
        ("ECHOLOG_SYSTEM_URL", options.system_url),
        ("ECHOLOG_CALLOUT_ISSUER", options.callout_issuer),
        ("ECHOLOG_CALLOUT_XKEY", options.callout_xkey),
        ("ECHOLOG_CONNECT_RATE", Some("0".to_owned())),
        ("ECHOLOG_CONNECTIONS_PER_ADDRESS", Some("0".to_owned())),
    ];
    let settings = settings.map(|(name, value)| (name, value.unwrap_or_default()));
    let callout = Worker::start_with(&site.config, "callout", &settings, data).await?;
    let anybody = json!({ "user": "anon", "pass": "a secret that is as long as it has to be" });
    let deadline = Instant::now() + PATIENCE;
    while connect(port, &anybody).await?.is_none() {
        ensure!(Instant::now() < deadline, "the callout lets nobody in");
    }
    Ok(callout)
}

async fn accepted(
    client: &Client,
    name: &str,
    target: Uuid,
    body: Value,
) -> anyhow::Result<Outcome> {
    let outcome = client.send(&Request::new("svc-bench", name, target, body)).await?;
    ensure!(outcome.status == Status::Accepted, "{name}: {outcome:?}");
    Ok(outcome)
}

/// What lets in, of new sessions.
async fn log_in(client: &Client) -> anyhow::Result<Vec<Value>> {
    let mut shown = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let body = json!({ "identifier": NAME, "password": PASSWORD });
        let outcome = accepted(client, "auth.log_in", clock::new_id(), body).await?;
        let data = outcome.data.context("nothing is told")?;
        shown.push(json!({ "auth_token": data["session_token"] }));
    }
    Ok(shown)
}

/// Ends all sessions; returns how long it took from the command until the last connection had ended.
async fn end(
    client: &Client,
    user: Uuid,
    connections: Vec<Connection>,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    accepted(client, "auth.revoke_all_sessions", user, json!({})).await?;
    let ended = connections.into_iter().map(|mut connection| async move {
        let mut line = String::new();
        // Ended with a word of farewell, or without.
        while connection.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            line.clear();
        }
    });
    tokio::time::timeout(PATIENCE, futures::future::join_all(ended))
        .await
        .context("somebody is still there")?;
    Ok(begun.elapsed())
}

/// How long it took those who came.
#[derive(Default)]
struct Coming {
    times: Vec<Duration>,
    all: Duration,
    again: u64,
}

impl Coming {
    /// Lets all come at once.
    async fn come<'s>(
        &mut self,
        port: u16,
        shown: impl Fn(usize) -> &'s Value,
    ) -> anyhow::Result<Vec<Connection>> {
        let begun = Instant::now();
        let coming = (0..CLIENTS).map(|number| {
            let shown = shown(number).clone();
            let coming = tokio::spawn(async move {
                let begun = Instant::now();
                for attempt in 0..ATTEMPTS {
                    if let Some(connection) = connect(port, &shown).await? {
                        return Ok((connection, begun.elapsed(), attempt));
                    }
                }
                anyhow::bail!("somebody was not let in")
            });
            async { coming.await? }
        });
        let come = try_join_all(coming).await?;
        self.all += begun.elapsed();
        let mut connections = Vec::with_capacity(CLIENTS);
        for (connection, time, again) in come {
            connections.push(connection);
            self.times.push(time);
            self.again += again;
        }
        Ok(connections)
    }

    fn burst(&mut self) -> Burst {
        self.times.sort_unstable();
        Burst {
            per_second: self.times.len() as f64 / self.all.as_secs_f64(),
            p50_ms: percentile(&self.times, 0.5),
            p99_ms: percentile(&self.times, 0.99),
        }
    }
}

type Connection = BufReader<TcpStream>;

/// Connects as no library would, which has its own price; `None` if nobody lets it in.
async fn connect(port: u16, shown: &Value) -> anyhow::Result<Option<Connection>> {
    let mut connection = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    let mut said = json!({ "verbose": false });
    for (name, value) in shown.as_object().context("fields")? {
        said[name] = value.clone();
    }
    connection.write_all(format!("CONNECT {said}\r\nPING\r\n").as_bytes()).await?;
    loop {
        line.clear();
        match connection.read_line(&mut line).await {
            Ok(read) if read > 0 && line.starts_with("PONG") => return Ok(Some(connection)),
            Ok(read) if read > 0 && !line.starts_with("-ERR") => {}
            Ok(_) | Err(_) => return Ok(None),
        }
    }
}
