//! What the tests have in common.

pub(crate) mod accounts;
pub(crate) mod codes;
mod log;
mod server;
pub(crate) mod sessions;
mod source;
mod tables;

pub(crate) use log::{Log, id};
pub(crate) use server::{as_user, connect, database, free_port, port, postgres_user, url, url_of};
pub(crate) use source::Source;
pub(crate) use tables::Tables;
