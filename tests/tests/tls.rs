//! Servers that show a certificate of a private authority.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use echolog::config::Config;
use echolog::supervise::{
    Binaries, Credential, Nats, NatsAuth, NatsOptions, Postgres, PostgresOptions,
};
use echolog_tests::{Tenant, run};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Writes a private authority and a certificate for this machine that it vouches for.
struct Certificates {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    fn new(directory: &Path) -> anyhow::Result<Self> {
        let mut ca = CertificateParams::new(vec![])?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate()?;
        let ca_certificate = ca.self_signed(&ca_key)?;
        let key = KeyPair::generate()?;
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        let certificate = server.signed_by(&key, &Issuer::from_params(&ca, &ca_key))?;
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).map(|()| path)
        };
        Ok(Self {
            ca: write("ca.pem", ca_certificate.pem())?,
            certificate: write("server.pem", certificate.pem())?,
            key: write("server.key", key.serialize_pem())?,
        })
    }
}

async fn refusal(config: &Config) -> anyhow::Result<String> {
    match config.bus("test").await {
        Ok(_) => anyhow::bail!("nothing was refused"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[test]
fn nats_is_believed_only_if_our_authority_vouches_for_it() {
    run(async {
        let t = Tenant::without_workers().await?;
        let directory = tempfile::tempdir()?;
        let right = Certificates::new(directory.path())?;
        let (certificate, key) = (right.certificate.display(), right.key.display());
        let options = NatsOptions {
            auth: NatsAuth::User(Credential::new("echolog", "test")),
            sync: false,
            config: format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\" }}\n"),
            ..NatsOptions::default()
        };
        let nats = Nats::start(&Binaries::find()?, &directory.path().join("nats"), options).await?;
        let with = |url: String, ca: Option<&Path>| Config {
            nats_url: url,
            nats_ca: ca.map(Path::to_owned),
            ..t.config.clone()
        };
        let (plain, tls) = (nats.url(), nats.url().replace("nats://", "tls://"));
        with(tls.clone(), Some(&right.ca)).bus("test").await?;
        with(plain, Some(&right.ca)).bus("test").await?;

        let elsewhere = tempfile::tempdir()?;
        let wrong = Certificates::new(elsewhere.path())?;
        for config in [with(tls.clone(), Some(&wrong.ca)), with(tls, None)] {
            let error = refusal(&config).await?;
            assert!(error.contains("certificate") || error.contains("TLS"), "{error}");
            assert!(!error.contains(":test@"), "the password is shown: {error}");
        }
        // Nobody in between can talk us out of it.
        refusal(&with(t.config.nats_url.clone(), Some(&right.ca))).await?;
        nats.stop().await?;
        Ok(())
    });
}

#[test]
fn postgresql_is_believed_only_if_our_authority_vouches_for_it() {
    run(async {
        let t = Tenant::without_workers().await?;
        let directory = tempfile::tempdir()?;
        // PostgreSQL runs under another user where we are root.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
        let right = Certificates::new(directory.path())?;
        let binaries = Binaries::find()?;
        let at = directory.path().join("pg");
        let options = PostgresOptions::new(Credential::new("echolog_owner", "test"));
        let options = PostgresOptions { fsync: false, ..options };
        // It wants its key to be its own, and who it is shows once it has been there.
        Postgres::start(&binaries, &at, options.clone()).await?.stop().await?;
        let owner = std::fs::metadata(at.join("data"))?;
        chown(&right.key, Some(owner.uid()), Some(owner.gid()))?;
        std::fs::set_permissions(&right.key, std::fs::Permissions::from_mode(0o600))?;
        let mut options = options;
        for (name, value) in [
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", right.certificate.display().to_string()),
            ("ssl_key_file", right.key.display().to_string()),
        ] {
            options.settings.push((name.to_owned(), value));
        }
        let postgres = Postgres::start(&binaries, &at, options).await?;
        let with = |ca: &Path| {
            let url = postgres.url("postgres");
            let url = format!("{url}?sslmode=verify-full&sslrootcert={}", ca.display());
            Config { database_url: Some(url), ..t.config.clone() }
        };
        let database = with(&right.ca).database().await?;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert_eq!(database.text_table(sql).await?.rows, [["true"]]);
        drop(database);

        let elsewhere = tempfile::tempdir()?;
        let wrong = Certificates::new(elsewhere.path())?;
        let error = with(&wrong.ca).database().await.err().map(|error| format!("{error:#}"));
        let error = error.unwrap_or_default();
        assert!(error.contains("certificate"), "{error}");
        postgres.stop().await?;
        Ok(())
    });
}
