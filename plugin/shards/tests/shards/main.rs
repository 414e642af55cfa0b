//! Sets as they are written, broken off, added to, damaged and read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod damaged;
mod exists;
mod round_trip;
mod support;
mod unfinished;
mod whole_set;
