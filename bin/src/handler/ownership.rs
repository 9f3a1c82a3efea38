//! Which partitions this process decides.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use echolog_events::{CommandPosition, PARTITIONS, Partition};
use echolog_nats::Order;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long an owner may rely on being the owner without a word from the broker. A process that
/// was stopped for longer asks before it refuses anything.
const CONFIDENCE: Duration = Duration::from_secs(1);

/// A partition that this process decides.
#[derive(Debug)]
pub(super) struct Owned {
    /// The run of commands that belongs to this ownership.
    pub(super) run: u64,
    /// The fence: sequence of the last event on the owner subject.
    pub(super) epoch: u64,
    /// The last command handled.
    pub(super) handled: CommandPosition,
    /// The last command handled according to the log.
    pub(super) logged: CommandPosition,
    /// When the oldest command was handled that the log does not know of.
    pub(super) unlogged_since: Option<Instant>,
    /// How many commands are to be handled one by one, in case one of them brings us down.
    pub(super) careful: u32,
    /// When the broker last confirmed the epoch.
    pub(super) confirmed: Instant,
    /// Takes the requests for this partition.
    pub(super) requests: JoinHandle<()>,
}

impl Owned {
    /// Whether the broker should be asked who the owner is.
    pub(super) fn is_doubtful(&self) -> bool {
        self.confirmed.elapsed() > CONFIDENCE
    }

    /// Notes that a command was handled.
    pub(super) fn handle(&mut self, position: CommandPosition) {
        self.handled = position;
        self.unlogged_since.get_or_insert_with(Instant::now);
    }

    /// Notes that the log cannot be told now what was handled.
    pub(super) fn postpone(&mut self) {
        self.unlogged_since = self.unlogged_since.map(|_| Instant::now());
    }

    /// Notes an event of ours on the owner stream, the new epoch, and how far it says that we are.
    pub(super) fn record(&mut self, epoch: u64, position: Option<CommandPosition>) {
        self.epoch = epoch;
        self.confirmed = Instant::now();
        if let Some(position) = position {
            self.log(position);
        }
    }

    /// Notes that the log knows of everything up to a position.
    pub(super) fn log(&mut self, position: CommandPosition) {
        self.logged = position;
        if self.handled == position {
            self.unlogged_since = None;
        }
        self.confirmed = Instant::now();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.requests.abort();
    }
}

/// All partitions, as this process stands to them.
#[derive(Debug)]
pub(super) struct Ownership {
    owned: HashMap<Partition, Owned>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    next_run: u64,
}

impl Ownership {
    /// Owns nothing yet. `orders` are the feeds, in the order of the partitions.
    pub(super) fn new(orders: Vec<mpsc::UnboundedSender<Order>>) -> Self {
        debug_assert_eq!(orders.len(), usize::from(PARTITIONS));
        Self { owned: HashMap::new(), orders, next_run: 1 }
    }

    pub(super) fn get(&self, partition: Partition) -> Option<&Owned> {
        self.owned.get(&partition)
    }

    pub(super) fn get_mut(&mut self, partition: Partition) -> Option<&mut Owned> {
        self.owned.get_mut(&partition)
    }

    pub(super) fn owns(&self, partition: Partition) -> bool {
        self.owned.contains_key(&partition)
    }

    /// The partitions owned.
    pub(super) fn partitions(&self) -> Vec<Partition> {
        self.owned.keys().copied().collect()
    }

    /// A number for the next run.
    pub(super) fn next_run(&mut self) -> u64 {
        self.next_run += 1;
        self.next_run
    }

    pub(super) fn insert(&mut self, partition: Partition, owned: Owned) {
        self.owned.insert(partition, owned);
    }

    pub(super) fn remove(&mut self, partition: Partition) {
        self.owned.remove(&partition);
    }

    /// Tells a partition's feed what to do.
    pub(super) fn order(&self, partition: Partition, order: Order) {
        // A feed that is gone follows a closed connection; the engine stops by itself then.
        let _ = self.orders[partition.index()].send(order);
    }

    /// A partition to give away, if this process has more than its share.
    pub(super) fn surplus(&self, handlers: usize) -> Option<Partition> {
        let share = usize::from(PARTITIONS).div_ceil(handlers);
        if self.owned.len() <= share {
            return None;
        }
        self.owned.keys().max().copied()
    }
}
