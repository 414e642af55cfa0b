//! ONNX Runtime inference over model packages: the only crate that knows ONNX Runtime.
//!
//! [`Model::open`] loads the graphs of a package on a device and holds the package's probe against them once
//! per package, runtime and device. [`Model::features`] and [`Model::predict`] run any subset of modalities
//! and dates; pixels are borrowed ([`ChipInput`]), so the buffers of an Arrow array go in without a copy.
//!
//! On the CPU the result of a chip has the same bits whatever else is in its batch and however many threads
//! run: the graph optimisation level is fixed ([`OPTIMISATION`]), padding follows from the plan
//! ([`Options::dates`]), and no session takes more threads than the count for which that was measured
//! ([`MOST_THREADS`]).
//!
//! ```no_run
//! # fn main() -> Result<(), skysense_infer::InferError> {
//! use skysense_infer::{ChipInput, Model, Options, Pixels, Series};
//! let model = Model::open("model", Options::default())?;
//! let pixels = vec![0_i16; 2 * 10 * 128 * 128]; // [time, band, height, width]
//! let series = Series { pixels: Pixels::I16(&pixels), valid: None, datetimes: &[0, 864_000_000] };
//! let probabilities = model.predict(&[ChipInput::default().with_s2(series)])?;
//! let head = model.package().contract().head.as_ref();
//! assert_eq!(head.map(|head| head.classes.len()), Some(probabilities.channels));
//! # Ok(())
//! # }
//! ```

mod chip;
mod device;
mod error;
mod locate;
mod maps;
mod measure;
mod model;
mod options;
mod pixel;
mod prepare;
mod probe;
mod runtime;
mod session;
mod subset;
mod tokens;

pub use chip::{ChipInput, Pixels, Series};
pub use device::Device;
pub use error::{Attempt, InferError};
pub use maps::Maps;
pub use measure::{Likeness, ModuleRanges, likeness, ranges, widen};
pub use model::{Check, Detector, Model, Record};
pub use options::{MOST_THREADS, Options, ProbeRule, cache_folder};
pub(crate) use pixel::Pixel;
pub use probe::ProbeReport;
#[doc(hidden)]
pub use runtime::environment;
pub use runtime::{RuntimeInfo, runtime_info};
pub use session::OPTIMISATION;
pub use skysense_contract::{day_index, fill};
pub use skysense_detect::{Found, MergeRule, RotatedBox, merged};
