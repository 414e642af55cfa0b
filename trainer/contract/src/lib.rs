//! The contract of a model package: what a model needs to be fed and what it gives.
//!
//! Written by training when it exports, read by inference and by every plan. A package is a folder:
//! `model.yaml` (the [`Contract`]), one ONNX graph per module, `weights.safetensors` or its shards, a probe batch
//! with its expected output, and `mlm.json`, the same contract as a STAC item for other software.
//!
//! - [`Package::open`] reads and checks a package; [`Package::verify`] compares every checksum, [`Package::damage`] names
//!   all that is wrong, [`Package::card`] tells people what it is.
//! - [`Contract::bind`] holds data against the contract and names every misfit at once.
//! - [`PackageWriter`] writes a package: a temporary folder, then one rename.
//!
//! What pixels must look like before a model sees them is decided here too, for training and inference alike:
//! [`fill()`] (invalid pixels), [`day_index`] (calendar) and [`GeoContext::region`] (geo-context).
//!
//! Axis order everywhere is `[batch, time, band, height, width]`; an axis a tensor lacks is left out.

mod bind;
mod calendar;
mod card;
mod checksum;
mod contract;
mod detector;
mod error;
mod fill;
mod licence;
mod mlm;
mod package;
mod reduced;
mod region;
mod replace;
mod task;
mod validate;
mod value;
mod writer;

pub use bind::{BandRule, Binding, Misfit, Offer};
pub use calendar::day_index;
pub use checksum::{Checksum, sha256_bytes, sha256_file};
pub use contract::{Calendar, Class, Contract, DataFile, Dtype, GraphFile, Head, Input, Modality, Module, Probe, Unit};
pub use detector::{Detector, ProposalRule};
pub use error::ContractError;
pub use fill::{Layout, fill};
pub use licence::licence_fault;
pub use mlm::{MlmContext, mlm_item};
pub use package::{CONTRACT_FILE, EVALUATION_FILE, MLM_FILE, PROBE_FILE, Package, WEIGHTS_FILE, WEIGHTS_INDEX_FILE};
pub use reduced::Reduced;
pub use region::{Division, GeoContext};
pub use task::{HeadKind, Quantity, Task};
pub use validate::Fault;
pub use value::Value;
pub use writer::PackageWriter;

/// Version of the layout that this crate writes and reads.
pub const CONTRACT_VERSION: u32 = 1;
