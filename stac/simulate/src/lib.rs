//! Seeded scenes with known truth: Sentinel-2, Sentinel-1 and high-resolution rasters with a STAC catalog.
//!
//! People need such scenes for tests, for teaching and for sizing a machine. [`simulate`] takes a [`SceneSpec`]
//! and writes a folder: fields, forest, water, villages and roads with a spectral signature and a calendar for
//! each class, seen on dates with clouds, shadows and haze, by radar with speckle, and from the air; and the true
//! class map as labels. docs/SIMULATION.md describes the model and where its numbers come from.
//!
//! The ground is a pure function of place and seed (`landscape`), so memory follows the width of a scene and not
//! its area, overlapping granules agree, and the same description gives the same bytes.
//!
//! ```no_run
//! let report = skysense_simulate::simulate(&skysense_simulate::SceneSpec { size: 128, ..Default::default() }, "scene")?;
//! println!("{} rasters under {}", report.rasters, report.catalog);
//! # Ok::<(), skysense_simulate::SimulateError>(())
//! ```

mod aerial;
mod classes;
mod error;
mod folder;
mod ground;
mod landscape;
mod layout;
mod noise;
mod objects;
mod optical;
mod phenology;
mod radar;
mod scene;
mod signature;
mod sky;
mod spec;
mod stac;
mod utm;
mod write;

pub use classes::{CLASSES, Class};
pub use error::{Result, SimulateError};
pub use scene::{ClassReport, DateReport, SceneReport, simulate};
pub use spec::SceneSpec;
