//! GDAL driver plugin: a workflow as a raster whose blocks are computed when they are read.
//!
//! ```text
//! name, options ─► workflow (spec, plan) ─► map ─► pixels (windows, levels) ─► chips (memory, store, worker)
//!                                                                             └► engine::pull: the workflow's own nodes
//! ```
//!
//! GDAL calls `shim/driver.cpp`, which passes everything on to `dataset`. A window is made of the chips that touch it;
//! chips that are not at hand are computed by the nodes of the workflow, which are started once and asked for more as
//! windows are read. `stac.write` blends and encodes with the same code (`skysense-maps`), so a window holds the pixels of
//! the whole run.
//!
//! The process is another program's. All that is planned and computed is so in threads of ours; errors go to GDAL in the
//! thread that asked; no panic leaves a function that GDAL calls.

#![cfg_attr(not(driver), allow(dead_code, reason = "without the driver there is the pixel function alone"))]
#![allow(non_snake_case, reason = "GDAL derives the name of a function from that of the file")]

#[cfg(driver)]
mod chips;
#[cfg(driver)]
mod dataset;
#[cfg(driver)]
mod map;
mod message;
#[cfg(driver)]
mod name;
#[cfg(driver)]
mod options;
mod pixel_function;
#[cfg(driver)]
mod pixels;
mod place;
mod plugins;
mod register;
#[cfg(driver)]
mod store;
#[cfg(driver)]
mod workflow;
