//! What a run starts from: inputs with their normalisation, chip size, bands, weights.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;
use skysense_contract::{
    BandRule, CONTRACT_VERSION, Calendar, Contract, GeoContext, Head, Input, Modality, Offer, Package, Probe,
    licence_fault,
};
use skysense_model::{SkySense, SkySenseConfig, preset};

use crate::dataset::Bands;
use crate::encoder::EncoderConfig;
use crate::network::{Network, load_encoder, preset_names, random_encoder};
use crate::normalise::{Normalisation, Statistics, measured, published};
use crate::tensors::{architecture, holds_checkpoint, lacks_weights};
use crate::{FinetuneConfig, Recipe, Sample, Start, TrainError};

/// What a run starts from.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Inputs of the model; of a package also those that the samples lack.
    pub(crate) inputs: BTreeMap<Modality, Input>,
    /// Where the model's bands lie in the samples.
    pub(crate) bands: BTreeMap<Modality, Bands>,
    pub(crate) chip_size: usize,
    pub(crate) calendar: Calendar,
    /// Prototypes by region, where the model has them.
    pub(crate) geo_context: Option<GeoContext>,
    pub(crate) preset: String,
    /// The package that was started from.
    pub(crate) package: Option<Package>,
    /// What the normalisation is of, for the notes.
    pub(crate) normalisation: String,
}

/// Decides all that follows from offers and settings alone. Normalisation and calendar are for a preset; a package
/// brings its own.
pub(crate) fn setup(
    samples: &[Sample],
    offers: &BTreeMap<Modality, Offer>,
    recipe: &Recipe,
) -> Result<Setup, TrainError> {
    setup_measuring(offers, recipe, &|| measured(&samples, offers))
}

/// The same where the samples are looked at by `measure`, and only if their statistics are asked for.
pub(crate) fn setup_measuring(
    offers: &BTreeMap<Modality, Offer>,
    recipe: &Recipe,
    measure: &dyn Fn() -> Result<Statistics, TrainError>,
) -> Result<Setup, TrainError> {
    match &recipe.start {
        Start::Preset(name) => from_preset(name, measure, offers, recipe),
        Start::Package(path) => from_package(Package::open(path)?, offers),
    }
}

fn from_preset(
    preset: &str,
    measure: &dyn Fn() -> Result<Statistics, TrainError>,
    offers: &BTreeMap<Modality, Offer>,
    recipe: &Recipe,
) -> Result<Setup, TrainError> {
    if !preset_names().iter().any(|known| known == preset) {
        return Err(TrainError::Preset { name: preset.into(), known: preset_names() });
    }
    let chip_size = chip_size(offers)?;
    let (statistics, normalisation) = match recipe.normalisation {
        Normalisation::Samples => (measure()?, "valid pixels of the samples"),
        Normalisation::Skysense => (published(offers)?, "constants of the official code"),
    };
    let input = |(modality, offer): (&Modality, &Offer)| {
        let (mean, std) = statistics[modality].clone();
        let input = Input {
            bands: offer.bands.clone(),
            unit: offer.unit,
            dtype: offer.dtype,
            mean,
            std,
            dates: offer.dates.max(1),
            scale: offer.scale,
        };
        (*modality, input)
    };
    let bands = |(modality, offer): (&Modality, &Offer)| {
        let of = offer.bands.len();
        (*modality, Bands { sources: (0..of).collect(), of })
    };
    Ok(Setup {
        inputs: offers.iter().map(input).collect(),
        bands: offers.iter().map(bands).collect(),
        chip_size,
        calendar: if of_pixels(offers) { Calendar::None } else { recipe.calendar },
        geo_context: None,
        preset: preset.into(),
        package: None,
        normalisation: normalisation.into(),
    })
}

/// That of a package, for samples like `offers`.
pub(crate) fn from_package(package: Package, offers: &BTreeMap<Modality, Offer>) -> Result<Setup, TrainError> {
    // Told while planning, and not after all samples were read.
    architecture(&package)?;
    if !holds_checkpoint(package.contract()) {
        return Err(lacks_weights(&package));
    }
    let contract = if of_pixels(offers) { at_pixels(package.contract(), offers) } else { package.contract().clone() };
    Ok(Setup {
        bands: bands(&contract, offers)?,
        inputs: contract.modalities,
        chip_size: contract.chip_size,
        calendar: contract.calendar,
        geo_context: contract.geo_context,
        preset: contract.preset,
        normalisation: format!("of model {}", contract.name),
        package: Some(package),
    })
}

/// Whether samples are to be mapped at the own pixels of a high-resolution image.
fn of_pixels(offers: &BTreeMap<Modality, Offer>) -> bool {
    offers.get(&Modality::Hr).is_some_and(|offer| offer.scale == 1)
}

/// What remains of a model's contract where its high-resolution encoder alone maps an image's own pixels: chips may have
/// another side then.
fn at_pixels(contract: &Contract, offers: &BTreeMap<Modality, Offer>) -> Contract {
    let mut contract = contract.clone();
    if contract.of_pixels() {
        return contract;
    }
    contract.modalities.retain(|modality, _| *modality == Modality::Hr);
    for input in contract.modalities.values_mut() {
        (input.scale, input.dates) = (1, 1);
    }
    contract.chip_size = offers[&Modality::Hr].size;
    (contract.calendar, contract.geo_context) = (Calendar::None, None);
    contract
}

/// Where the bands of a model lie in samples like `offers`.
pub(crate) fn bands(
    contract: &Contract,
    offers: &BTreeMap<Modality, Offer>,
) -> Result<BTreeMap<Modality, Bands>, TrainError> {
    let binding = contract.bind(offers, BandRule::All)?;
    let bands = |modality: Modality| {
        let sources = binding.bands(modality)?.iter().copied().collect::<Option<Vec<usize>>>()?;
        Some((modality, Bands { sources, of: offers[&modality].bands.len() }))
    };
    Ok(binding.modalities().filter_map(bands).collect())
}

impl Setup {
    /// Sizes of the modules: those that the package states, else the preset's.
    pub(crate) fn architecture(&self) -> Result<SkySenseConfig, TrainError> {
        match &self.package {
            Some(package) => architecture(package),
            None => Ok(preset(&self.preset)?),
        }
    }

    /// Whether maps have the own pixels of a high-resolution image.
    pub(crate) fn of_pixels(&self) -> bool {
        self.inputs.get(&Modality::Hr).is_some_and(|input| input.scale == 1)
    }

    /// Side of the blocks of the map that train or validate as a whole, of which `block` is wanted: where the map has an
    /// image's own pixels a chip at least, for a few of those show much the same.
    pub(crate) fn block(&self, block: usize) -> usize {
        if self.of_pixels() { block.max(self.chip_size) } else { block }
    }

    /// Without the prototypes of the package, unless they are wanted.
    pub(crate) fn with_prototypes(mut self, wanted: bool) -> Self {
        self.geo_context = self.geo_context.filter(|_| wanted);
        self
    }

    /// What the weights are at the start, for notes and for telling runs apart: the same wherever a package lies.
    pub(crate) fn start(&self) -> serde_json::Value {
        match &self.package {
            Some(package) => {
                let contract = package.contract();
                serde_json::json!({"package": contract.name, "weights_sha256": contract.weights_sha256})
            }
            None => serde_json::json!({"preset": self.preset}),
        }
    }

    /// The contract of a model that starts from this, without what comes with the run: normalisation, graphs, probe,
    /// checksums, notes.
    pub(crate) fn contract(&self, name: &str, licence: &str, head: Option<Head>) -> Result<Contract, TrainError> {
        check_licence(licence)?;
        let (channels, tokens) = if self.of_pixels() {
            let channels = EncoderConfig::of(self)?.channels();
            (channels, channels)
        } else {
            let fusion = self.architecture()?.fusion;
            let twice = if self.geo_context.is_some() { 2 } else { 1 };
            (twice * fusion.channels, fusion.channels_in)
        };
        Ok(Contract {
            contract: CONTRACT_VERSION,
            name: name.into(),
            preset: self.preset.clone(),
            modalities: self.inputs.clone(),
            chip_size: self.chip_size,
            // Attention reaches over the whole chip, so no pixel is free of the rim; an eighth is where tokens of the
            // patch grid and the head's convolution stop meeting padding. Our choice.
            margin: self.chip_size / 8,
            channels,
            calendar: self.calendar,
            encoders: self.inputs.keys().map(|modality| (*modality, tokens)).collect(),
            geo_context: self.geo_context.clone(),
            head,
            graphs: BTreeMap::new(),
            probe: Probe { path: String::new(), sha256: String::new(), absolute: 0.0, relative: 0.0 },
            licence: licence.into(),
            weights_sha256: String::new(),
            weights_shards: Vec::new(),
            architecture: self.package.as_ref().and_then(|package| package.contract().architecture.clone()),
            notes: BTreeMap::new(),
        })
    }

    /// The encoder with its weights at the start: those of the package, else drawn from the seed.
    pub(crate) fn encoder(&self, seed: u64, device: &Device) -> Result<SkySense, TrainError> {
        let encoder = random_encoder(self, seed, device)?;
        match &self.package {
            Some(package) => Ok(load_encoder(encoder, package)?.0.set_require_grad(true)),
            None => Ok(encoder),
        }
    }

    /// The network with its weights at the start.
    ///
    /// It is made on the CPU, so that a seed gives the same weights on every device.
    pub(crate) fn network(&self, config: &FinetuneConfig, device: &Device) -> Result<Network, TrainError> {
        let cpu = Device::flex().autodiff();
        let head = config.head_record();
        let network = Network::random(self, &head, config.recipe.seed, &cpu)?;
        let network = match &self.package {
            Some(package) => network.load(package, &head)?,
            None => network,
        };
        let network = match config.lora {
            Some(lora) => {
                Network { encoder: lora.attached(network.encoder, config.recipe.seed, &cpu), head: network.head }
            }
            None => network,
        };
        Ok(if *device == cpu { network } else { network.fork(device) })
    }
}

/// Refuses a licence that no package may have, before anything is made.
pub(crate) fn check_licence(licence: &str) -> Result<(), TrainError> {
    licence_fault(licence).map_or(Ok(()), |_| {
        let expected = "an SPDX expression such as CC-BY-4.0, LicenseRef-NAME for others, or proprietary".into();
        Err(TrainError::Setting { setting: "licence", value: format!("{licence:?}"), expected })
    })
}

/// Chip side on the grid of the map, the same for all modalities.
fn chip_size(offers: &BTreeMap<Modality, Offer>) -> Result<usize, TrainError> {
    let fault =
        |value: String, expected: &str| TrainError::Setting { setting: "offers", value, expected: expected.into() };
    let mut sizes: Vec<usize> = Vec::new();
    for (modality, offer) in offers {
        let scales: &[usize] = if *modality == Modality::Hr { &[32, 1] } else { &[1] };
        if !scales.contains(&offer.scale) {
            let value = format!("{modality} with {} pixels along one of the grid", offer.scale);
            return Err(fault(value, &format!("one of {scales:?}")));
        }
        if offer.size == 0 || offer.size % offer.scale != 0 || offer.bands.is_empty() {
            let value = format!("{modality} with {} pixels and {} bands", offer.size, offer.bands.len());
            return Err(fault(value, "bands, and a side that the grid divides"));
        }
        if of_pixels(offers) && (offers.len() > 1 || offer.dates > 1) {
            let value = format!("hr_scale: 1, and {modality} with {} dates", offer.dates);
            return Err(fault(value, "one high-resolution image a chip, for nothing brings more together there"));
        }
        sizes.push(offer.size / offer.scale);
    }
    sizes.dedup();
    match sizes[..] {
        [size] => Ok(size),
        _ => Err(fault(format!("chip sides {sizes:?}"), "one chip side on the 10 m grid for all modalities")),
    }
}

#[cfg(test)]
mod tests {
    use skysense_contract::{Dtype, Unit};

    use super::*;

    fn offer(size: usize, scale: usize) -> Offer {
        Offer { bands: vec!["a".into()], unit: Unit::Byte, dtype: Dtype::U8, dates: 1, size, scale }
    }

    #[test]
    fn all_modalities_lie_on_one_footprint() {
        let offers = BTreeMap::from([(Modality::Hr, offer(512, 32)), (Modality::S2, offer(16, 1))]);
        assert_eq!(chip_size(&offers).unwrap(), 16);
        let offers = BTreeMap::from([(Modality::Hr, offer(512, 32)), (Modality::S2, offer(32, 1))]);
        assert!(chip_size(&offers).unwrap_err().to_string().contains("[16, 32]"));
        assert!(chip_size(&BTreeMap::from([(Modality::Hr, offer(500, 32))])).is_err());
        assert!(chip_size(&BTreeMap::new()).is_err());
        // At an image's own pixels nothing is beside it.
        assert_eq!(chip_size(&BTreeMap::from([(Modality::Hr, offer(250, 1))])).unwrap(), 250);
        let both = BTreeMap::from([(Modality::Hr, offer(16, 1)), (Modality::S2, offer(16, 1))]);
        assert!(chip_size(&both).unwrap_err().to_string().contains("hr_scale: 1"));
        let two = BTreeMap::from([(Modality::Hr, Offer { dates: 2, ..offer(16, 1) })]);
        assert!(chip_size(&two).is_err());
    }
}
