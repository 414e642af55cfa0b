//! Parameters under the names of the published checkpoints: in files, and in modules.
//!
//! [`WeightFile`] opens a `.pth` or `.safetensors` file without reading its weights; [`Import`] puts several together
//! to one model and says what it looks like and what it lacks. [`load`], [`load_stored`] and [`save`] go between files
//! and modules, [`write_weights`] from file to file, [`WeightsWriter`] and [`write_module`] from modules to shards. The names are those of the official family's code; where ours
//! differ is a table in `names`.
//!
//! Files come from anyone. A pickle is run by an interpreter of our own that makes tensors and nothing else, and no
//! number in a file is trusted before it was held against the file's length. Tensors are read one at a time, from
//! their place: a file is never in memory as a whole, and no page of it is mapped.

mod assembly;
mod checksum;
mod error;
mod file;
mod import;
mod module;
mod names;
mod pickle;
mod safetensors;
mod shapes;
mod source;
mod stored;
mod torch;
mod tree;
mod write;
mod zip;

pub use assembly::{Ignored, Part, PartFile, Unexpected};
pub use error::CheckpointError;
pub use file::{Found, WeightFile};
pub use import::{Import, ImportReport, Loaded, Mismatched, Missing, ModuleReport, load_files};
pub use module::{LoadReport, lacking, load, load_stored, parameters, save, write_module};
pub use shapes::{Alone, ShapeSettings};
pub use stored::{Element, Stored};
pub use write::{Planned, Values, WEIGHTS_STEM, WeightsWriter, write_weights};
