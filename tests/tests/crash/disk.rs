//! A full disk, or no more than was allowed: what goes on, what is refused, and that everything is
//! as before once there is room again.

use std::time::Duration;

use echolog::client::Client;
use echolog::clock;
use echolog::config::{Config, Durability};
use echolog::dev::Dev;
use echolog::handler::{Limits, RateLimit};
use echolog::projector::rebuild;
use echolog_commands::{ClaimId, ErrorCode, Status};
use echolog_events::{
    AuthEvent, ClaimKind, Event, EventSubject, IdentifierClaimed, Meta, Partition,
    PositionRecorded, SystemEvent, partition_of,
};
use echolog_nats::{Append, AppendError, EventLog, LogReader, NewRecord};
use echolog_tests::cluster::{Cluster, Disk, Role, Small};
use echolog_tests::{eventually, run, within};
use tokio::time::{Instant, timeout};

use super::backup::fails;
use super::chance::seed;
use super::load::{Load, accept, ask_once, group, id_in, register, say, to_user};
use super::proof;

/// A single nats-server that could not write takes nothing more until it is started again; whoever
/// does that has to make room first.
#[test]
fn a_full_disk_of_nats_loses_and_doubles_nothing() {
    run(async {
        let mut cluster = Cluster::on(Small::Nats(64), &[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed()).await?;
        cluster.disk()?.fill(256)?;
        // What one request takes of the disk is little.
        within(Duration::from_secs(60), "the log is full", || async {
            // The queue may have been the first to find no room, and then nothing comes from there.
            let name = format!("u{}", clock::new_id().simple());
            let _ = timeout(Duration::from_millis(200), ask_once(&cluster, &name)).await;
            Ok(cluster.nats_log()?.contains("EVT_main' critical write error"))
        })
        .await?;

        let (began, cpu) = (Instant::now(), cluster.workers[0].cpu()?);
        let outcome = ask_once(&cluster, "cid").await?;
        assert_eq!(outcome.status, Status::Failed);
        assert_eq!(outcome.error.map(|error| error.code), Some(ErrorCode::Unavailable));
        let spent = cluster.workers[0].cpu()?.saturating_sub(cpu);
        assert!(spent < began.elapsed() / 2, "{spent:?} of {:?}", began.elapsed());

        cluster.disk()?.make_room()?;
        cluster.kill_nats().await?;
        cluster.restore().await?;
        let done = load.stop().await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}

/// Where nats-server is our own child, it is we who start it again.
#[test]
fn echolog_dev_goes_on_once_there_is_room() {
    run(async {
        let data = tempfile::tempdir()?;
        // PostgreSQL runs under another user where we are root.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(data.path(), open)?;
        let disk = Disk::mount(&data.path().join("nats/store"), 64)?;
        let unlimited =
            Limits { rate: RateLimit { per_second: 0.0, burst: 0.0 }, ..Limits::default() };
        let dev = Dev::start(nowhere()?, data.path(), unlimited).await?;
        let client = Client::connect(dev.config.bus("client").await?, dev.config.names()?).await?;
        let log = data.path().join("nats/nats.log");
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let ordeal = async {
            let load = Load::start(&client, 3, seed()).await?;
            disk.fill(256)?;
            eventually("nats-server finds no room", || async {
                Ok(std::fs::read_to_string(&log)?.contains("critical write error"))
            })
            .await?;
            disk.make_room()?;
            accept(&client, register(clock::new_id(), "late")).await?;
            load.stop().await?;
            stop.send_replace(true);
            anyhow::Ok(())
        };
        tokio::try_join!(dev.until(stopped), ordeal)?;
        Ok(())
    });
}

/// The beginning of a group that the disk cut in half is completed from the server's own copy.
#[test]
fn half_a_group_is_not_read_until_it_is_whole() {
    run(async {
        let mut cluster = Cluster::on(Small::Nats(64), &[]).await?;
        let mut reader = half_a_group(&mut cluster, Cut::Disk, batch(600)).await?;
        cluster.disk()?.make_room()?;
        cluster.kill_nats().await?;
        cluster.start_nats().await?;
        let events = read(&mut reader, 600).await?;
        assert_eq!((events.first(), events.last()), (Some(&601), Some(&1200)));
        let log = cluster.log()?;
        for seq in (601..=1200).step_by(37).chain([602, 1199, 1200]) {
            assert!(!log.is_torn(seq).await?, "{seq}");
        }
        Ok(())
    });
}

/// Started on the disk that is still full, the server gives the rest of the group up.
#[test]
fn half_a_group_that_stays_half_is_never_read() {
    run(async {
        let mut cluster = Cluster::on(Small::Nats(64), &[]).await?;
        let mut reader = half_a_group(&mut cluster, Cut::Disk, batch(600)).await?;
        cluster.kill_nats().await?;
        cluster.start_nats().await?;
        cluster.disk()?.make_room()?;
        cluster.kill_nats().await?;
        cluster.start_nats().await?;
        passed_over(&cluster.log()?, &mut reader).await
    });
}

/// So it does at the limit of its own, where nothing has to be started again.
#[test]
fn half_a_group_at_the_limit_of_jetstream_is_never_read() {
    run(async {
        let mut cluster = Cluster::on(Small::Nats(64), &[]).await?;
        let mut reader = half_a_group(&mut cluster, Cut::Limit, batch(600)).await?;
        let log = cluster.log()?;
        let refused = log.append(&batch(2)).await;
        assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
        // Tables that know more than can be read need another backup than this one would be.
        cluster.database.execute("UPDATE projection.checkpoints SET position = 601").await?;
        let directory = tempfile::tempdir()?;
        let to = directory.path().to_str().expect("a path in UTF-8");
        fails(&cluster, &["backup", to], "up to 600 only").await?;
        cluster.limit_nats(None).await?;
        passed_over(&log, &mut reader).await
    });
}

/// What a handler takes from the log directly has to be looked at as well.
#[test]
fn a_name_that_half_a_group_claims_is_free() {
    run(async {
        let mut cluster = Cluster::on(Small::Nats(64), &[]).await?;
        let [ada, other] = [clock::new_id(), clock::new_id()];
        let kind = ClaimKind::Username;
        let claim = ClaimId::new(&cluster.config.settings()?.claim_key, kind, "ada");
        let claimed = IdentifierClaimed { kind, owner_id: other };
        let claimed = Event::Auth(AuthEvent::IdentifierClaimed(claimed));
        let mut group = batch(599);
        group.records.insert(0, record(EventSubject::new("main", claim.stream_key()), claimed));
        half_a_group(&mut cluster, Cut::Limit, group).await?;
        cluster.limit_nats(None).await?;

        for role in [Role::Handler, Role::Projector] {
            cluster.add(role).await?;
        }
        let client = cluster.client().await?;
        let done = accept(&client, register(ada, "ada")).await?;
        assert!(done.outcome.seq > Some(601), "{done:?}");
        eventually("the tables show it", || async {
            Ok(cluster.value("SELECT count(*) FROM auth.users").await? == "1")
        })
        .await?;
        let verified = rebuild::verify(&cluster.log()?, &cluster.database, None, |_, _| {}).await?;
        assert!(verified.is_clean(), "{verified}");
        Ok(())
    });
}

/// Each way to append is refused as such: nobody has to wonder whether it was done after all.
#[test]
fn at_the_bound_of_the_log_commands_fail_until_it_is_raised() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed()).await?;
        // Handled again without an event: how far the handler came is still to be noted.
        let ada = register(clock::new_id(), "ada");
        let partition = partition_of(&ada.target);
        let mut done = vec![accept(&client, ada.clone()).await?];
        client.send(&ada).await?;
        set_bound(&cluster, Bound::Here).await?;
        let outcome = ask_once(&cluster, "cid").await?;
        assert_eq!(outcome.status, Status::Failed);
        assert_eq!(outcome.error.map(|error| error.code), Some(ErrorCode::Unavailable));
        let begun = Instant::now();
        for number in 0..20 {
            let id = clock::new_id();
            let outcome = client.send(&register(id, &format!("late_{number}"))).await?;
            assert_eq!(outcome.status, Status::Failed);
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        // Nor does a handler lose a partition because it cannot note how far it came.
        while begun.elapsed() < Duration::from_secs(8) {
            let later = register(id_in(|it| it == partition), "later");
            let outcome = client.send(&later).await?;
            assert_eq!(outcome.status, Status::Failed);
        }
        set_bound(&cluster, Bound::None).await?;
        done.extend(load.stop().await?);
        proof::holds(&mut cluster, &client, &done).await
    });
}

/// First no row finds room, then no WAL, and PostgreSQL ends.
#[test]
fn a_full_disk_of_postgres_holds_the_tables_up_and_nothing_else() {
    run(async {
        let roles = [Role::Handler, Role::Projector];
        let mut cluster = Cluster::on(Small::Postgres(192), &roles).await?;
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed()).await?;
        let [ada, bob, chat] = [clock::new_id(), clock::new_id(), clock::new_id()];
        let mut done = Vec::new();
        for request in [register(ada, "ada"), register(bob, "bob"), group(chat, ada, &[bob])] {
            done.push(accept(&client, request).await?);
        }
        cluster.disk()?.fill(0)?;
        eventually("the tables stand still", || async {
            Ok(cluster.workers[1].metric("echolog_projection_lag_seconds").await? > 2.0)
        })
        .await?;
        done.push(accept(&client, say(chat, ada, "Does anybody hear me?")).await?);
        assert_eq!(cluster.value("SELECT count(*) FROM projection.parked").await?, "0");

        // The next piece of WAL finds no room either; whether that is told depends on who writes first.
        let _ = cluster.rows("SELECT pg_switch_wal()").await;
        eventually("PostgreSQL ends", || {
            let ended = cluster.postgres_has_ended();
            async move { Ok(ended) }
        })
        .await?;
        // Somebody of whom only PostgreSQL could tell anything.
        let outcome = client.send(&to_user(clock::new_id(), "users.block_user", bob)).await?;
        assert_eq!(outcome.error.map(|error| error.code), Some(ErrorCode::Unavailable));
        let (began, cpu) = (Instant::now(), cluster.workers[1].cpu()?);
        eventually("the lag goes on growing", || async {
            Ok(cluster.workers[1].metric("echolog_projection_lag_seconds").await? > 6.0)
        })
        .await?;
        let spent = cluster.workers[1].cpu()?.saturating_sub(cpu);
        assert!(spent < began.elapsed() / 2, "{spent:?} of {:?}", began.elapsed());

        cluster.disk()?.make_room()?;
        cluster.kill_postgres().await?;
        cluster.restore().await?;
        done.extend(load.stop().await?);
        proof::holds(&mut cluster, &client, &done).await
    });
}

/// The settings of somebody who lets `echolog dev` choose.
fn nowhere() -> anyhow::Result<Config> {
    Ok(Config {
        tenant: "main".to_owned(),
        nats_url: String::new(),
        nats_creds: None,
        nats_ca: None,
        database_url: None,
        database_max_connections: 4,
        database_connection_timeout: 5,
        metrics_addr: "127.0.0.1:0".parse()?,
        log: None,
        master_key: None,
        outbox: echolog::outbox::Options::default(),
        oauth: echolog::oauth::Options::default(),
        durability: Durability::Relaxed,
    })
}

/// What cuts a group in half.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    Disk,
    Limit,
}

/// Appends 600 events, and the beginning of a group of as many. The reader has read the former.
async fn half_a_group(cluster: &mut Cluster, cut: Cut, group: Append) -> anyhow::Result<LogReader> {
    let log = cluster.log()?;
    log.append(&batch(600)).await?;
    let stored = std::fs::metadata(cluster.stream_directory("EVT_main").join("msgs/1.blk"))?.len();
    match cut {
        // The server keeps a copy of the group until all of it is in the log.
        Cut::Disk => cluster.disk()?.fill(stored * 3 / 2 / 1024)?,
        Cut::Limit => {
            cluster.kill_nats().await?;
            cluster.limit_nats(Some(stored * 3 / 2)).await?;
            cluster.start_nats().await?;
        }
    }
    let mut reader = log.read_from(1).await?;
    read(&mut reader, 600).await?;
    let unknown = log.append(&group).await;
    assert!(matches!(unknown, Err(AppendError::Unknown(_))), "{unknown:?}");
    let head = log.head().await?;
    assert!((601..1200).contains(&head), "{head}: not in half");
    for seq in (601..=head).step_by(37).chain([602.min(head), head]) {
        assert!(log.is_torn(seq).await?, "{seq}");
    }
    // Nothing comes; the only way to see that is to wait a little.
    assert!(timeout(Duration::from_millis(300), reader.next(1000)).await.is_err());
    Ok(reader)
}

/// What comes behind half a group is read, and the half is not.
async fn passed_over(log: &EventLog, reader: &mut LogReader) -> anyhow::Result<()> {
    let next = log.append(&batch(2)).await?;
    assert!(next[0] > 601, "{next:?}");
    assert_eq!(read(reader, 2).await?, next);
    assert!(log.is_torn(601).await?);
    assert!(!log.is_torn(next[0]).await?);
    Ok(())
}

/// The sequences of the next events.
async fn read(reader: &mut LogReader, count: usize) -> anyhow::Result<Vec<u64>> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let page = timeout(Duration::from_secs(10), reader.next(1000)).await??;
        seqs.extend(page.events.iter().map(|event| event.seq));
    }
    anyhow::ensure!(seqs.len() == count, "{seqs:?}");
    Ok(seqs)
}

/// A group of events.
pub(super) fn batch(count: usize) -> Append {
    let partition = Partition::all().next().expect("sixteen");
    let subject = EventSubject::owner("main", partition);
    let event = Event::System(SystemEvent::PositionRecorded(PositionRecorded {}));
    let record = || record(subject.clone(), event.clone());
    let records = std::iter::repeat_with(record).take(count).collect();
    Append { records, ..Append::default() }
}

fn record(subject: EventSubject, event: Event) -> NewRecord {
    let meta = Meta {
        event_id: clock::new_id(),
        time: clock::now(),
        actor: None,
        command_id: None,
        session_id: None,
        correlation_id: None,
        traceparent: None,
        digest: None,
        position: None,
    };
    NewRecord { partition: subject.partition, key: subject.key, meta, event, expected: None }
}

/// How much the log may hold.
enum Bound {
    /// What it holds already.
    Here,
    None,
}

async fn set_bound(cluster: &Cluster, bound: Bound) -> anyhow::Result<()> {
    let jetstream = cluster.jetstream().await?;
    let stream = jetstream.get_stream("EVT_main").await?;
    let info = stream.cached_info();
    let max_bytes = match bound {
        Bound::Here => i64::try_from(info.state.bytes)?,
        Bound::None => -1,
    };
    let config = async_nats::jetstream::stream::Config { max_bytes, ..info.config.clone() };
    jetstream.update_stream(config).await?;
    Ok(())
}
