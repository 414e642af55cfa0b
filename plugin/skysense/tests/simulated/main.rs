//! The nodes from end to end on small simulated scenes, with a model of random weights.
//!
//! Needs ONNX Runtime where the search looks (`./x` puts it into the cache folder).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of plugin/infer")]
#[path = "../../../infer/tests/common/mod.rs"]
mod tiny;

mod adopt;
mod alone;
mod bad_input;
mod bands;
mod bench;
mod compare;
mod damaged;
mod distill;
mod exists;
mod files;
mod objects;
mod own_pixels;
mod pretrain;
mod probe;
mod provenance;
mod published;
mod reduced;
mod regions;
mod same_bytes;
mod shapes;
mod tasks;
mod unfinished;
mod verify;
