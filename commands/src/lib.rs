//! What clients may ask for, and what becomes of it.
//!
//! Every command is one file: its fields, its decision and its tests. A decision is a pure,
//! synchronous function of the command, its [`Context`] and a [`World`] of loaded states; it reads
//! no clock, no network and no database. The walk of a command is: [`Command::decode`] (shape),
//! [`Command::needs`] (which states to load, asked again until nothing is missing),
//! [`Command::decide`] (events, or a [`Rejection`]).

mod access;
pub mod audit;
pub mod auth;
mod context;
mod decider;
mod doc;
pub mod fields;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod matrix;
pub mod messages;
mod outcome;
#[cfg(test)]
mod properties;
mod registry;
pub mod state;
#[cfg(any(test, feature = "story"))]
pub mod story;
mod tree;
pub mod users;
mod wire;
mod world;

pub use context::{Actor, Context, Settings};
pub use decider::{Decide, Decision, Needs, NewEvent};
pub use doc::{Doc, Field};
pub use outcome::{CommandError, ErrorCode, Outcome, Rejection, Status};
pub use registry::{COMMANDS, Command, CommandType, Secrecy};
pub use state::State;
pub use wire::{ContentType, MAX_BODY};
pub use world::{ClaimId, Key, World};
