//! Features of vector files, on the reference system that is asked for.

use std::path::Path;

use gdal::vector::{Geometry, LayerAccess};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};
use skysense_address::redact;
use skysense_grid::Crs;

use crate::crs::{name, same, transformation};
use crate::messages::capture;
use crate::{RasterError, Result, setup};

/// Goes through the features of a file's first layer that have a shape, with the text of a field. Only files on this machine
/// are opened.
///
/// # Errors
/// A file that cannot be read, a field that the layer does not have, coordinates that cannot be projected, and what `visit`
/// refuses.
pub(crate) fn features(
    path: &Path,
    field: Option<&str>,
    target: &Crs,
    mut visit: impl FnMut(&Geometry, Option<String>) -> Result<()>,
) -> Result<()> {
    setup::ensure()?;
    let open = |message: String, hint: &str| fault(path, message, hint);
    if !path.is_file() {
        return Err(open("no such file".into(), "name a vector file on this machine"));
    }
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_VECTOR | GdalOpenFlags::GDAL_OF_READONLY,
        ..DatasetOptions::default()
    };
    let (dataset, messages) = capture(|| Dataset::open_ex(path, options));
    let dataset =
        dataset.map_err(|_| open(messages.text(), "name a file that GDAL reads, such as GeoJSON or GeoPackage"))?;
    let (layer, messages) = capture(|| dataset.layer(0));
    let mut layer = layer.map_err(|_| open(messages.text(), "it has no layer"))?;
    let index = match field {
        Some(wanted) => {
            let names: Vec<String> = layer.defn().fields().map(|field| field.name()).collect();
            let place = names.iter().position(|name| name == wanted);
            let lacking =
                || open(format!("no field {wanted:?}; it has {}", names.join(", ")), "name the field of classes");
            Some(place.ok_or_else(lacking)?)
        }
        None => None,
    };
    // GeoJSON is in degrees where it says nothing else; so is, by GDAL, what says nothing at all.
    let from = match layer.spatial_ref() {
        Some(reference) => name(&reference)?,
        None => target.clone(),
    };
    let transform = if same(&from, target)? { None } else { Some(transformation(&from, target)?) };
    for feature in layer.features() {
        let value = match index {
            Some(index) => feature.field_as_string(index).ok().flatten(),
            None => None,
        };
        let Some(geometry) = feature.geometry() else { continue };
        match &transform {
            None => visit(geometry, value)?,
            Some(transform) => {
                let (moved, messages) = capture(|| geometry.transform(transform));
                let lost = || open(format!("a shape cannot be brought to {target}: {}", messages.text()), PROJECTED);
                visit(&moved.map_err(|_| lost())?, value)?;
            }
        }
    }
    Ok(())
}

/// What to do about shapes that have no place on another system.
pub(crate) const PROJECTED: &str = "check its reference system";

/// What is wrong with a vector file.
pub(crate) fn fault(path: &Path, message: String, hint: &str) -> RasterError {
    let href = redact(&path.display().to_string());
    RasterError::Open { name: "vector".into(), href, message, hint: hint.into() }
}
