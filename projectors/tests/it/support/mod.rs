//! What the tests have in common.

mod log;
mod server;
mod tables;

pub(crate) use log::{Log, id};
pub(crate) use server::{database, url};
pub(crate) use tables::Tables;
