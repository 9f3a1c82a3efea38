//! Projections against a real PostgreSQL: given events, then rows.

mod accounts;
mod audit;
mod batches;
mod database;
mod deciders;
mod ledger;
mod messages;
mod parking;
mod runner;
mod store;
mod support;
mod unread;
