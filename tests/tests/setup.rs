//! What does not go together is refused at the start, with the remedy.

use echolog::config::{Config, Durability};
use echolog::connect::Connected;
use echolog::handler::RateLimit;
use echolog::roles::{Roles, Running};
use echolog_tests::{Tenant, run};

async fn refusal(config: &Config) -> anyhow::Result<String> {
    match Connected::open(config, "test").await {
        Ok(_) => anyhow::bail!("nothing was refused"),
        Err(error) => Ok(error.to_string()),
    }
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
        let limit = RateLimit { per_second: 0.0, burst: 0.0 };
        let started = Running::start(&t.config, Roles::ALL, limit).await;
        let error = started.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("up to 1000, but the log ends at 0: its end was lost"), "{error}");
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
        let error = refusal(&Config { nats_url, ..t.config.clone() }).await?;
        assert!(error.contains("correct user and password in NATS_URL"), "{error}");
        assert!(!error.contains("wrong"), "the password is shown: {error}");
        let nats_url = "nats://127.0.0.1:1".to_owned();
        let error = refusal(&Config { nats_url, ..t.config.clone() }).await?;
        assert!(error.contains("check NATS_URL and that the server runs"), "{error}");
        Ok(())
    });
}

#[test]
fn a_log_that_is_not_synced_is_asked_for_by_name() {
    run(async {
        let t = Tenant::without_workers().await?;
        let limit = RateLimit { per_second: 0.0, burst: 0.0 };
        let config = Config { durability: Durability::Synced, ..t.config.clone() };
        let started = Running::start(&config, Roles::HANDLER, limit).await;
        let error = started.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("sync_interval: always"), "{error}");
        // Who reads only is not concerned.
        Running::start(&config, Roles::PROJECTOR, limit).await?.stop().await
    });
}
