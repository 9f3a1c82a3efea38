//! The streams and consumers of a tenant.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, PriorityPolicy};
use async_nats::jetstream::stream::{
    self, ConsumerErrorKind, DiscardPolicy, RetentionPolicy, StorageType, SubjectTransform,
};
use echolog_events::{PARTITIONS, Partition, Uuid};

use crate::{Bus, BusError, EventLog, Names};

/// Where the log keeps its identity, among the metadata of its stream.
pub(crate) const LOG_ID: &str = "echolog-log";

/// Which log is being put back here from a backup, and what it will be called.
const RESTORED_FROM: &str = "echolog-restored-from";
const RESTORED_AS: &str = "echolog-restored-as";

/// The priority group of the handlers.
pub(crate) const OWNERS: &str = "owners";

/// How long a silent owner keeps a partition to itself.
const PIN_TIMEOUT: Duration = Duration::from_secs(4);

/// Where the partition's token goes in the stored subject of a command.
const STORED_COMMANDS: &str = "cmdp";

/// What an operator decides about the streams.
#[derive(Clone, Debug)]
pub struct ProvisionOptions {
    /// Copies of the log and of the commands: 1, or 3 in a cluster. `None` leaves as many as there
    /// are, and makes one.
    pub replicas: Option<usize>,
    /// How long an unhandled command is kept.
    pub command_max_age: Duration,
}

impl Default for ProvisionOptions {
    fn default() -> Self {
        Self { replicas: None, command_max_age: Duration::from_secs(15 * 60) }
    }
}

/// Creates what a tenant needs; what exists is brought up to date.
#[derive(Debug)]
pub struct Provision;

impl Provision {
    /// Creates the log, the stream of commands and their sixteen consumers. A log that is new gets
    /// the identity `new_log`. Returns the identity of the log.
    ///
    /// # Errors
    /// [`BusError::Unfinished`] if a backup is being put back into the log, unless `new_log` is what
    /// the log will be called then; what the broker says.
    pub async fn tenant(
        bus: &Bus,
        names: &Names,
        options: &ProvisionOptions,
        new_log: Uuid,
    ) -> Result<String, BusError> {
        let jetstream = &bus.jetstream;
        let (log_id, replicas) = match EventLog::new(bus.clone(), names.clone()).state().await {
            Ok(state) => (state.id, Some(state.replicas)),
            Err(BusError::NoTenant(_)) => (String::new(), None),
            Err(error) => return Err(error),
        };
        let log_id = if log_id.is_empty() { new_log.to_string() } else { log_id };
        if replicas.is_some() {
            let stream = jetstream.get_stream(names.event_stream()).await;
            let stream = stream.map_err(BusError::request)?;
            let restored = stream.cached_info().config.metadata.get(RESTORED_AS);
            if restored.is_some_and(|restored| *restored != log_id) {
                return Err(BusError::Unfinished(names.tenant().to_owned()));
            }
        }
        let options = &ProvisionOptions { replicas: options.replicas.or(replicas), ..*options };
        let mut events = events(names, options);
        events.metadata.insert(LOG_ID.to_owned(), log_id.clone());
        jetstream.create_or_update_stream(events).await.map_err(BusError::request)?;
        jetstream
            .create_or_update_stream(commands(names, options))
            .await
            .map_err(BusError::request)?;
        for partition in Partition::all() {
            Self::owner(bus, names, partition).await?;
        }
        Ok(log_id)
    }

    /// Creates the consumer of a partition's commands, where there is none.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn owner(bus: &Bus, names: &Names, partition: Partition) -> Result<(), BusError> {
        let stream =
            bus.jetstream.get_stream(names.command_stream()).await.map_err(BusError::request)?;
        let owner = owner(partition, stream.cached_info().config.num_replicas);
        match stream.create_consumer(owner.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if cannot_be_updated(&error.kind()) => {}
            Err(error) => return Err(BusError::request(error)),
        }
        // It is of an earlier version, and nothing is lost with it.
        stream.delete_consumer(&Names::consumer(partition)).await.map_err(BusError::request)?;
        stream.create_consumer(owner).await.map_err(BusError::request)?;
        Ok(())
    }

    /// Creates a log that a backup is put back into; nobody works with it before
    /// [`Self::tenant`] has given it its identity. Returns the identity it will have: `new_log`, or
    /// that of an earlier attempt.
    ///
    /// # Errors
    /// [`BusError::Occupied`] if there is a log already; what the broker says.
    pub async fn restored(
        bus: &Bus,
        names: &Names,
        options: &ProvisionOptions,
        from: &str,
        new_log: Uuid,
    ) -> Result<String, BusError> {
        let mut events = events(names, options);
        events.metadata.insert(RESTORED_FROM.to_owned(), from.to_owned());
        events.metadata.insert(RESTORED_AS.to_owned(), new_log.to_string());
        let stream = bus.jetstream.get_or_create_stream(events).await.map_err(BusError::request)?;
        let metadata = &stream.cached_info().config.metadata;
        match (metadata.get(RESTORED_FROM), metadata.get(RESTORED_AS)) {
            (Some(known), Some(log_id)) if known == from => Ok(log_id.clone()),
            _ => Err(BusError::Occupied(names.tenant().to_owned())),
        }
    }

    /// Makes a log that a backup is put back into empty again.
    ///
    /// # Errors
    /// [`BusError::Occupied`] if it is no such log; what the broker says.
    pub async fn restored_anew(bus: &Bus, names: &Names) -> Result<(), BusError> {
        let (jetstream, name) = (&bus.jetstream, names.event_stream());
        let stream = jetstream.get_stream(&name).await.map_err(BusError::request)?;
        let config = stream.cached_info().config.clone();
        if !config.metadata.contains_key(RESTORED_AS) {
            return Err(BusError::Occupied(names.tenant().to_owned()));
        }
        jetstream.delete_stream(&name).await.map_err(BusError::request)?;
        jetstream.create_stream(config).await.map_err(BusError::request)?;
        Ok(())
    }
}

fn events(names: &Names, options: &ProvisionOptions) -> stream::Config {
    stream::Config {
        name: names.event_stream(),
        description: Some("The event log: the only truth.".to_owned()),
        subjects: vec![format!("evt.{}.>", names.tenant())],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: options.replicas.unwrap_or(1),
        allow_direct: true,
        allow_atomic_publish: true,
        deny_delete: true,
        deny_purge: true,
        // Whoever gives the log a bound wants to hear that it is reached, not to lose its beginning.
        discard: DiscardPolicy::New,
        // Events carry no Nats-Msg-Id: the fence and the command ids keep them single.
        duplicate_window: Duration::from_millis(100),
        ..stream::Config::default()
    }
}

fn commands(names: &Names, options: &ProvisionOptions) -> stream::Config {
    let (tenant, replicas) = (names.tenant(), options.replicas.unwrap_or(1));
    stream::Config {
        name: names.command_stream(),
        description: Some("Commands on their way to their partition's owner.".to_owned()),
        subjects: vec![format!("cmd.{tenant}.*.*.*.*")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: replicas,
        max_age: options.command_max_age,
        // A command counts once its outcome is there, so the queue need not wait for the disk. (What
        // several servers keep is in no hurry anyway, and the broker does not want to be told.)
        persist_mode: (replicas == 1).then_some(stream::PersistenceMode::Async),
        // A client may send a command again under its id at any time and gets its outcome again.
        duplicate_window: Duration::from_millis(100),
        allow_direct: true,
        subject_transform: Some(SubjectTransform {
            source: format!("cmd.{tenant}.*.*.*.*"),
            destination: format!(
                "{STORED_COMMANDS}.{{{{partition({PARTITIONS},4)}}}}.{tenant}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.{{{{wildcard(3)}}}}.{{{{wildcard(4)}}}}"
            ),
        }),
        ..stream::Config::default()
    }
}

/// Whether the broker says that what exists differs in what it cannot change.
fn cannot_be_updated(error: &ConsumerErrorKind) -> bool {
    matches!(error, ConsumerErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::CONSUMER_CREATE)
}

/// The consumer of a partition. It keeps nothing and acknowledges nothing: how far the commands
/// were handled stands in the log beside the events themselves, where no stalled process can move
/// it.
fn owner(partition: Partition, replicas: usize) -> consumer::pull::Config {
    consumer::pull::Config {
        durable_name: Some(Names::consumer(partition)),
        filter_subject: format!("{STORED_COMMANDS}.{}.>", partition.number()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        // In a file of one server it would be written, and synced, a dozen times a second; it is
        // made anew after a restart. Several servers choose their leader by what they have stored:
        // one that comes back with nothing makes none with those that are left when another goes.
        memory_storage: replicas == 1,
        priority_policy: PriorityPolicy::PinnedClient,
        priority_groups: vec![OWNERS.to_owned()],
        priority_timeout: PIN_TIMEOUT,
        ..consumer::pull::Config::default()
    }
}
