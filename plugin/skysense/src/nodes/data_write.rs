//! `data.write`: writes samples into training shards.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_edges::{DatasetBuilder, DatasetFacts, dataset_schema};
use skysense_shards::{
    Duplicates, Exists, Filter, Header, Manifest, Outcome, Part, ShardWriter, Split, Writing, check,
};

use super::raster_chips::ModalityName;
use crate::data::{RowReader, header, samples_of};
use crate::errors;
use crate::settings::{path, planned};

const DOC: &str = "\
Writes samples into training shards: Arrow IPC files of `shard_size` samples, one record batch each, in the raw types \
of the sensors, so that any sample is read without the others. Beside each shard lies an index with places, dates, valid \
shares and checksums; `manifest.json` names every file and stands last. `skysense data inspect`, `verify` and `stats` \
look into the folder.

Whole blocks of the globe validate, `validation.share` of them. A sample whose footprint touches blocks of both parts is \
left out, so that no ground is in both. The part of a place never changes, so samples that are added later respect it.

## Columns
In: `sample` or `chip`. Out: `dataset`, one row: the folder and its manifest.

## Limits
A run that goes on after it was broken off keeps the shards that were whole, and writes none of their samples again; \
pixels are read again up to there. Samples of the same place and period are written once. Clouds are those that the \
masks of the items tell: a masked pixel counts as not valid.";

const EXAMPLE: &str = "\
data:
  uses: data.write
  from: samples
  with:
    href: data/europe
    exists: append
    validation: {share: 0.1, block: 50}
    min_valid: 0.5
    min_dates: {s2: 4}
    require: [hr, s2]
";

/// Settings of `data.write`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Folder that gets the shards.
    href: String,
    /// What becomes of samples that are there: `fail`, `append` or `replace`.
    #[serde(default)]
    exists: ExistsSetting,
    /// Samples of a shard.
    #[serde(default = "shard_size")]
    #[schemars(range(min = 1, max = 1_000_000))]
    shard_size: usize,
    /// Which part of the globe validates.
    #[serde(default)]
    validation: Validation,
    /// Share of valid pixels, 0 to 1, below which a date leaves its sample.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    min_valid: f64,
    /// Fewest dates by modality: one with fewer leaves its sample, and with it a sample that requires it.
    #[serde(default)]
    min_dates: BTreeMap<ModalityName, usize>,
    /// Modalities without which a sample is left out.
    #[serde(default)]
    require: Vec<ModalityName>,
    /// What becomes of a sample with the pixels of another: `drop`, `keep` or `fail`.
    #[serde(default)]
    duplicates: DuplicatesSetting,
}

/// What becomes of samples that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ExistsSetting {
    /// They stay and the run ends with an error.
    #[default]
    Fail,
    /// New samples join them; one of the same place and period is left out.
    Append,
    /// They give way once the new ones are all there.
    Replace,
}

/// Which part of the globe validates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Validation {
    /// Share of the blocks, 0 to 0.9; 0 for none.
    #[schemars(range(min = 0, max = 0.9))]
    share: f64,
    /// Kilometres along a side of a block: at least two of a sample.
    #[schemars(extend("exclusiveMinimum" = 0))]
    block: f64,
    /// Which blocks validate follows from this number.
    seed: u64,
}

impl Default for Validation {
    fn default() -> Self {
        Self { share: 0.1, block: 50.0, seed: 0 }
    }
}

/// What becomes of a sample with the pixels of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum DuplicatesSetting {
    /// It is left out.
    #[default]
    Drop,
    /// It is written.
    Keep,
    /// The run ends.
    Fail,
}

fn shard_size() -> usize {
    256
}

/// The node.
pub(crate) struct DataWrite;

impl Node for DataWrite {
    const NAME: &'static str = "data.write";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Writes samples into training shards")
            .input("samples", &["sample", "chip"], "the samples to write")
            .output("dataset")
            .doc(DOC)
            .example(EXAMPLE)
            .impure()
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        settings.check()?;
        let input = inputs.require("samples")?;
        let header = header(&input.kind, &input.facts, settings.split())?;
        settings.fits(&header)?;
        let samples = samples_of(&input.kind, &input.facts)?;
        let folder = settings.folder(host);
        check(&folder, &header, &settings.writing(host)).map_err(|error| vec![errors::shard_fault(&error)])?;
        let bytes = header.sample_bytes();
        let facts = DatasetFacts {
            path: folder.display().to_string(),
            samples,
            size: header.size,
            resolution: header.resolution,
            validation: settings.validation.share,
            modalities: header.modalities,
        };
        // A sample as it comes, as it is filtered, and as it is written; what later ones are known by.
        let working = 4 * bytes + 64 * samples as u64 + (16 << 20);
        let state = json!({"kind": input.kind, "facts": input.facts});
        Ok(NodePlan::new(dataset_schema())
            .facts(json!(facts))
            .cost("samples_at_most", samples as f64, "")
            .cost("shards_at_most", samples.div_ceil(settings.shard_size) as f64, "")
            .cost("written", samples as f64 * bytes as f64, "bytes")
            .memory(working, 1 << 20)
            .state(state))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let state: State = planned(plan.state)?;
        let samples = inputs.require("samples")?;
        Ok(Box::new(std::iter::once_with(move || write(&settings, &state, samples, &host))))
    }
}

/// What a run must know again.
#[derive(Debug, Deserialize)]
struct State {
    kind: String,
    facts: Value,
}

impl Settings {
    fn folder(&self, host: &Host) -> PathBuf {
        path(&host.about().base, &self.href)
    }

    fn split(&self) -> Split {
        Split { share: self.validation.share, block: self.validation.block, seed: self.validation.seed }
    }

    fn writing(&self, host: &Host) -> Writing {
        let about = host.about();
        let exists = match self.exists {
            ExistsSetting::Fail => Exists::Fail,
            ExistsSetting::Append => Exists::Append,
            ExistsSetting::Replace => Exists::Replace,
        };
        Writing { exists, workflow: about.workflow_sha256, resumed: about.resumed }
    }

    fn filter(&self) -> Filter {
        Filter {
            min_valid: self.min_valid,
            min_dates: self.min_dates.iter().map(|(modality, count)| (modality.word().to_owned(), *count)).collect(),
            require: self.require.iter().map(|modality| modality.word().to_owned()).collect(),
        }
    }

    /// What can be judged by the settings alone.
    fn check(&self) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut wrong = |field: &str, message: String| faults.push(Fault::new(field, "settings.invalid", message));
        let Validation { share, block, .. } = self.validation;
        if !(0.0..=0.9).contains(&share) {
            wrong("/validation/share", format!("share is {share}, expected 0 to 0.9"));
        }
        if !(block.is_finite() && block > 0.0) {
            wrong("/validation/block", format!("block is {block} km, expected more than 0"));
        }
        if !(0.0..=1.0).contains(&self.min_valid) {
            wrong("/min_valid", format!("min_valid is {}, expected 0 to 1", self.min_valid));
        }
        if !(1..=1_000_000).contains(&self.shard_size) {
            wrong("/shard_size", format!("shard_size is {}, expected 1 to 1000000", self.shard_size));
        }
        if self.href.contains("://") && !self.href.starts_with("file://") {
            let href = skysense_address::redact(&self.href);
            faults.push(
                Fault::new("/href", "settings.invalid", format!("{href}: shards are written to a local folder"))
                    .hint("name a folder"),
            );
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// What can be judged once it is known what the samples look like.
    fn fits(&self, header: &Header) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        let known = header.modalities.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        for (field, names) in [
            ("/require", self.require.iter().collect::<Vec<_>>()),
            ("/min_dates", self.min_dates.keys().collect::<Vec<_>>()),
        ] {
            for name in names.into_iter().map(|name| name.word()).filter(|name| !header.modalities.contains_key(*name))
            {
                let message = format!("no sample has {name}; the samples have {known}");
                faults.push(Fault::new(field, "settings.invalid", message).hint("search items of it, or leave it out"));
            }
        }
        let kilometres = header.size as f64 * header.resolution / 1000.0;
        if self.validation.share > 0.0 && self.validation.block < 2.0 * kilometres {
            let message = format!(
                "blocks of {} km are smaller than two samples of {kilometres} km: most samples would touch both parts",
                self.validation.block
            );
            faults.push(Fault::new("/validation/block", "settings.invalid", message).hint("make blocks larger"));
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// How many samples came to what.
#[derive(Debug, Default)]
struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

fn write(settings: &Settings, state: &State, samples: RunInput, host: &Host) -> Result<RecordBatch, NodeError> {
    let header = header(&state.kind, &state.facts, settings.split())
        .map_err(|fault| NodeError::new(&fault.code, fault.message).hint("plan the workflow again"))?;
    let expected = samples_of(&state.kind, &state.facts).unwrap_or(0);
    let (folder, filter) = (settings.folder(host), settings.filter());
    let duplicates = match settings.duplicates {
        DuplicatesSetting::Drop => Duplicates::Drop,
        DuplicatesSetting::Keep => Duplicates::Keep,
        DuplicatesSetting::Fail => Duplicates::Fail,
    };
    let reader = RowReader::new(&state.kind, &state.facts)?;
    let fault = |error: skysense_shards::ShardError| errors::shards(&error);
    let begun = ShardWriter::begin(&folder, &header, &settings.writing(host), settings.shard_size, duplicates);
    let mut writer = begun.map_err(fault)?;
    let (mut counts, mut done) = (Counts::default(), 0);
    for batch in samples {
        host.check_cancelled()?;
        for row in reader.rows(&batch?)? {
            done += 1;
            if writer.knows(&row.place.place, &row.period) {
                counts.add("samples_known");
                continue;
            }
            let row = match filter.apply(row) {
                Ok(row) => row,
                Err(_) => {
                    counts.add("samples_filtered");
                    continue;
                }
            };
            let outline = skysense_raster::footprint(&row.place.grid)
                .map_err(|error| errors::raster(&error).at("place", &row.place.place))?;
            counts.add(match writer.push(row, outline.bbox).map_err(fault)? {
                Outcome::Written(Part::Train) => "samples_train",
                Outcome::Written(Part::Validation) => "samples_validation",
                Outcome::Known => "samples_known",
                Outcome::Duplicate => "samples_duplicate",
                Outcome::Border => "samples_between_parts",
            });
        }
        host.progress(done, Some(expected as u64), "samples");
    }
    host.check_cancelled()?;
    if writer.is_empty() {
        return Err(NodeError::new("data.empty", format!("none of {done} samples can be written: {}", counts.told()))
            .hint("ask less of samples: `min_valid`, `min_dates`, `require`; or make blocks of the split larger"));
    }
    let manifest = writer.finish().map_err(fault)?;
    counts.0.iter().for_each(|(name, count)| host.count(name, *count));
    tell(&manifest, settings, &counts, host);
    host.report("output", &json!({"href": folder.join(skysense_shards::MANIFEST_FILE), "role": "dataset"}));
    let text = serde_json::to_string(&manifest).map_err(|error| NodeError::from_error("output.write", &error))?;
    DatasetBuilder { path: folder.display().to_string(), manifest: text }.finish().map_err(|error| errors::edge(&error))
}

impl Counts {
    fn told(&self) -> String {
        let word =
            |(name, count): (&&str, &u64)| format!("{count} {}", name.trim_start_matches("samples_").replace('_', " "));
        if self.0.is_empty() { "none came".into() } else { self.0.iter().map(word).collect::<Vec<_>>().join(", ") }
    }
}

fn tell(manifest: &Manifest, settings: &Settings, counts: &Counts, host: &Host) {
    let [train, validation] = Part::ALL.map(|part| manifest.samples(part));
    host.log(Level::Info, format!("{train} samples train, {validation} validate; of this run: {}", counts.told()));
    let empty = if train == 0 {
        Some("train")
    } else {
        (validation == 0 && settings.validation.share > 0.0).then_some("validate")
    };
    if let Some(part) = empty {
        let block = settings.validation.block;
        host.log(
            Level::Warn,
            format!("no sample is there to {part}: blocks of {block} km are few on this ground; make them smaller, or set another seed"),
        );
    }
}
