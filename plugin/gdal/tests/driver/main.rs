//! The driver as GDAL has it: opened by name, read in windows, and held against what `skysense run` writes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod bench;
mod change;
mod faults;
mod names;
mod tools;
mod vrt;
mod windows;
