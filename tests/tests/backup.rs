//! What a backup is made of, and what it refuses to be made of or put back into.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use echolog::backup;
use echolog::clock;
use echolog::roles::Roles;
use echolog_events::Stream;
use echolog_nats::ProvisionOptions;
use echolog_projectors::Alone;
use echolog_tests::{Tenant, eventually, run};
use serde_json::Value;

use crate::parking::{subject, write};

/// Writes so many messages into the log.
async fn grow(t: &Tenant, count: usize) -> anyhow::Result<()> {
    for _ in 0..count {
        write(t, subject(t, Stream::Message, clock::new_id()), &[], Vec::new()).await?;
    }
    Ok(())
}

/// Makes a backup; returns where its log ends.
async fn saved(t: &Tenant, directory: &Path) -> anyhow::Result<u64> {
    Ok(backup::backup(&t.config, directory, |_| {}).await?.0)
}

/// Tries to make a backup, and returns why that is refused.
async fn refused(t: &Tenant, directory: &Path) -> anyhow::Result<String> {
    match saved(t, directory).await {
        Ok(end) => anyhow::bail!("there is a backup up to {end}"),
        Err(error) => Ok(error.to_string()),
    }
}

/// The dump that the manifest names, and those that are there.
fn dumps(directory: &Path) -> anyhow::Result<(String, Vec<String>)> {
    let manifest: Value = serde_json::from_slice(&fs::read(directory.join("manifest.json"))?)?;
    let named = manifest["tables"].as_str().unwrap_or_default().to_owned();
    let files = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    let names = files.iter().filter_map(|file| file.file_name().into_string().ok());
    Ok((named, names.filter(|name| name.starts_with("tables-")).collect()))
}

#[test]
fn a_backup_is_private_and_written_by_one_at_a_time() {
    run(async {
        let t = Tenant::without_workers().await?;
        let parent = tempfile::tempdir()?;
        let directory = parent.path().join("backup");
        grow(&t, 3).await?;
        assert_eq!(saved(&t, &directory).await?, 3);
        for file in fs::read_dir(&directory)? {
            let file = file?;
            assert_eq!(file.metadata()?.permissions().mode() & 0o077, 0, "{file:?}");
        }
        assert_eq!(fs::metadata(&directory)?.permissions().mode() & 0o077, 0);

        let other = File::open(directory.join("lock"))?;
        other.lock()?;
        let error = refused(&t, &directory).await?;
        assert!(error.contains("is under way"), "{error}");
        drop(other);

        // One attempt failed, and somebody has removed what will be replaced anyway.
        fs::write(directory.join(format!("tables-{}.dump", clock::new_id())), "half")?;
        fs::remove_file(directory.join(dumps(&directory)?.0))?;
        grow(&t, 2).await?;
        assert_eq!(saved(&t, &directory).await?, 5);
        let (named, there) = dumps(&directory)?;
        assert_eq!(there, [named]);
        Ok(())
    });
}

#[test]
fn a_log_that_lost_its_end_is_not_added_to_its_backup() {
    run(async {
        let t = Tenant::without_workers().await?;
        let directory = tempfile::tempdir()?;
        grow(&t, 3).await?;
        saved(&t, directory.path()).await?;

        let (jetstream, name) = (t.jetstream().await?, t.config.names()?.event_stream());
        let config = jetstream.get_stream(&name).await?.cached_info().config.clone();
        jetstream.delete_stream(&name).await?;
        jetstream.create_stream(config).await?;
        // Behind what was saved, at its end, and beyond it.
        for count in [2, 1, 1] {
            grow(&t, count).await?;
            let error = refused(&t, directory.path()).await?;
            assert!(error.contains("lost the end that was saved"), "{error}");
        }
        Ok(())
    });
}

#[test]
fn a_backup_is_not_restored_over_tables_that_live() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        t.add(Roles::PROJECTOR).await?;
        let directory = tempfile::tempdir()?;
        grow(&t, 3).await?;
        saved(&t, directory.path()).await?;
        t.stop_first().await?;
        t.jetstream().await?.delete_stream(t.config.names()?.event_stream()).await?;
        // As a projector does that reads from another NATS.
        let database = t.config.database().await?;
        let writer = Alone::take(&database).await?.context("nobody writes")?;
        let config = t.config.clone();
        let restore = async |keep_tables| {
            let options = ProvisionOptions::default();
            let restored =
                backup::restore(&config, directory.path(), &options, keep_tables, |_| {});
            restored.await.map(|(end, _)| end).map_err(|error| error.to_string())
        };
        let error = restore(true).await.expect_err("a projector is at work");
        assert!(error.contains("stop all workers"), "{error}");
        drop(writer);
        eventually("nobody writes any more", || async {
            let error = restore(false).await.expect_err("nobody has said that they are to stay");
            assert!(
                error.contains("--keep-tables") || error.contains("stop all workers"),
                "{error}"
            );
            Ok(error.contains("--keep-tables"))
        })
        .await?;
        assert_eq!(restore(true).await, Ok(3));
        Ok(())
    });
}
