//! What the tests have in common.

mod log;
mod server;
pub(crate) mod sessions;
mod source;
mod tables;

pub(crate) use log::{Log, id};
pub(crate) use server::{database, url};
pub(crate) use source::Source;
pub(crate) use tables::Tables;
