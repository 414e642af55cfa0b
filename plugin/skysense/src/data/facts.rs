//! What samples have in common, by the facts of a `chip` or `sample` edge.

use serde_json::Value;
use skysense_abi::Fault;
use skysense_edges::{ChipFacts, SampleFacts};
use skysense_shards::{Header, Split};

/// Kind of the edge whose rows share one grid.
pub(crate) const CHIP: &str = "chip";

/// The header of shards with samples of an edge.
///
/// # Errors
/// Facts that cannot be read.
pub(crate) fn header(kind: &str, facts: &Value, split: Split) -> Result<Header, Fault> {
    if kind == CHIP {
        let chips: ChipFacts = read(facts)?;
        let resolution = chips.geobox.resolution().0;
        return Ok(Header { size: chips.chip_size, resolution, modalities: chips.modalities, split });
    }
    let samples: SampleFacts = read(facts)?;
    Ok(Header { size: samples.size, resolution: samples.resolution, modalities: samples.modalities, split })
}

/// Most samples of an edge.
///
/// # Errors
/// Facts that cannot be read.
pub(crate) fn samples_of(kind: &str, facts: &Value) -> Result<usize, Fault> {
    if kind == CHIP {
        read::<ChipFacts>(facts).map(|chips| chips.chips())
    } else {
        read::<SampleFacts>(facts).map(|samples| samples.samples)
    }
}

fn read<T: serde::de::DeserializeOwned>(facts: &Value) -> Result<T, Fault> {
    serde_json::from_value(facts.clone()).map_err(|error| {
        Fault::new("", "facts.invalid", format!("the facts of the samples cannot be read: {error}"))
            .hint("connect raster.samples or raster.chips")
    })
}
