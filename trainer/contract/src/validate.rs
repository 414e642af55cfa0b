//! Rules that a contract must keep, whatever wrote it.

use std::fmt;
use std::path::{Component, Path};

use crate::{Contract, Modality, Module, Unit};

/// One contradiction in a contract: the field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the field, such as `modalities.s2.mean`.
    pub field: String,
    /// What is wrong, with the value and what was expected.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Channels of the features of any model that could be run.
const MOST_CHANNELS: usize = 1 << 20;

impl Contract {
    /// Every contradiction in this contract; empty when it is sound.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Faults::default();
        if self.modalities.is_empty() {
            faults.add("modalities", "is empty, a model needs at least one of hr, s2, s1");
        }
        if self.chip_size == 0 || self.margin >= self.chip_size.div_ceil(2) {
            faults.add("chip_size", format!("{} with margin {} leaves no pixel", self.chip_size, self.margin));
        }
        if !(1..=MOST_CHANNELS).contains(&self.channels) {
            faults.add("channels", format!("is {}, expected 1 to {MOST_CHANNELS}", self.channels));
        }
        for modality in self.modalities.keys() {
            self.input_faults(*modality, &mut faults);
        }
        self.head_faults(&mut faults);
        if self.head.is_some() && !self.graphs.contains_key(&Module::Head) {
            faults.add("graphs", "has no head");
        }
        if !self.graphs.contains_key(&Module::Fusion) {
            self.alone_faults(&mut faults);
        }
        match (self.regions, self.graphs.contains_key(&Module::GeoContext)) {
            (Some(0), _) => faults.add("regions", "is 0"),
            (Some(_), false) => faults.add("regions", "is given, and graphs has no geo_context"),
            (None, true) => faults.add("regions", "is lacking, and graphs has a geo_context that asks for a region"),
            _ => {}
        }
        for (module, graph) in &self.graphs {
            check_path(&format!("graphs.{module}.path"), &graph.path, &mut faults);
            check_sum(&format!("graphs.{module}.sha256"), &graph.sha256, &mut faults);
            if let Some(data) = &graph.data {
                check_path(&format!("graphs.{module}.data.path"), &data.path, &mut faults);
                check_sum(&format!("graphs.{module}.data.sha256"), &data.sha256, &mut faults);
            }
        }
        for (index, shard) in self.weights_shards.iter().enumerate() {
            check_path(&format!("weights_shards.{index}.path"), &shard.path, &mut faults);
            check_sum(&format!("weights_shards.{index}.sha256"), &shard.sha256, &mut faults);
        }
        check_path("probe.path", &self.probe.path, &mut faults);
        check_sum("probe.sha256", &self.probe.sha256, &mut faults);
        check_sum("weights_sha256", &self.weights_sha256, &mut faults);
        let tolerances = [self.probe.absolute, self.probe.relative];
        if tolerances.iter().any(|t| !t.is_finite() || *t < 0.0) {
            faults.add("probe", format!("tolerances {tolerances:?} must be finite and not negative"));
        }
        faults.0
    }

    fn input_faults(&self, modality: Modality, faults: &mut Faults) {
        let input = &self.modalities[&modality];
        let at = |field: &str| format!("modalities.{modality}.{field}");
        let count = input.bands.len();
        if count == 0 {
            faults.add(at("bands"), "is empty");
        }
        for (index, band) in input.bands.iter().enumerate() {
            if input.bands[..index].contains(band) {
                faults.add(at("bands"), format!("names {band} twice"));
            }
        }
        for (field, values) in [("mean", &input.mean), ("std", &input.std)] {
            if values.len() != count {
                faults.add(at(field), format!("has {} values for {count} bands", values.len()));
            }
            if let Some(value) = values.iter().find(|v| !v.is_finite() || (field == "std" && **v <= 0.0)) {
                faults.add(at(field), format!("holds {value}"));
            }
        }
        if input.dates == 0 {
            faults.add(at("dates"), "is 0");
        }
        let scale = if modality == Modality::Hr { 32 } else { 1 };
        if input.scale != scale {
            faults.add(at("scale"), format!("is {}, {modality} has {scale}", input.scale));
        }
        if modality != Modality::S1 && input.unit == Unit::Decibel {
            faults.add(at("unit"), "is decibel, which only s1 has");
        }
        if !self.graphs.contains_key(&Module::from(modality)) {
            faults.add("graphs", format!("has no {modality}, an input of this model"));
        }
    }

    /// Without a fusion, a model is one encoder, and has one date.
    fn alone_faults(&self, faults: &mut Faults) {
        if self.modalities.len() > 1 {
            faults.add("graphs", "has no fusion, which brings several modalities together");
        }
        for (modality, input) in self.modalities.iter().filter(|(_, input)| input.dates > 1) {
            let message = format!("is {}, and graphs has no fusion, which brings dates together", input.dates);
            faults.add(format!("modalities.{modality}.dates"), message);
        }
        if self.graphs.contains_key(&Module::GeoContext) {
            faults.add("graphs", "has a geo_context and no fusion, whose features it reads");
        }
    }

    fn head_faults(&self, faults: &mut Faults) {
        let Some(head) = &self.head else { return };
        if head.classes.len() < 2 {
            faults.add("head.classes", format!("has {} classes, a map needs two or more", head.classes.len()));
        }
        for (index, class) in head.classes.iter().enumerate() {
            if head.classes[..index].iter().any(|other| other.value == class.value) {
                faults.add("head.classes", format!("has value {} twice", class.value));
            }
            let hexadecimal = class.color.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if class.color.len() != 6 || !hexadecimal {
                faults.add("head.classes", format!("{} has color {:?}, expected rrggbb", class.name, class.color));
            }
        }
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { field: field.into(), message: message.into() });
    }
}

/// A package names only files of its own: a path that climbs out of it is refused.
fn check_path(field: &str, path: &str, faults: &mut Faults) {
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !inside {
        faults.add(field, format!("{path:?} does not name a file inside the package"));
    }
}

fn check_sum(field: &str, sum: &str, faults: &mut Faults) {
    if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        faults.add(field, format!("{sum:?} is not a SHA-256 in lower-case hexadecimal"));
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::tests::sample;

    #[test]
    fn a_sound_contract_has_no_fault() {
        assert_eq!(sample().faults(), vec![]);
    }

    #[test]
    fn regions_belong_to_a_geo_context() {
        let fields = |contract: &crate::Contract| contract.faults().into_iter().map(|f| f.field).collect::<Vec<_>>();
        let mut contract = sample();
        contract.regions = Some(4096);
        assert_eq!(fields(&contract), ["regions"]);
        let graph = contract.graphs[&crate::Module::Fusion].clone();
        contract.graphs.insert(crate::Module::GeoContext, graph);
        assert_eq!(fields(&contract), Vec::<String>::new());
        for regions in [None, Some(0)] {
            contract.regions = regions;
            assert_eq!(fields(&contract), ["regions"]);
        }
    }

    #[test]
    fn a_model_without_a_fusion_is_one_encoder_with_one_date() {
        let mut contract = sample();
        contract.graphs.remove(&crate::Module::Fusion);
        let told = |contract: &crate::Contract| contract.faults().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(told(&contract)[0].contains("modalities.s2.dates: is 8"), "{:?}", told(&contract));
        let s2 = contract.modalities.get_mut(&crate::Modality::S2).unwrap();
        s2.dates = 1;
        let s2 = s2.clone();
        assert_eq!(told(&contract), Vec::<String>::new());
        contract.modalities.insert(crate::Modality::S1, s2);
        assert!(told(&contract).iter().any(|fault| fault.contains("several modalities")), "{:?}", told(&contract));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let mut contract = sample();
        contract.graphs.get_mut(&crate::Module::S2).unwrap().path = "../../etc/passwd".into();
        let s2 = contract.modalities.get_mut(&crate::Modality::S2).unwrap();
        s2.mean.pop();
        s2.std[0] = 0.0;
        contract.weights_sha256 = "nonsense".into();
        contract.head.as_mut().unwrap().classes[1].value = 1;
        let fields: Vec<_> = contract.faults().into_iter().map(|f| f.field).collect();
        assert_eq!(
            fields,
            ["modalities.s2.mean", "modalities.s2.std", "head.classes", "graphs.s2.path", "weights_sha256"]
        );
    }
}
