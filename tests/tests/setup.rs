//! What does not go together is refused at the start, with the remedy.

use std::time::Duration;

use echolog::clock;
use echolog::config::{Config, Durability};
use echolog::connect::Connected;
use echolog::handler::{Limits, RateLimit};
use echolog::retry::Retry;
use echolog::roles::{Roles, Running};
use echolog::supervise::{Binaries, Supervised};
use echolog_events::Uuid;
use echolog_nats::{Provision, ProvisionOptions};
use echolog_tests::cluster::proxied;
use echolog_tests::{Tenant, nats_version, older, run};
use nix::sys::signal::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use super::cli::echolog_with;

async fn refusal(config: &Config) -> anyhow::Result<String> {
    match Connected::open(config, "test").await {
        Ok(_) => anyhow::bail!("nothing was refused"),
        Err(error) => Ok(error.to_string()),
    }
}

/// A worker that is started so ends at once, with exit code 1 and the same sentence.
async fn ends(config: &Config) -> anyhow::Result<String> {
    let sentence = refusal(config).await?;
    let output = echolog_with(config, &["projector", "--metrics-addr", "127.0.0.1:0"], "").await?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&sentence), "{said}");
    Ok(sentence)
}

#[test]
fn servers_that_are_too_old_are_named() {
    run(async {
        let t = Tenant::without_workers().await?;
        let version = nats_version(&t.config).await?;
        let (nats, nats_url) = proxied(&t.config.nats_url).await?;
        nats.disguise(Some((&version, &older(&version))));
        let error = ends(&Config { nats_url, ..t.config.clone() }).await?;
        assert!(error.contains(&format!("nats-server {} is too old", older(&version))), "{error}");
        assert!(error.contains("needs 2.15.1 or newer"), "{error}");

        let number = t.value("SELECT current_setting('server_version_num')").await?;
        let url = t.config.database_url.clone().unwrap_or_default();
        let (postgres, url) = proxied(&url).await?;
        postgres.disguise(Some((&number, &older(&number))));
        let config = Config { database_url: Some(url), ..t.config.clone() };
        let error = ends(&config).await?;
        assert!(error.contains("Echolog needs 15 or newer"), "{error}");
        Ok(())
    });
}

#[test]
fn a_nats_without_jetstream_is_told_from_one_without_the_tenant() {
    run(async {
        let t = Tenant::without_workers().await?;
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(Binaries::find()?.nats_server);
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        let log = directory.path().join("nats.log");
        let mut server = Supervised::spawn("nats-server", command, Signal::SIGTERM, log).await?;
        let listens = async || TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop);
        server.until_ready(listens).await?;
        let nats_url = format!("nats://127.0.0.1:{port}");
        let error = ends(&Config { nats_url, ..t.config.clone() }).await?;
        assert!(error.contains("no JetStream for us; set `jetstream: enabled`"), "{error}");
        server.stop().await?;
        Ok(())
    });
}

#[test]
fn a_database_that_is_not_there_is_told_from_one_that_refuses_us() {
    run(async {
        let t = Tenant::without_workers().await?;
        let right = t.config.database_url.clone().unwrap_or_default();
        let with = |url: String| Config { database_url: Some(url), ..t.config.clone() };
        let missing = with(right.replace(&format!("/echolog_{}", t.config.tenant), "/nosuch"));
        let wrong = with(right.replace(":test@", ":wrong@"));
        let silent = with("postgres://127.0.0.1:1/echolog".to_owned());

        let error = ends(&missing).await?;
        assert!(
            error.contains("has no database nosuch; create it with `createdb nosuch`"),
            "{error}"
        );
        let error = ends(&wrong).await?;
        assert!(error.contains("refuses user echolog_owner; correct user and password"), "{error}");
        assert!(!error.contains("wrong"), "the password is shown: {error}");
        let error = ends(&silent).await?;
        assert!(error.contains("start it, or correct DATABASE_URL"), "{error}");
        Ok(())
    });
}

#[test]
fn what_is_the_owners_is_not_for_workers() {
    run(async {
        let t = Tenant::without_workers().await?;
        let directory = tempfile::tempdir()?;
        let directory = directory.path().join("backup").display().to_string();
        let config = t.workers_config();
        for arguments in [
            &["migrate"][..],
            &["replay", "users"],
            &["verify"],
            &["backup", &directory],
            &["parked", "skip", "--projection=users", "--key=x", "--seq=1", "--reason=x"],
        ] {
            let output = echolog_with(&config, arguments, "").await?;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
            let sentence = "error: only the owner of the tables, echolog_owner, may do this, and \
                            DATABASE_URL names echolog_projector";
            assert!(said.starts_with(sentence) && said.lines().count() == 1, "{said}");
        }
        let list = echolog_with(&config, &["parked", "list"], "").await?;
        assert_eq!(list.status.code(), Some(0), "{list:?}");
        Ok(())
    });
}

#[test]
fn a_database_belongs_to_one_log() {
    run(async {
        let (one, other) = (Tenant::without_workers().await?, Tenant::without_workers().await?);
        let database_url = other.config.database_url.clone();
        let config = Config { database_url, ..one.config.clone() };
        let error = refusal(&config).await?;
        assert!(error.contains("correct --tenant, NATS_URL or DATABASE_URL"), "{error}");
        assert!(error.contains(&one.config.tenant), "{error}");
        assert!(error.contains(&other.config.tenant), "{error}");
        Ok(())
    });
}

#[test]
fn tables_ahead_of_their_log_are_left_alone() {
    run(async {
        let t = Tenant::without_workers().await?;
        t.database.execute("UPDATE projection.checkpoints SET position = 1000").await?;
        let limit = Limits { rate: RateLimit { per_second: 0.0, burst: 0.0 }, ..Limits::default() };
        let started = Running::start(&t.config, Roles::ALL, limit).await;
        let error = started.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("up to 1000, but the log ends at 0: its end was lost"), "{error}");
        Ok(())
    });
}

/// Takes the log away and makes an empty one.
async fn replace_log(t: &Tenant, id: Uuid) -> anyhow::Result<()> {
    let names = t.config.names()?;
    t.jetstream().await?.delete_stream(names.event_stream()).await?;
    Provision::tenant(&t.bus, &names, &ProvisionOptions::default(), id).await?;
    Ok(())
}

#[test]
fn nobody_goes_on_with_another_log() {
    run(async {
        let t = Tenant::without_workers().await?;
        let limit = Limits { rate: RateLimit { per_second: 0.0, burst: 0.0 }, ..Limits::default() };
        let mut running = Vec::new();
        for roles in [Roles::HANDLER, Roles::PROJECTOR] {
            running.push(Running::start(&t.config, roles, limit).await?);
        }
        t.user("ada").await?;
        replace_log(&t, clock::new_id()).await?;
        for running in running {
            let (_go_on, stop) = tokio::sync::watch::channel(false);
            let ended = tokio::time::timeout(Duration::from_secs(30), running.until(stop)).await?;
            let error = ended.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("log"), "{error}");
        }
        Ok(())
    });
}

#[test]
fn a_log_that_has_lost_its_end_is_noticed() {
    run(async {
        let mut t = Tenant::start().await?;
        t.user("ada").await?;
        t.stop_first().await?;
        let log = t.log()?;
        let id = log.state().await?.id.parse()?;
        let mut reader = log.read_from(1).await?;
        let read = reader.next(1000).await?.events.last().map_or(0, |event| event.seq);
        replace_log(&t, id).await?;
        let mut retry = Retry::default();
        let error = loop {
            match reader.next(1000).await {
                Ok(page) => anyhow::bail!("{page:?} from an empty log"),
                Err(error) if error.is_final() => break error,
                Err(_) => retry.pause().await,
            }
        };
        let expected =
            format!("the log ends at 0, but {read} was read from it: it has lost its end");
        assert_eq!(error.to_string(), expected);
        Ok(())
    });
}

#[test]
fn a_tenant_that_is_not_set_up_is_named() {
    run(async {
        let t = Tenant::without_workers().await?;
        let config = Config { tenant: "nosuch".to_owned(), ..t.config.clone() };
        let error = refusal(&config).await?;
        assert!(error.contains("echolog migrate --tenant nosuch"), "{error}");
        Ok(())
    });
}

#[test]
fn a_wrong_password_is_told_from_a_server_that_is_gone() {
    run(async {
        let t = Tenant::without_workers().await?;
        let nats_url = t.config.nats_url.replace(":test@", ":wrong@");
        let error = ends(&Config { nats_url, ..t.config.clone() }).await?;
        assert!(error.contains("correct user and password in NATS_URL"), "{error}");
        assert!(!error.contains("wrong"), "the password is shown: {error}");
        let nats_url = "nats://127.0.0.1:1".to_owned();
        let error = ends(&Config { nats_url, ..t.config.clone() }).await?;
        assert!(error.contains("check NATS_URL and that the server runs"), "{error}");
        Ok(())
    });
}

#[test]
fn a_log_that_is_not_synced_is_asked_for_by_name() {
    run(async {
        let t = Tenant::without_workers().await?;
        let limit = Limits { rate: RateLimit { per_second: 0.0, burst: 0.0 }, ..Limits::default() };
        let config = Config { durability: Durability::Synced, ..t.config.clone() };
        let started = Running::start(&config, Roles::HANDLER, limit).await;
        let error = started.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("sync_interval: always"), "{error}");
        // Who reads only is not concerned.
        Running::start(&config, Roles::PROJECTOR, limit).await?.stop().await
    });
}
