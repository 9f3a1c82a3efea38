//! The broker dies and loses the end of the queue, which it does not sync.

use std::path::Path;

use echolog::clock;
use echolog_commands::Status;
use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::{eventually, run};

use super::guards::sent_by;
use super::load::{accept, ask, group, register, say, send_once};
use super::proof;

/// The guard: the broker's time in the position. Without it, commands that get the sequences of
/// lost ones are taken for handled.
#[test]
fn commands_under_reused_sequences_are_handled() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let [ada, bob, chat] = [clock::new_id(), clock::new_id(), clock::new_id()];
        let mut done = Vec::new();
        for request in [register(ada, "ada"), register(bob, "bob"), group(chat, ada, &[])] {
            done.push(accept(&client, request).await?);
        }
        let queue = cluster.stream_directory("CMD_main");
        let kept = tempfile::tempdir()?;
        cluster.kill_nats().await?;
        copy(&queue, kept.path())?;
        cluster.start_nats().await?;

        // These are lost from the queue, but not from the log.
        let early = say(chat, bob, "Am I in?");
        assert_eq!(ask(&client, &early).await?.status, Status::Rejected);
        for number in 0..20 {
            done.push(accept(&client, say(chat, ada, &number.to_string())).await?);
        }
        let lost = cluster.last_command().await?;
        cluster.kill_nats().await?;
        cluster.workers[0].kill().await?;
        std::fs::remove_dir_all(&queue)?;
        copy(kept.path(), &queue)?;
        cluster.start_nats().await?;

        // And these take their sequences before anyone looks. Nobody sends them a second time.
        for number in 0..25 {
            send_once(&cluster, &say(chat, ada, &format!("anew {number}"))).await?;
        }
        eventually("the sequences are in use again", || async {
            Ok(cluster.last_command().await? > lost)
        })
        .await?;
        cluster.start_worker(0).await?;
        eventually("they are in the log", || async {
            Ok(sent_by(&cluster.events().await?, ada) == 45)
        })
        .await?;
        assert_eq!(ask(&client, &early).await?.status, Status::Rejected);
        proof::holds(&mut cluster, &client, &done).await
    });
}

/// Copies a directory with everything in it.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
