//! The views of a step whose loss was not finite, written down so that they can be looked at.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};

use super::view::Views;
use crate::TrainError;

/// Writes the two views of each place as `diverged-step-N.safetensors`: tensors `P.V.MODALITY` `[time, band, height,
/// width]` in the unit of the model's inputs and `P.V.MODALITY.day`, with the names of the places `P` as metadata.
pub(super) fn save(places: &[Views], step: usize, folder: &Path) -> Result<PathBuf, TrainError> {
    let fault = |error: String| TrainError::Model(error);
    let mut tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let mut names = HashMap::from([("step".to_owned(), step.to_string())]);
    for (index, views) in places.iter().enumerate() {
        let _new = names.insert(format!("place.{index}"), views.name.clone());
        for (view, of) in views.globals.iter().zip(0..) {
            for (modality, series) in &view.sample.series {
                let (time, side) = (series.days.len(), series.side);
                let bands = series.pixels.len() / (time * side * side).max(1);
                let name = format!("{index}.{of}.{modality}");
                let days = series.days.iter().flat_map(|day| day.to_le_bytes()).collect();
                let _new = tensors.insert(format!("{name}.day"), (Dtype::I64, vec![time], days));
                let pixels = series.pixels.iter().flat_map(|value| value.to_le_bytes()).collect();
                let _new = tensors.insert(name, (Dtype::F32, vec![time, bands, side, side], pixels));
            }
        }
    }
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| fault(error.to_string()))?;
    let bytes = safetensors::serialize(views, Some(names)).map_err(|error| fault(error.to_string()))?;
    let path = folder.join(format!("diverged-step-{step}.safetensors"));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes));
    written.map_err(|error| fault(format!("{}: {error}", path.display())))?;
    Ok(path)
}
