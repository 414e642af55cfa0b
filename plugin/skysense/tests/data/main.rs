//! From catalogs to training shards and back: places, pairing, zones, the antimeridian, and the tools that look into it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "../harness/mod.rs"]
mod harness;

mod shards;
mod support;
mod tools;
mod zones;
