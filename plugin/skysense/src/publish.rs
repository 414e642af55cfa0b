//! What every node that publishes does alike: settings are held, a publishing is begun, the model and what an item was made
//! of are said, and rows are given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use skysense_abi::{Fault, Host, NodeError, RunInput};
use skysense_catalog::{CollectionRecord, Exists, ModelRecord, Publishing, Target};
use skysense_contract::Package;
use skysense_edges::{ModelBatch, ModelFacts, Period, RasterBuilder, RasterRow};

use crate::errors;
use crate::settings::path;

/// Where output goes.
pub(crate) struct Destination {
    /// Folder of the collection.
    pub(crate) folder: PathBuf,
    /// Id of the collection.
    collection: String,
    exists: Exists,
}

impl Destination {
    /// The settings `href`, `collection` and `exists` of a node.
    ///
    /// # Errors
    /// An id that is no file name, or output that is not local: both at once.
    pub(crate) fn new(href: &str, collection: &str, exists: Exists, host: &Host) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        if let Err(error) = skysense_catalog::item_path(Path::new(""), collection) {
            faults.push(errors::catalog_fault("/collection", &error));
        }
        if href.contains("://") && !href.starts_with("file://") {
            let shown = skysense_address::redact(href);
            let message = format!("{shown}: output is written to a local folder");
            faults.push(Fault::new("/href", "settings.invalid", message).hint("name a folder"));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self { folder: path(&host.about().base, href), collection: collection.to_owned(), exists })
    }

    /// Where the collection will lie.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join("collection.json")
    }

    /// Id of the item of a period.
    pub(crate) fn id(&self, period: &Period) -> String {
        format!("{}-{}", self.collection, period.name)
    }

    /// Ids of the items of all periods.
    pub(crate) fn ids(&self, periods: &[Period]) -> Vec<String> {
        periods.iter().map(|period| self.id(period)).collect()
    }

    /// Holds what is there already against what is to be done with it.
    ///
    /// # Errors
    /// Output that is there and must not be touched.
    pub(crate) fn check(&self, periods: &[Period]) -> Result<(), Vec<Fault>> {
        let ids = self.ids(periods);
        let known: Vec<&str> = ids.iter().map(String::as_str).collect();
        Target::new(&self.folder, &self.collection, self.exists)
            .and_then(|target| target.check(&known))
            .map_err(|error| vec![errors::catalog_fault("/href", &error)])
    }

    /// Begins to publish.
    ///
    /// # Errors
    /// Output that is there and must not be touched, or a folder that cannot be written.
    pub(crate) fn begin(&self, periods: &[Period], host: &Host) -> Result<Publishing, NodeError> {
        let ids = self.ids(periods);
        let known: Vec<&str> = ids.iter().map(String::as_str).collect();
        let target =
            Target::new(&self.folder, &self.collection, self.exists).map_err(|error| errors::catalog(&error))?;
        // A run that goes on after it was killed may find what it had finished itself.
        let target = if host.about().resumed { target.resumed(&host.about().workflow_sha256) } else { target };
        target.check(&known).map_err(|error| errors::catalog(&error))?;
        Publishing::begin(target).map_err(|error| errors::catalog(&error))
    }

    /// What the collection says of itself.
    pub(crate) fn record(
        &self,
        title: Option<&str>,
        description: Option<&str>,
        otherwise: String,
        license: &str,
    ) -> CollectionRecord {
        CollectionRecord {
            id: self.collection.clone(),
            title: title.unwrap_or(&self.collection).to_owned(),
            description: description.map_or(otherwise, str::to_owned),
            license: license.to_owned(),
            keywords: vec!["skysense".into()],
        }
    }

    /// Title of the item of a period.
    pub(crate) fn title(&self, title: Option<&str>, period: &Period) -> String {
        format!("{}, {}", title.unwrap_or(&self.collection), period.name)
    }

    /// Tells the host of all files, and gives the rows of the items, one for each period.
    ///
    /// # Errors
    /// An item that was published and cannot be read.
    pub(crate) fn rows(&self, items: &[PathBuf], periods: &[Period], host: &Host) -> Result<RecordBatch, NodeError> {
        let mut rows = RasterBuilder::default();
        for (path, period) in items.iter().zip(periods) {
            let text = std::fs::read_to_string(path)
                .map_err(|error| NodeError::from_error("output.read", &error).at("path", path.display()))?;
            let mut item: Value = serde_json::from_str(&text)
                .map_err(|error| NodeError::from_error("output.read", &error).at("path", path.display()))?;
            let folder = path.parent().unwrap_or(Path::new("."));
            for (_, asset) in item["assets"].as_object_mut().into_iter().flatten() {
                if let Some(name) = asset["href"].as_str().and_then(|href| href.strip_prefix("./")) {
                    let href = folder.join(name);
                    host.report("output", &json!({"href": href, "role": "asset"}));
                    asset["href"] = json!(href);
                }
            }
            host.report("output", &json!({"href": path, "role": "item"}));
            rows.push(RasterRow {
                id: self.id(period),
                period: period.name.clone(),
                href: path.display().to_string(),
                item: item.to_string(),
            });
        }
        host.report("output", &json!({"href": self.home(), "role": "collection"}));
        rows.finish().map_err(|error| errors::edge(&error))
    }
}

/// The package that made an output: that of the port, else the one that the facts name.
///
/// # Errors
/// A package that cannot be opened.
pub(crate) fn package(port: Option<RunInput>, facts: &ModelFacts) -> Result<Option<Package>, NodeError> {
    let folder = match port {
        Some(mut port) => match port.next() {
            Some(batch) => {
                Some(PathBuf::from(ModelBatch::try_new(&batch?).map_err(|error| errors::edge(&error))?.path()))
            }
            None => None,
        },
        None => facts.path.as_ref().map(PathBuf::from),
    };
    folder.map(|folder| Package::open(&folder).map_err(|error| errors::contract(&error))).transpose()
}

/// What an item says of its model; `task` in the words of the machine learning model extension.
pub(crate) fn model_record(package: &Package, facts: &ModelFacts, task: &str) -> ModelRecord {
    let record = package.folder().join(skysense_contract::MLM_FILE);
    let record = std::path::absolute(&record).unwrap_or(record);
    ModelRecord {
        name: facts.name.clone(),
        href: record.display().to_string(),
        architecture: format!("SkySense {}", facts.preset),
        tasks: vec![task.to_owned()],
        weights_sha256: package.contract().weights_sha256.clone(),
        licence: facts.licence.clone(),
    }
}

/// Versions of what makes outputs.
pub(crate) fn software() -> BTreeMap<String, String> {
    let mut software = BTreeMap::from([("skysense".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
    if let Ok(versions) = skysense_raster::versions() {
        software.insert("gdal".into(), versions.gdal);
    }
    if let Ok(runtime) = skysense_infer::runtime_info(None) {
        software.insert("onnxruntime".into(), runtime.version);
    }
    software
}
