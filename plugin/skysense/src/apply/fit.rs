//! The model held against the chips, while planning: which band does not fit is known before any pixel.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skysense_abi::{Fault, Host, NodeError, PlanInputs};
use skysense_contract::{BandRule, Binding, Contract, ContractError, Dtype, Modality, Offer, Package, Unit};
use skysense_edges::{ChipFacts, ClassFacts, MapFacts, ModalityFacts, ModelFacts, QuantityFacts};

use crate::errors;
use crate::settings::path;

/// Settings of the nodes that apply a model.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Folder of the model package; left out, the model comes from the port `model`.
    pub(crate) model: Option<String>,
    /// `all`: the chips must have all bands of the model. `subset`: the model's patch embedding takes the
    /// bands that are there and is rescaled; what was left out stands in the output.
    pub(crate) bands: BandsSetting,
    /// Whether each chip is looked at flipped too, across, down and both, and what is said of it is the mean: four times the
    /// work.
    pub(crate) flips: bool,
    /// `auto`, `cpu`, `cuda` or `cuda:1`. A device that is named and not there is an error. Not part of the
    /// workflow's hash.
    #[schemars(extend("x-skysense-execution" = true))]
    pub(crate) device: Option<String>,
    /// Chips that are run at once; left out, what suits the device. Changes no pixel.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    pub(crate) batch: Option<usize>,
    /// Threads of the runtime; left out, as many as the run has. Changes no pixel.
    #[schemars(range(min = 1), extend("x-skysense-execution" = true))]
    pub(crate) threads: Option<usize>,
}

/// What becomes of a model whose bands the chips lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BandsSetting {
    /// An error.
    #[default]
    All,
    /// It runs with the bands that are there.
    Subset,
}

impl BandsSetting {
    pub(crate) fn rule(self) -> BandRule {
        match self {
            Self::All => BandRule::All,
            Self::Subset => BandRule::Subset,
        }
    }
}

/// What a run must know again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ModelState {
    /// Folder of the package; `None` where it comes with the run.
    pub(crate) path: Option<PathBuf>,
    pub(crate) bands: BandsSetting,
}

/// A model that fits.
pub(crate) struct Fit {
    pub(crate) contract: Contract,
    pub(crate) chips: ChipFacts,
    pub(crate) binding: Binding,
    pub(crate) state: ModelState,
    /// Where the package lies or will lie, where that is known.
    pub(crate) place: Option<String>,
    /// Bytes of graphs and weights, where they are there already.
    pub(crate) bytes: u64,
}

/// What the port `chips` brings.
///
/// # Errors
/// Nothing is connected, or something that is not chips.
pub(crate) fn chip_facts(inputs: &PlanInputs) -> Result<ChipFacts, Vec<Fault>> {
    named_chips(inputs, "chips")
}

/// The same of any port.
///
/// # Errors
/// As [`chip_facts`].
pub(crate) fn named_chips(inputs: &PlanInputs, port: &str) -> Result<ChipFacts, Vec<Fault>> {
    serde_json::from_value(inputs.require(port)?.facts.clone()).map_err(|error| {
        vec![
            Fault::new("", "facts.invalid", format!("the facts of the chips cannot be read: {error}"))
                .hint("connect raster.chips"),
        ]
    })
}

/// Chips of an earlier time, where they lie as the later ones do: the same grid, chip by chip, bands and units.
///
/// # Errors
/// Every way in which they do not.
pub(crate) fn paired(chips: &ChipFacts, before: &ChipFacts) -> Result<ChipFacts, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut apart = |what: &str, now: String, then: String| {
        if now != then {
            let message = format!("chips of the two times differ in {what}: {now} after, {then} before");
            let hint = "give both raster.chips the same grid, size, overlap and sensors, and each its own dates";
            faults.push(Fault::new("", "chips.pairs", message).hint(hint));
        }
    };
    let grid = |facts: &ChipFacts| {
        let grid = &facts.geobox;
        format!("{}, {:?}, {} × {}", grid.crs, grid.transform, grid.width, grid.height)
    };
    let bands = |facts: &ChipFacts| {
        let all =
            facts.modalities.iter().map(|(name, m)| format!("{name} {} {:?} {}", m.unit, m.dtype, m.bands.join(" ")));
        all.collect::<Vec<_>>().join("; ")
    };
    apart("their grid", grid(chips), grid(before));
    let sides = |facts: &ChipFacts| format!("{} px with an overlap of {}", facts.chip_size, facts.overlap);
    apart("their size", sides(chips), sides(before));
    apart("the number of periods", chips.periods.len().to_string(), before.periods.len().to_string());
    apart("their bands", bands(chips), bands(before));
    if faults.is_empty() { Ok(before.clone()) } else { Err(faults) }
}

/// Reads contract and facts, and holds them against each other.
///
/// # Errors
/// A model that cannot be read, or chips that do not fit it: every misfit.
pub(crate) fn fit(settings: &Settings, inputs: &PlanInputs, host: &Host) -> Result<Fit, Vec<Fault>> {
    let chips = chip_facts(inputs)?;
    let (contract, path, place, bytes) = match (&settings.model, inputs.get("model")) {
        (Some(_), Some(_)) => {
            return Err(Fault::new(
                "/model",
                "settings.model",
                "the model is given by the setting and by the port: keep one",
            )
            .into());
        }
        (None, None) => {
            return Err(Fault::new("/model", "settings.model", "no model")
                .hint("name a package with `model`, or connect skysense.finetune to the port `model`")
                .into());
        }
        (Some(setting), None) => {
            let package = Package::open(path(&host.about().base, setting)).map_err(|error| model_fault(&error))?;
            let place = Some(package.folder().display().to_string());
            (package.contract().clone(), Some(package.folder().to_path_buf()), place, package.bytes())
        }
        (None, Some(port)) => {
            let contract = serde_json::from_value::<Contract>(port.facts["contract"].clone());
            (
                contract.map_err(|error| {
                    vec![Fault::new("", "facts.invalid", format!("the model's contract cannot be read: {error}"))]
                })?,
                None,
                port.facts["path"].as_str().map(str::to_owned),
                64 << 20,
            )
        }
    };
    let mut offers = offers(&chips)?;
    if inputs.get("before").is_some() {
        most_dates(&mut offers, &named_chips(inputs, "before")?)?;
    }
    let binding = contract.bind(&offers, settings.bands.rule()).map_err(|error| model_fault(&error))?;
    if let Some(device) = &settings.device {
        let _known: skysense_infer::Device = device.parse().map_err(|error: skysense_infer::InferError| {
            let of_runtime = Fault::from(errors::infer(&error));
            vec![Fault { field: "/device".into(), code: "settings.device".into(), ..of_runtime }]
        })?;
    }
    Ok(Fit { contract, chips, binding, state: ModelState { path, bands: settings.bands }, place, bytes })
}

fn model_fault(error: &ContractError) -> Vec<Fault> {
    let field = if matches!(error, ContractError::Misfit { .. }) { "" } else { "/model" };
    vec![Fault { field: field.into(), ..Fault::from(errors::contract(error)) }]
}

/// What the chips bring, in the contract's words.
///
/// # Errors
/// Facts with a modality or unit that no model knows.
pub(crate) fn offers(chips: &ChipFacts) -> Result<BTreeMap<Modality, Offer>, Vec<Fault>> {
    modality_offers(&chips.modalities, chips.chip_size)
}

/// As many dates as either of two times has.
///
/// # Errors
/// As [`offers`].
pub(crate) fn most_dates(offers: &mut BTreeMap<Modality, Offer>, before: &ChipFacts) -> Result<(), Vec<Fault>> {
    for (modality, other) in self::offers(before)? {
        if let Some(offer) = offers.get_mut(&modality) {
            offer.dates = offer.dates.max(other.dates);
        }
    }
    Ok(())
}

/// As [`offers`], of modalities and the side of a chip on the 10 m grid.
///
/// # Errors
/// As [`offers`].
pub(crate) fn modality_offers(
    modalities: &BTreeMap<String, ModalityFacts>,
    side: usize,
) -> Result<BTreeMap<Modality, Offer>, Vec<Fault>> {
    let word =
        |kind: &str, text: &str| Fault::new("", "facts.invalid", format!("the chips' {kind} {text:?} is not known"));
    let mut offers = BTreeMap::new();
    for (name, facts) in modalities {
        let modality: Modality = serde_json::from_value(json!(name)).map_err(|_| vec![word("modality", name)])?;
        let unit: Unit = serde_json::from_value(json!(facts.unit)).map_err(|_| vec![word("unit", &facts.unit)])?;
        let dtype = match facts.dtype {
            skysense_edges::Dtype::U8 => Dtype::U8,
            skysense_edges::Dtype::I16 => Dtype::I16,
            skysense_edges::Dtype::F32 => Dtype::F32,
            skysense_edges::Dtype::U16 => return Err(vec![word("type", "u16")]),
        };
        let (bands, dates, scale) = (facts.bands.clone(), facts.dates, facts.scale);
        offers.insert(modality, Offer { bands, unit, dtype, dates, size: side * scale, scale });
    }
    Ok(offers)
}

/// As [`offers`], of chips that were planned with.
///
/// # Errors
/// As [`offers`].
pub(crate) fn planned_offers(chips: &ChipFacts) -> Result<BTreeMap<Modality, Offer>, NodeError> {
    offers(chips).map_err(|faults| errors::joined("facts.invalid", &faults))
}

/// Facts of the edge behind a model.
pub(crate) fn plan_facts(fit: &Fit, channels: usize) -> Value {
    json!(map_facts(fit, channels))
}

/// As [`plan_facts`].
pub(crate) fn map_facts(fit: &Fit, channels: usize) -> MapFacts {
    let contract = &fit.contract;
    let head = contract.head.iter().flat_map(|head| &head.classes);
    let absent = |modality: Modality| {
        let (input, bands) = (contract.modalities.get(&modality)?, fit.binding.bands(modality)?);
        let names: Vec<String> = input
            .bands
            .iter()
            .zip(bands)
            .filter(|(_, source)| source.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        (!names.is_empty()).then(|| (modality.name().to_owned(), names))
    };
    MapFacts {
        chips: fit.chips.clone(),
        model: ModelFacts {
            name: contract.name.clone(),
            preset: contract.preset.clone(),
            weights_sha256: fit.state.path.as_ref().map(|_| contract.weights_sha256.clone()),
            licence: contract.licence.clone(),
            path: fit.place.clone(),
        },
        channels,
        classes: head
            .map(|class| ClassFacts { value: class.value, name: class.name.clone(), color: class.color.clone() })
            .collect(),
        task: contract.head.as_ref().map_or("features", |head| head.task.name()).into(),
        quantity: contract
            .head
            .as_ref()
            .and_then(|head| head.quantity.as_ref())
            .map(|quantity| QuantityFacts { name: quantity.name.clone(), unit: quantity.unit.clone() }),
        margin: contract.margin,
        absent_bands: fit.binding.modalities().filter_map(absent).collect(),
    }
}

impl Fit {
    /// A bound on what a run holds: sessions (weights, and what the runtime makes of them) and activations.
    pub(crate) fn working_bytes(&self, batch: usize) -> u64 {
        let area = (self.contract.chip_size * self.contract.chip_size) as u64;
        let dates: usize = self.chips.modalities.values().map(|facts| facts.dates).sum();
        // Tokens of all dates, and a few times as much inside the layers. At an image's own pixels the layers are coarser than the
        // features, and one chip is looked at at a time.
        let times = if self.contract.of_pixels() { 8 } else { 12 * batch as u64 };
        let activations = times * (dates as u64 + 1) * area * self.contract.channels as u64 * 4;
        3 * self.bytes + activations + (96 << 20)
    }
}
