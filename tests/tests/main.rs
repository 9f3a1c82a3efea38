//! The whole system against real servers: one binary, so that the servers start once.

#![allow(clippy::too_many_lines, reason = "a story is as long as it is")]

mod access;
mod backup;
mod callout;
mod cli;
mod cli_user;
mod clients;
mod clocks;
mod codes;
mod commands;
mod connects;
mod contract;
mod conversations;
mod corpus;
mod crash;
mod guessing;
mod logins;
mod model;
mod oauth;
mod operators;
mod parking;
mod passwords;
mod projections;
mod proven;
mod retention;
mod second_factors;
mod secrets;
mod setup;
mod storm;
mod tls;
mod tour;
mod versions;
mod workers;
