//! The crate from outside: files made here, GDAL's own programs as the oracle, and real data.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests and benchmarks say what they expect by failing")]

mod cogs;
mod faults;
mod formats;
mod http;
mod placed;
mod plain;
mod real;
mod support;
mod warp;
