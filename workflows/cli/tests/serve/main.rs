//! `skysense serve` and `skysense trigger`, as processes that are started, asked, killed and started again.

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
mod pgstac;
mod poll;
mod stac;
mod traces;
