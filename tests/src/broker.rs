//! A nats-server with accounts and an auth callout, and a client that says what it likes to it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use echolog::callout::Options;
use echolog::callout::accounts::{CORE_USER, Secrets};
use echolog::supervise::{Binaries, Credential, Nats, NatsAuth, NatsOptions, Supervised};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;
use tokio::time::timeout;

use crate::{Tenant, echolog_binary};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a connection that has ended says last.
pub const ENDED: &str = "the connection has ended";

/// The server. It ends with this.
#[derive(Debug)]
pub struct Broker {
    /// The server.
    pub nats: Nats,
    /// Its keys and passwords.
    pub secrets: Secrets,
    directory: tempfile::TempDir,
}

impl Broker {
    /// Starts one that stores nothing yet.
    ///
    /// # Errors
    /// Whatever is missing.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with("").await
    }

    /// The same, with more configuration in nats-server's own syntax.
    ///
    /// # Errors
    /// Whatever is missing.
    pub async fn start_with(config: &str) -> anyhow::Result<Self> {
        // The password that the other servers of the tests have.
        let secrets = Secrets { core: "test".to_owned(), ..Secrets::new()? };
        let directory = tempfile::Builder::new().prefix("echolog-callout-").tempdir()?;
        let options = NatsOptions {
            sync: false,
            auth: NatsAuth::Configured(Credential::new(CORE_USER, secrets.core.as_str())),
            config: secrets.configuration()? + config,
            ..NatsOptions::default()
        };
        let nats = Nats::start(&Binaries::find()?, directory.path(), options).await?;
        Ok(Self { nats, secrets, directory })
    }

    /// What it has logged.
    ///
    /// # Errors
    /// It is gone.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.directory.path().join("nats.log"))?)
    }

    /// How a callout reaches it, with no limit for this machine.
    #[must_use]
    pub fn callout(&self) -> Options {
        let server = format!("127.0.0.1:{}", self.nats.port());
        Options { connect_rate: 0.0, ..self.secrets.callout(&server) }
    }

    /// Connects with whatever `CONNECT` is to hold.
    ///
    /// # Errors
    /// The server is not there.
    pub async fn connect(&self, shown: Value) -> anyhow::Result<Result<Raw, String>> {
        Raw::connect(self.nats.port(), shown).await
    }

    /// Connects as an anonymous client that is let in.
    ///
    /// # Errors
    /// It is not.
    pub async fn anonymous(&self, secret: &str) -> anyhow::Result<Raw> {
        self.connect(json!({ "user": "anon", "pass": secret })).await?.map_err(anyhow::Error::msg)
    }

    /// Connects with the token of a session, or an API key, that is good.
    ///
    /// # Errors
    /// It is not.
    pub async fn user(&self, token: &str) -> anyhow::Result<Raw> {
        self.connect(json!({ "auth_token": token })).await?.map_err(anyhow::Error::msg)
    }

    /// Starts a worker of a tenant as a process of its own, with these settings beside the usual ones.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn worker(
        &self,
        t: &Tenant,
        role: &str,
        log: &Path,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Supervised> {
        let config = t.workers_config();
        let options = self.callout();
        let mut command = Command::new(echolog_binary()?);
        command.args([role, "--tenant", &config.tenant, "--metrics-addr", "127.0.0.1:0"]);
        command.args(["--durability", "relaxed"]).env("NO_COLOR", "1").env("ECHOLOG_LOG", "info");
        command.env("ECHOLOG_CONNECT_RATE", "0").env("ECHOLOG_RATE_LIMIT", "0");
        for (name, value) in [
            ("NATS_URL", Some(config.nats_url)),
            ("DATABASE_URL", config.database_url),
            ("ECHOLOG_MASTER_KEY", config.master_key),
            ("ECHOLOG_CALLOUT_URL", options.callout_url),
            ("ECHOLOG_SYSTEM_URL", options.system_url),
            ("ECHOLOG_CALLOUT_ISSUER", options.callout_issuer),
            ("ECHOLOG_CALLOUT_XKEY", options.callout_xkey),
        ] {
            command.env(name, value.unwrap_or_default());
        }
        command.envs(settings.iter().copied());
        let mut process =
            Supervised::spawn("echolog", command, Signal::SIGTERM, log.to_owned()).await?;
        let ready = async || std::fs::read_to_string(log).ok()?.contains(" ready ").then_some(());
        process.until_ready(ready).await?;
        Ok(process)
    }

    /// Tries to connect with a token; whoever is refused has to hear what all hear.
    ///
    /// # Errors
    /// It is let in, or told something else.
    pub async fn refuses(&self, token: &str) -> anyhow::Result<()> {
        let said = self.connect(json!({ "auth_token": token })).await?;
        let said = said.err().with_context(|| format!("let in: {token}"))?;
        anyhow::ensure!(said == "-ERR 'Authorization Violation'", "{said}");
        Ok(())
    }
}

/// A client of NATS without any manners.
#[derive(Debug)]
pub struct Raw {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    subscriptions: usize,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A refusal.
    Error(String),
    /// A message.
    Message {
        /// Its subject.
        subject: String,
        /// Where it is to be answered.
        reply: Option<String>,
        /// Headers as they came, and body.
        content: String,
    },
}

impl Raw {
    /// Connects with whatever `CONNECT` is to hold.
    ///
    /// # Errors
    /// The server is not there.
    pub async fn connect(port: u16, shown: Value) -> anyhow::Result<Result<Self, String>> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let mut raw = Self { reader: BufReader::new(reader), writer, subscriptions: 0 };
        raw.line().await?.context("a greeting")?;
        // In one piece: a server that refuses us does not read what comes later.
        raw.write(format!("CONNECT {}\r\nPING\r\n", connect(&shown)?).as_bytes()).await?;
        let said = raw.until_pong().await?;
        let refused = said.into_iter().find_map(|said| match said {
            Said::Error(error) => Some(error),
            Said::Message { .. } => None,
        });
        Ok(refused.map_or(Ok(raw), Err))
    }

    /// Connects and says more in the same breath, before it can know whether it is let in; returns all
    /// that the server says to it.
    ///
    /// # Errors
    /// The server is not there.
    pub async fn connect_saying(
        port: u16,
        shown: &Value,
        more: &[u8],
    ) -> anyhow::Result<Vec<Said>> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let (reader, writer) = stream.into_split();
        let mut raw = Self { reader: BufReader::new(reader), writer, subscriptions: 0 };
        raw.line().await?.context("a greeting")?;
        let connect = format!("CONNECT {}\r\n", connect(shown)?);
        // A server that refuses us does not read what comes later.
        let _ = raw.write(&[connect.as_bytes(), more, b"PING\r\n"].concat()).await;
        raw.until_pong().await
    }

    /// Publishes; returns what the server has said by the time it has seen that.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn publish(
        &mut self,
        subject: &str,
        reply: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Vec<Said>> {
        self.write(publication(subject, reply, headers, body).as_bytes()).await?;
        self.sync().await
    }

    /// Subscribes; returns what the server has said by the time it has seen that.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn subscribe(&mut self, subject: &str) -> anyhow::Result<Vec<Said>> {
        self.subscriptions += 1;
        self.write(format!("SUB {subject} {}\r\n", self.subscriptions).as_bytes()).await?;
        self.sync().await
    }

    /// What the server has said by the time it answers us.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn sync(&mut self) -> anyhow::Result<Vec<Said>> {
        self.write(b"PING\r\n").await?;
        self.until_pong().await
    }

    async fn until_pong(&mut self) -> anyhow::Result<Vec<Said>> {
        let mut said = Vec::new();
        while let Some(line) = timeout(PATIENCE, self.line()).await?? {
            match line.split_once(' ').map_or(line.as_str(), |(kind, _)| kind) {
                "PONG" => return Ok(said),
                "PING" => self.write(b"PONG\r\n").await?,
                "-ERR" => said.push(Said::Error(line)),
                "MSG" | "HMSG" => said.push(self.message(&line).await?),
                _ => {}
            }
        }
        said.push(Said::Error(ENDED.to_owned()));
        Ok(said)
    }

    /// The next message, if it comes in time.
    ///
    /// # Errors
    /// The server is gone, or silent.
    pub async fn next(&mut self) -> anyhow::Result<Said> {
        loop {
            let line = timeout(PATIENCE, self.line()).await??.context("the connection ended")?;
            match line.split_once(' ').map_or(line.as_str(), |(kind, _)| kind) {
                "PING" => self.write(b"PONG\r\n").await?,
                "-ERR" => return Ok(Said::Error(line)),
                "MSG" | "HMSG" => return self.message(&line).await,
                _ => {}
            }
        }
    }

    /// Waits until the server ends the connection.
    ///
    /// # Errors
    /// It does not.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        self.until_ended().await
    }

    /// The same, for whoever goes on as if nothing had happened.
    ///
    /// # Errors
    /// It does not.
    pub async fn until_ended(&mut self) -> anyhow::Result<()> {
        timeout(PATIENCE, async { while let Ok(Some(_)) = self.line().await {} })
            .await
            .context("the connection goes on")
    }

    /// `MSG subject sid [reply] size` or `HMSG subject sid [reply] headers size`, and what follows.
    async fn message(&mut self, line: &str) -> anyhow::Result<Said> {
        let words: Vec<&str> = line.split(' ').collect();
        let sizes = if words[0] == "HMSG" { 2 } else { 1 };
        let size: usize = words.last().context("a size")?.parse()?;
        let mut content = vec![0; size + 2];
        self.reader.read_exact(&mut content).await?;
        Ok(Said::Message {
            subject: words[1].to_owned(),
            reply: (words.len() > 3 + sizes).then(|| words[3].to_owned()),
            content: String::from_utf8_lossy(&content[..size]).into_owned(),
        })
    }

    async fn line(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = String::new();
        match self.reader.read_line(&mut line).await {
            Ok(read) => Ok((read > 0).then(|| line.trim_end().to_owned())),
            // It ended before it had read everything from us.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.writer.write_all(bytes).await?)
    }
}

/// What `CONNECT` says.
fn connect(shown: &Value) -> anyhow::Result<Value> {
    let mut connect =
        json!({ "verbose": false, "headers": true, "no_responders": true, "protocol": 1 });
    for (name, value) in shown.as_object().context("fields")? {
        connect[name] = value.clone();
    }
    Ok(connect)
}

/// A message as a client publishes it.
#[must_use]
pub fn publication(subject: &str, reply: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = format!("NATS/1.0\r\n{}\r\n", headers.collect::<String>());
    let (own, all) = (headers.len(), headers.len() + body.len());
    format!("HPUB {subject} {reply} {own} {all}\r\n{headers}{body}\r\n")
}
