//! Errors of the crates below, in the words that cross to the engine.

use std::io::ErrorKind;
use std::path::Path;

use skysense_abi::{Fault, NodeError};
use skysense_catalog::CatalogError;
use skysense_contract::ContractError;
use skysense_edges::EdgeError;
use skysense_infer::InferError;
use skysense_raster::RasterError;
use skysense_shards::ShardError;
use skysense_train::{CheckpointError, TrainError};

/// Splits off the part of a message that says what to do.
fn with_hint(code: &str, error: &(dyn std::error::Error + 'static)) -> NodeError {
    let mut node = NodeError::from_error(code, error);
    if let Some((message, hint)) = node.message.clone().split_once("\nhint: ") {
        node.message = message.to_owned();
        node = node.hint(hint);
    }
    node
}

/// An error of a catalog.
pub(crate) fn catalog(error: &CatalogError) -> NodeError {
    let code = match error {
        CatalogError::Write { path, source } => return written(path, source),
        CatalogError::Read { .. } => "catalog.read",
        CatalogError::Http { .. } => "catalog.http",
        CatalogError::Json { .. } => "catalog.json",
        CatalogError::Limit { .. } => "catalog.limit",
        CatalogError::Exists { .. } | CatalogError::Foreign { .. } => "output.exists",
        CatalogError::Stopped { .. } => NodeError::CANCELLED,
        CatalogError::Request { .. } | CatalogError::Reversed { .. } | CatalogError::Filter { .. } => "settings.search",
        CatalogError::UnknownSensor { .. } => "settings.sensors",
        _ => "catalog.invalid",
    };
    let node = NodeError::from_error(code, error);
    match error.hint() {
        Some(hint) => node.hint(hint),
        None => node,
    }
}

/// Output that cannot be written.
pub(crate) fn written(path: &Path, source: &std::io::Error) -> NodeError {
    let (code, hint) = match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            ("output.permission", "choose a folder that you may write to")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ("output.full", "free some space or write to another disk")
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            ("output.write", "a file stands where a folder is needed: choose another `href`")
        }
        _ => ("output.write", "check the folder and its permissions"),
    };
    NodeError::new(code, format!("cannot write {}: {source}", path.display())).at("path", path.display()).hint(hint)
}

/// An error of a catalog as a fault of a setting; the catalog's own word for the field wins.
pub(crate) fn catalog_fault(field: &str, error: &CatalogError) -> Fault {
    let field = match error {
        CatalogError::Request { field: "max_cloud_cover", .. } => "/cloud_cover".to_owned(),
        CatalogError::Request { field: "intersects", .. } => "/area".to_owned(),
        CatalogError::Request { field, .. } => format!("/{field}"),
        CatalogError::Reversed { .. } => "/datetime".to_owned(),
        CatalogError::Filter { .. } => "/filter".to_owned(),
        CatalogError::UnknownSensor { .. } => "/sensors".to_owned(),
        _ => field.to_owned(),
    };
    Fault { field, ..Fault::from(catalog(error)) }
}

/// An error of a raster.
pub(crate) fn raster(error: &RasterError) -> NodeError {
    let code = match error {
        RasterError::Open { .. } => "raster.open",
        RasterError::Read { .. } => "raster.read",
        // GDAL gives no number for what went wrong, so the hint that was chosen by its words says it.
        RasterError::Write { hint, .. } if hint.starts_with("free some space") => "output.full",
        RasterError::Write { hint, .. } if hint.contains("you may write to") => "output.permission",
        RasterError::Write { .. } => "output.write",
        RasterError::Crs { .. } | RasterError::Project { .. } => "raster.crs",
        RasterError::Href { .. } => "raster.href",
        _ => "raster.invalid",
    };
    with_hint(code, error)
}

/// An error of an edge.
pub(crate) fn edge(error: &EdgeError) -> NodeError {
    let node = with_hint("edge.invalid", error);
    match error {
        EdgeError::TooLarge { .. } => node.hint("ask for smaller batches"),
        _ => node,
    }
}

/// An error of a model package or of data that does not fit it.
pub(crate) fn contract(error: &ContractError) -> NodeError {
    let code = match error {
        ContractError::Misfit { .. } => "model.misfit",
        ContractError::Exists { .. } => "output.exists",
        _ => "model.invalid",
    };
    with_hint(code, error)
}

/// An error of training shards.
pub(crate) fn shards(error: &ShardError) -> NodeError {
    let code = match error {
        ShardError::Write { path, source } => return written(path, source),
        ShardError::Exists { .. } | ShardError::Unfinished { .. } | ShardError::Foreign { .. } => "output.exists",
        ShardError::Busy { .. } => "output.busy",
        ShardError::Misfit { .. } => "data.misfit",
        ShardError::Duplicate { .. } => "data.duplicate",
        ShardError::Missing { .. } => "data.missing",
        ShardError::Read { .. } => "data.read",
        ShardError::Damaged { .. } => "data.damaged",
        _ => "data.invalid",
    };
    let node = NodeError::from_error(code, error);
    // What to do stands behind the last semicolon of these.
    match node.message.clone().rsplit_once("; ") {
        Some((message, hint)) if !matches!(error, ShardError::Sample { .. } | ShardError::Read { .. }) => {
            NodeError { message: message.to_owned(), ..node }.hint(hint)
        }
        _ => node,
    }
}

/// An error of training shards as a fault of the folder that a workflow names.
pub(crate) fn shard_fault(error: &ShardError) -> Fault {
    Fault { field: "/href".into(), ..Fault::from(shards(error)) }
}

/// An error of inference.
pub(crate) fn infer(error: &InferError) -> NodeError {
    let code = match error {
        InferError::NoRuntime { .. } | InferError::Runtime { .. } | InferError::RuntimeLoaded { .. } => {
            "runtime.missing"
        }
        InferError::Device { .. } => "device.missing",
        InferError::DeviceName { .. } => "settings.device",
        InferError::Contract(inner) => return contract(inner),
        InferError::Probe { .. } => "model.probe",
        _ => "model.run",
    };
    with_hint(code, error)
}

/// Faults that come up again while a node runs, as one error.
pub(crate) fn joined(code: &str, faults: &[Fault]) -> NodeError {
    NodeError::new(code, faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("; "))
}

/// An error of training.
pub(crate) fn train(error: &TrainError) -> NodeError {
    match error {
        TrainError::Cancelled { .. } => NodeError::cancelled(),
        TrainError::Group(error) => crate::training::lost(error),
        TrainError::Contract(inner) => contract(inner),
        TrainError::NoLabels { .. } => with_hint("train.labels", error).hint("the labels must lie on the chips and hold classes that are not ignored; a smaller holdout leaves more of them"),
        TrainError::NoPixels { .. } => with_hint("train.pixels", error)
            .hint("a smaller holdout, or a lower share for validation, leaves more of them"),
        TrainError::Setting { .. } | TrainError::Preset { .. } => with_hint("settings.invalid", error),
        TrainError::Weights(CheckpointError::Global { .. }) => with_hint("weights.refused", error),
        TrainError::Weights(CheckpointError::Io { action: "write", path, source }) => written(path, source),
        TrainError::Weights(_) => with_hint("weights.invalid", error),
        TrainError::Spool { action: "read", .. } => with_hint("disk.spool", error)
            .hint("check the disk of the run's folder, and run again: training goes on from its last checkpoint"),
        TrainError::Spool { folder, source, .. } => written(folder, source),
        TrainError::Incomplete { .. } => with_hint("weights.incomplete", error),
        TrainError::Device { .. } => with_hint("device.unavailable", error),
        TrainError::Record { .. } => with_hint("metrics.file", error),
        TrainError::Diverged { .. } | TrainError::DivergedOn { .. } => with_hint("train.diverged", error),
        TrainError::NoPlaces { .. } => with_hint("train.pixels", error),
        _ => with_hint("train.failed", error),
    }
}
