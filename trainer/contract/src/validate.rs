//! Rules that a contract must keep, whatever wrote it.

use std::fmt;
use std::path::{Component, Path};

use crate::{Contract, Modality, Module, Task, Unit, licence_fault};

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
/// Regions of a table, and prototypes of a region.
const MOST_PROTOTYPES: usize = 1 << 20;

impl Contract {
    /// Whether maps have the own pixels of a high-resolution image.
    pub fn of_pixels(&self) -> bool {
        self.modalities.get(&Modality::Hr).is_some_and(|input| input.scale == 1)
    }

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
        if let Some(fault) = licence_fault(&self.licence) {
            faults.add("licence", fault);
        }
        for modality in self.modalities.keys() {
            self.input_faults(*modality, &mut faults);
        }
        if !self.encoders.is_empty() && !self.encoders.keys().eq(self.modalities.keys()) {
            faults.add("encoders", "must name the modalities, each with its channels");
        }
        if let Some((modality, channels)) = self.encoders.iter().find(|(_, c)| !(1..=MOST_CHANNELS).contains(*c)) {
            faults.add(format!("encoders.{modality}"), format!("is {channels}, expected 1 to {MOST_CHANNELS}"));
        }
        if self.of_pixels() && (self.modalities.len() > 1 || self.graphs.contains_key(&Module::Fusion)) {
            faults
                .add("graphs", "has several modalities or a fusion, and maps of an image's own pixels are of it alone");
        }
        self.head_faults(&mut faults);
        if self.head.is_some() && !self.graphs.contains_key(&Module::Head) {
            faults.add("graphs", "has no head");
        }
        if !self.graphs.contains_key(&Module::Fusion) {
            self.alone_faults(&mut faults);
        }
        self.geo_context_faults(&mut faults);
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
        let scales: &[usize] = if modality == Modality::Hr { &[32, 1] } else { &[1] };
        if !scales.contains(&input.scale) {
            faults.add(at("scale"), format!("is {}, {modality} has {scales:?}", input.scale));
        }
        if modality != Modality::S1 && input.unit == Unit::Decibel {
            faults.add(at("unit"), "is decibel, which only s1 has");
        }
        if !self.graphs.contains_key(&Module::from(modality)) {
            faults.add("graphs", format!("has no {modality}, an input of this model"));
        }
    }

    /// Without a fusion, encoders take one date each, and stand side by side.
    fn alone_faults(&self, faults: &mut Faults) {
        let sum: usize = self.encoders.values().sum();
        if self.modalities.len() > 1 && self.encoders.is_empty() {
            faults.add("encoders", "is lacking, and graphs has no fusion, which brings several modalities together");
        }
        if !self.encoders.is_empty() && sum != self.channels {
            faults.add("channels", format!("is {}, and without a fusion those of encoders are {sum}", self.channels));
        }
        for (modality, input) in self.modalities.iter().filter(|(_, input)| input.dates > 1) {
            let message = format!("is {}, and graphs has no fusion, which brings dates together", input.dates);
            faults.add(format!("modalities.{modality}.dates"), message);
        }
        if self.graphs.contains_key(&Module::GeoContext) {
            faults.add("graphs", "has a geo_context and no fusion, whose features it reads");
        }
    }

    fn geo_context_faults(&self, faults: &mut Faults) {
        let graph = self.graphs.contains_key(&Module::GeoContext);
        let Some(context) = &self.geo_context else {
            if graph {
                faults.add("geo_context", "is lacking, and graphs has a geo_context that asks for a region");
            }
            return;
        };
        if !graph {
            faults.add("geo_context", "is given, and graphs has no geo_context");
        }
        if let Err(fault) = context.division.check() {
            faults.add("geo_context.division", fault);
        }
        if !context.cells.is_sorted_by(|a, b| a < b) {
            faults.add("geo_context.cells", "must ascend, each cell once");
        }
        if let Some(cell) = context.cells.iter().find(|cell| **cell >= context.division.cells()) {
            let division = context.division;
            faults.add("geo_context.cells", format!("names {cell}, and {division} has {}", division.cells()));
        }
        let sizes = [("regions", context.regions()), ("prototypes", context.prototypes)];
        for (name, size) in sizes.into_iter().filter(|(_, size)| !(1..=MOST_PROTOTYPES).contains(size)) {
            faults.add(format!("geo_context.{name}"), format!("is {size}, expected 1 to {MOST_PROTOTYPES}"));
        }
        if let Some(width) = context.width.filter(|width| !(1..=MOST_CHANNELS).contains(width)) {
            faults.add("geo_context.width", format!("is {width}, expected 1 to {MOST_CHANNELS}"));
        }
        if !self.channels.is_multiple_of(2) {
            faults.add("channels", format!("is {}, and prototypes are as many again as the features", self.channels));
        }
    }

    fn head_faults(&self, faults: &mut Faults) {
        let Some(head) = &self.head else { return };
        let (found, task) = (head.classes.len(), head.task);
        if let Some(detector) = &head.detector {
            detector.faults().into_iter().for_each(|fault| faults.add("head.detector", fault));
            if self.modalities.len() > 1 || self.graphs.contains_key(&Module::Fusion) {
                faults.add("graphs", "has several modalities or a fusion, and a detector looks at one image");
            }
        }
        if head.detector.is_some() != task.of_objects() {
            faults.add(
                "head.detector",
                format!("must be there where objects are found, and there alone; {task} is asked"),
            );
        }
        match task.fewest_classes() {
            Some(fewest) if found < fewest => {
                faults.add("head.classes", format!("has {found} classes, {task} needs {fewest} or more"));
            }
            None if found > 0 => faults.add("head.classes", format!("has {found} classes, {task} has none")),
            _ => {}
        }
        match &head.quantity {
            None if task == Task::Regression => faults.add("head.quantity", "is lacking, a regression is of one"),
            Some(_) if task != Task::Regression => faults.add("head.quantity", format!("is given, {task} has none")),
            Some(quantity) if !(quantity.mean.is_finite() && quantity.std.is_finite() && quantity.std > 0.0) => {
                let message =
                    format!("has mean {} and std {}, expected numbers, std above 0", quantity.mean, quantity.std);
                faults.add("head.quantity", message);
            }
            _ => {}
        }
        if let Some(temperature) = head.temperature.filter(|t| !(t.is_finite() && *t > 0.0)) {
            faults.add("head.temperature", format!("is {temperature}, expected more than 0"));
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
    use crate::{Division, GeoContext};

    #[test]
    fn a_sound_contract_has_no_fault() {
        assert_eq!(sample().faults(), vec![]);
    }

    #[test]
    fn a_geo_context_has_a_graph_and_regions_that_are_there() {
        let fields = |contract: &crate::Contract| contract.faults().into_iter().map(|f| f.field).collect::<Vec<_>>();
        let mut contract = sample();
        let sound = GeoContext { division: Division::WebMercator(2), cells: vec![3, 9], prototypes: 5, width: Some(8) };
        contract.geo_context = Some(sound.clone());
        assert_eq!(fields(&contract), ["geo_context"]);
        let graph = contract.graphs[&crate::Module::Fusion].clone();
        contract.graphs.insert(crate::Module::GeoContext, graph);
        assert_eq!(fields(&contract), Vec::<String>::new());
        for (context, field) in [
            (
                GeoContext { division: Division::EqualArea(0), cells: Vec::new(), ..sound.clone() },
                "geo_context.division",
            ),
            (GeoContext { cells: vec![9, 3], ..sound.clone() }, "geo_context.cells"),
            (GeoContext { cells: vec![3, 16], ..sound.clone() }, "geo_context.cells"),
            (GeoContext { prototypes: 0, ..sound.clone() }, "geo_context.prototypes"),
            (GeoContext { width: Some(0), ..sound.clone() }, "geo_context.width"),
        ] {
            contract.geo_context = Some(context);
            assert!(fields(&contract).contains(&field.to_owned()), "{field}: {:?}", fields(&contract));
        }
        contract.geo_context = None;
        assert_eq!(fields(&contract), ["geo_context"]);
    }

    #[test]
    fn a_model_without_a_fusion_is_encoders_with_one_date() {
        let mut contract = sample();
        contract.graphs.remove(&crate::Module::Fusion);
        let told = |contract: &crate::Contract| contract.faults().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(told(&contract)[0].contains("modalities.s2.dates: is 8"), "{:?}", told(&contract));
        let s2 = contract.modalities.get_mut(&crate::Modality::S2).unwrap();
        s2.dates = 1;
        let s2 = s2.clone();
        assert_eq!(told(&contract), Vec::<String>::new());
        contract.modalities.insert(crate::Modality::S1, s2);
        let graph = contract.graphs[&crate::Module::S2].clone();
        contract.graphs.insert(crate::Module::S1, graph);
        assert!(told(&contract).iter().any(|fault| fault.contains("several modalities")), "{:?}", told(&contract));
        contract.encoders = [(crate::Modality::S2, 20), (crate::Modality::S1, 12)].into();
        assert_eq!(told(&contract), Vec::<String>::new());
        contract.channels = 20;
        assert!(told(&contract)[0].contains("those of encoders are 32"), "{:?}", told(&contract));
        contract.encoders.remove(&crate::Modality::S1);
        assert!(told(&contract)[0].contains("must name the modalities"), "{:?}", told(&contract));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let mut contract = sample();
        contract.graphs.get_mut(&crate::Module::S2).unwrap().path = "../../etc/passwd".into();
        let s2 = contract.modalities.get_mut(&crate::Modality::S2).unwrap();
        s2.mean.pop();
        s2.std[0] = 0.0;
        contract.weights_sha256 = "nonsense".into();
        contract.licence = "for research".into();
        contract.head.as_mut().unwrap().classes[1].value = 1;
        let fields: Vec<_> = contract.faults().into_iter().map(|f| f.field).collect();
        assert_eq!(
            fields,
            ["licence", "modalities.s2.mean", "modalities.s2.std", "head.classes", "graphs.s2.path", "weights_sha256"]
        );
    }
}
