//! Echolog on NATS: the event log, the command queue, outcomes and requests.
//!
//! This is the only crate that names `async-nats`. It knows subjects, headers and streams; it
//! knows nothing of what commands and events mean.

mod bus;
mod callout;
#[doc(hidden)]
pub mod codec;
mod durability;
mod feed;
mod group;
mod log;
mod provision;
mod request;
mod stored;
mod subjects;
mod system;

pub use async_nats::{HeaderMap, Subject, Subscriber};
pub use bus::{Bus, BusError, ConnectOptions, MINIMUM_SERVER};
pub use callout::{
    CALLOUT, CalloutError, CalloutKeys, ConnectRequest, Grant, Offered, USERS, new_seeds,
};
#[doc(hidden)]
pub use feed::Place;
pub use feed::{Delivery, Feed, FeedEvent, Order, Start};
pub use log::{Append, AppendError, EventLog, LogReader, LogState, NewRecord, Page};
pub use provision::{Provision, ProvisionOptions};
pub use request::{Garbled, Incoming, IncomingHeaders, Requester};
pub use stored::Stored;
pub use subjects::{CommandSubject, Names, header};
pub use system::ConnectionId;
