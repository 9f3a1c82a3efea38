//! The read side: projections fold the log into PostgreSQL tables.
//!
//! A [`Projection`] is a named set of tables with its own checkpoint. A [`Runner`] takes the events
//! of the log in order, batch by batch, and commits the rows and the checkpoint in one transaction.
//! Every projection has the same shape: one central route says which event concerns which table, a
//! pure fold takes a batch together in memory, and each table is then written with one statement.
//! How the log is cut into batches never shows in the tables.
//!
//! This crate is the only one that talks to PostgreSQL. The command handler reads its states
//! through [`store`].

mod audit;
mod auth;
mod checkpoint;
pub mod db;
mod deciders;
pub mod due;
mod error;
mod fold;
mod ids;
mod lease;
mod ledger;
mod look;
mod map;
mod messages;
pub mod origin;
pub mod parked;
mod parking;
pub mod people;
mod projection;
pub mod rebuild;
mod rows;
mod runner;
mod sql;
pub mod store;
mod target;
mod times;
mod users;
pub mod verify;

pub use checkpoint::Positions;
pub use error::{ProjectionError, Recovery};
pub use lease::Alone;
pub use look::TextTable;
pub use projection::Projection;
pub use runner::{Flush, Runner};
pub use target::Target;
