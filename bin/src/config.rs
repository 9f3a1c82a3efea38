//! What an operator says by flags and environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use echolog_commands::Settings;
use echolog_nats::{Bus, ConnectOptions, Names};
use echolog_projectors::db::{Database, DatabaseOptions};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::handler::Keys;
use crate::{oauth, outbox};

/// What has to survive a crash of the machine that NATS runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// Everything that was accepted: the broker syncs to disk, or there are three replicas.
    Synced,
    /// Perhaps not the last minutes. For tests and trials.
    Relaxed,
}

/// Where things are; every subcommand takes these.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Where things are")]
pub struct Config {
    /// The tenant.
    #[arg(long, default_value = "main", global = true)]
    pub tenant: String,
    /// NATS servers, comma separated, with credentials: nats://user:password@host:4222
    #[arg(
        long,
        env = "NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true,
        global = true
    )]
    pub nats_url: String,
    /// A NATS credentials file.
    #[arg(long, env = "NATS_CREDS", global = true)]
    pub nats_creds: Option<PathBuf>,
    /// Certificates (PEM) of those who may vouch for NATS; without TLS there is no connection then.
    /// Default: those of this system, for addresses that begin with tls://.
    #[arg(long, env = "NATS_CA", global = true)]
    pub nats_ca: Option<PathBuf>,
    /// The tenant's database; `{tenant}` is replaced: postgres://user:password@host/echolog_{tenant}
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    pub database_url: Option<String>,
    /// Connections to PostgreSQL at most.
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 16, global = true)]
    pub database_max_connections: u32,
    /// Seconds to wait for a connection to PostgreSQL.
    #[arg(long, env = "DATABASE_CONNECTION_TIMEOUT", default_value_t = 10, global = true)]
    pub database_connection_timeout: u64,
    /// Where /metrics, /health and /ready are served.
    #[arg(long, env = "ECHOLOG_METRICS_ADDR", default_value = "127.0.0.1:9464", global = true)]
    pub metrics_addr: SocketAddr,
    /// What is logged, such as `info` or `echolog=debug`. Default: `info`, for `dev` `warn`.
    #[arg(long, env = "ECHOLOG_LOG", global = true)]
    pub log: Option<String>,
    /// The key that the tenant's keys are derived from: at least 32 characters, kept for ever.
    #[arg(long, env = "ECHOLOG_MASTER_KEY", hide_env_values = true, global = true)]
    pub master_key: Option<String>,
    /// What handlers demand of NATS: that a crash of its machine loses nothing that was accepted,
    /// or, with `relaxed`, nothing.
    #[arg(
        long,
        env = "ECHOLOG_DURABILITY",
        value_enum,
        default_value_t = Durability::Synced,
        global = true
    )]
    pub durability: Durability,
    /// How mails and text messages go out.
    #[command(flatten)]
    pub outbox: outbox::Options,
    /// Who else vouches for people.
    #[command(flatten)]
    pub oauth: oauth::Options,
}

/// Without what must not be in a log line: addresses carry credentials.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("tenant", &self.tenant)
            .field("metrics_addr", &self.metrics_addr)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// The tenant's names.
    ///
    /// # Errors
    /// A name that cannot be part of a subject.
    pub fn names(&self) -> anyhow::Result<Names> {
        Names::new(&self.tenant).map_err(anyhow::Error::msg)
    }

    /// Connects to NATS.
    ///
    /// # Errors
    /// No connection, or a server that is too old.
    pub async fn bus(&self, role: &str) -> anyhow::Result<Bus> {
        let options = ConnectOptions {
            url: self.nats_url.clone(),
            credentials: self.nats_creds.clone(),
            ca: self.nats_ca.clone(),
            name: format!("echolog-{role}"),
        };
        Ok(Bus::connect(&options).await?)
    }

    /// Connects to PostgreSQL.
    ///
    /// # Errors
    /// No address, no connection, or a server that is too old.
    pub async fn database(&self) -> anyhow::Result<Database> {
        Ok(Database::connect(&self.database_options()?).await?)
    }

    /// Connects to PostgreSQL; creates the database where there is none.
    ///
    /// # Errors
    /// As [`Self::database`].
    pub async fn database_or_create(&self) -> anyhow::Result<Database> {
        Ok(Database::connect_or_create(&self.database_options()?).await?)
    }

    /// The address of the tenant's database, with its password.
    ///
    /// # Errors
    /// There is none.
    pub fn database_url(&self) -> anyhow::Result<String> {
        let url = self.database_url.as_deref().context(
            "DATABASE_URL is not set: give the tenant's database, such as postgres://user:password@host/echolog_{tenant}",
        )?;
        Ok(url.replace("{tenant}", &self.tenant))
    }

    fn database_options(&self) -> anyhow::Result<DatabaseOptions> {
        Ok(DatabaseOptions {
            url: self.database_url()?,
            max_connections: self.database_max_connections,
            connect_timeout: std::time::Duration::from_secs(self.database_connection_timeout),
        })
    }

    /// The rules of the tenant.
    ///
    /// # Errors
    /// No master key, or one that is too short.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings {
            claim_key: self.derive("claims")?,
            factor_key: self.derive("factors")?,
            keep_oauth_tokens: self.oauth.oauth_keep_tokens,
            ..Settings::default()
        })
    }

    /// The keys of what handlers give out.
    ///
    /// # Errors
    /// No master key, or one that is too short.
    pub fn keys(&self) -> anyhow::Result<Keys> {
        Ok(Keys {
            tokens: self.derive("tokens")?,
            codes: self.derive("otp")?,
            oauth: self.derive("oauth")?,
        })
    }

    /// Tells the master key from others without telling what it is.
    ///
    /// # Errors
    /// No master key, or one that is too short.
    pub fn key_check(&self) -> anyhow::Result<String> {
        let check = self.derive("check")?;
        Ok(check[..16].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The tenant's key for one purpose.
    fn derive(&self, purpose: &str) -> anyhow::Result<Vec<u8>> {
        let Some(master) = &self.master_key else {
            bail!(
                "ECHOLOG_MASTER_KEY is not set: make one with `openssl rand -hex 32` and keep it for ever"
            );
        };
        if master.len() < 32 {
            bail!(
                "ECHOLOG_MASTER_KEY is shorter than 32 characters: make one with `openssl rand -hex 32`"
            );
        }
        let mut key = Hmac::<Sha256>::new_from_slice(master.as_bytes())?;
        key.update(purpose.as_bytes());
        key.update(b"\0");
        key.update(self.tenant.as_bytes());
        Ok(key.finalize().into_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn no_secret_is_shown() {
        let secret = "a-marked-secret-of-at-least-32-characters";
        let nats_url = format!("nats://echolog:{secret}@127.0.0.1:4222");
        let database_url = format!("postgres://echolog:{secret}@127.0.0.1/echolog");
        let config = Cli::parse_from([
            "echolog",
            "--nats-url",
            &nats_url,
            "--database-url",
            &database_url,
            "--master-key",
            secret,
            "--smtp-url",
            &format!("smtps://echolog:{secret}@127.0.0.1"),
            "--sms-token",
            secret,
            "--oauth-google-client-secret",
            secret,
        ])
        .config;
        let options = config.database_options().expect("an address");
        let settings: Settings = config.settings().expect("a key");
        let connect =
            ConnectOptions { url: nats_url, credentials: None, ca: None, name: "test".to_owned() };
        let (outbox, oauth) = (&config.outbox, &config.oauth);
        let shown = format!("{config:?} {outbox:?} {oauth:?} {options:?} {connect:?} {settings:?}");
        assert!(!shown.contains(secret), "{shown}");
        assert!(!shown.contains(&format!("{:?}", settings.claim_key)), "{shown}");
        assert!(shown.contains("127.0.0.1:4222"), "what is no secret is shown: {shown}");
    }
}
