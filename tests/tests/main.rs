//! The whole system against real servers: one binary, so that the servers start once.

mod clients;
mod commands;
mod contract;
mod conversations;
mod projections;
mod workers;
