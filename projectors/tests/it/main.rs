//! Projections against a real PostgreSQL: given events, then rows.

mod access;
mod accounts;
mod api_keys;
mod audit;
mod batches;
mod codes;
mod database;
mod deciders;
mod functions;
mod ledger;
mod messages;
mod oauth;
mod operators;
mod parked;
mod parking;
mod pgbouncer;
mod rebuild;
mod retention;
mod roles;
mod runner;
mod search;
mod sessions;
mod store;
mod support;
mod unread;
mod verify;
