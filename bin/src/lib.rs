//! Echolog's processes: the command handler, the projector, the development server and the
//! command line over all of them.

pub mod backup;
pub mod bench;
pub mod callout;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod connect;
pub mod dev;
pub mod handler;
pub mod http;
pub mod metrics;
pub mod oauth;
pub mod outbox;
mod owners;
pub mod projector;
mod requests;
pub mod retry;
pub mod roles;
mod roster;
mod sealing;
pub mod supervise;
mod timers;
mod tokens;
mod turns;
