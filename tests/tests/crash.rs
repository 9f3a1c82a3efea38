//! Whatever dies, stops or is cut off: an accepted command is in the log once and in the tables
//! once.

mod backup;
mod chance;
mod comeback;
mod disk;
mod guards;
mod load;
mod outages;
mod poison;
mod proof;
mod queue;
mod random;
mod rebuild;
mod stop;
mod three;
mod upgrade;
mod zombie;
