//! `skysense serve` and `skysense trigger`, as processes that are started, asked, killed and started again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "../command/mod.rs"]
mod command;

mod api;
mod arrivals;
mod bench;
mod client;
mod ending;
mod hooks;
mod kills;
mod load;
mod map_library;
mod pgstac;
mod poll;
mod stac;
mod traces;
