//! A model applied to chips: what `skysense.embed` and `skysense.segment` share.

mod fit;
mod flips;
mod maps;
mod plan;
mod rows;

pub(crate) use fit::{
    BandsSetting, ModelState, Settings, chip_facts, fit, map_facts, modality_offers, most_dates, named_chips, offers,
    paired, planned_offers,
};
pub(crate) use maps::{Task, centre, chip_input, open, run, say};
pub(crate) use plan::plan;
pub(crate) use rows::Rows;

/// What holds for both nodes, for their documentation.
macro_rules! limits {
    () => {
        "

## Limits
Any subset of the model's modalities and dates runs; bands are bound by name, and a band, unit, chip size or \
number of dates that does not fit is told while planning. Pixels go from Arrow to ONNX Runtime without a copy. \
On the CPU the same chips give the same bytes for any `batch` and `threads`."
    };
}
pub(crate) use limits;
