//! A model card: what a package says of itself, as Markdown for people.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{Contract, EVALUATION_FILE, MLM_FILE, Module, Package, Task};

/// Notes that a section of the card tells, and what is a line and no text; the others are listed at its end.
const TOLD: &[&str] = &["reduced", "scores", "curve", "settings", "imported_from", "choices", "conversions"];

impl Package {
    /// The model card, from the package alone: its contract, its STAC item and the sizes of its files. The same package
    /// gives the same text.
    pub fn card(&self) -> String {
        let contract = self.contract();
        let text = std::fs::read_to_string(self.folder().join(MLM_FILE)).unwrap_or_default();
        // An item that is lacking or damaged says nothing of place, time and size; `skysense model verify` names it.
        let item: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut card = Card(String::new());
        card.head(contract, &item);
        card.inputs(contract);
        card.output(contract);
        card.training(contract, &item);
        card.evaluation(contract, self.evaluation().as_ref());
        card.notes(contract);
        card.files(self);
        card.0
    }
}

impl Package {
    /// What an evaluation of its maps found, where one was put beside the weights that it was of.
    fn evaluation(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.folder().join(EVALUATION_FILE)).ok()?;
        let found: Value = serde_json::from_str(&text).ok()?;
        let of = found["about"]["weights_sha256"].as_str()?;
        (of == self.contract().weights_sha256).then_some(found)
    }
}

struct Card(String);

impl Card {
    fn line(&mut self, line: impl AsRef<str>) {
        self.0.push_str(line.as_ref());
        self.0.push('\n');
    }

    fn section(&mut self, name: &str) {
        self.line(format!("\n## {name}\n"));
    }

    /// Head of a table.
    fn table(&mut self, columns: &[&str]) {
        self.row(columns);
        self.row(&vec!["---"; columns.len()]);
    }

    fn row(&mut self, cells: &[&str]) {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        self.line(format!("| {} |", cells.join(" | ")));
    }

    fn head(&mut self, contract: &Contract, item: &Value) {
        self.line(format!("# {}\n", contract.name));
        let task = contract.head.as_ref().map_or("features", |head| head.task.name());
        let modules: Vec<&str> = contract.graphs.keys().map(|module| module.name()).collect();
        self.line(format!(
            "A SkySense model ({}) for {task}, as ONNX graphs of its modules: {}.\n",
            contract.preset,
            modules.join(", ")
        ));
        self.table(&["", ""]);
        self.row(&["Licence of the weights", &contract.licence]);
        self.row(&["Precision", &contract.precision()]);
        if let Some(count) = item["properties"]["mlm:total_parameters"].as_u64() {
            self.row(&["Parameters", &count.to_string()]);
        }
        let side = contract.chip_size;
        self.row(&["Chip", &format!("{side} × {side} {}", pixel(contract).replace("pixel", "pixels"))]);
        self.row(&["Rim of a chip that is cut", &format!("{} pixels", contract.margin)]);
        let calendar = match contract.calendar {
            crate::Calendar::None => "none",
            crate::Calendar::S2Only => "on Sentinel-2 dates",
            crate::Calendar::All => "on all dates",
        };
        self.row(&["Day of the year", calendar]);
        if let Some(context) = &contract.geo_context {
            let regions = match context.cells.len() {
                0 => context.regions().to_string(),
                known => format!("{known} of {}", context.division.cells()),
            };
            self.row(&["Regions with prototypes", &format!("{regions}, {}", context.division)]);
            let width = match context.width {
                Some(width) => format!("{width} channels, with projections"),
                None => "as wide as the features".into(),
            };
            self.row(&["Prototypes of a region", &format!("{}, {width}", context.prototypes)]);
        }
    }

    fn inputs(&mut self, contract: &Contract) {
        self.section("Inputs");
        self.line("Any subset of these may be given. Pixels go in as they are: the graphs normalise, (pixel − mean) / deviation.");
        for (modality, input) in &contract.modalities {
            let side = contract.chip_size * input.scale;
            let dtype = match input.dtype {
                crate::Dtype::U8 => "unsigned 8 bit",
                crate::Dtype::I16 => "signed 16 bit",
                crate::Dtype::F32 => "32 bit float",
            };
            let unit = match input.unit {
                crate::Unit::ReflectanceE4 => "reflectance × 10000 without offset",
                crate::Unit::Decibel => "backscatter in dB",
                crate::Unit::Byte => "display values, 0 to 255",
            };
            self.line(format!(
                "\n`{modality}`: {} bands in this order, {unit}, {dtype}, {side} × {side} pixels, up to {} dates.\n",
                input.bands.len(),
                input.dates
            ));
            self.table(&["band", "mean", "deviation"]);
            for ((band, mean), std) in input.bands.iter().zip(&input.mean).zip(&input.std) {
                self.row(&[band, &mean.to_string(), &std.to_string()]);
            }
        }
    }

    fn output(&mut self, contract: &Contract) {
        self.section("Output");
        let Some(head) = &contract.head else {
            self.line(format!("Features, {} channels for each {}.", contract.channels, pixel(contract)));
            return;
        };
        if let Some(quantity) = &head.quantity {
            let unit = if quantity.unit.is_empty() { "no unit" } else { &quantity.unit };
            let name = &quantity.name;
            self.line(format!(
                "{name} ({unit}) for each {}, or features of {} channels.",
                pixel(contract),
                contract.channels
            ));
            return;
        }
        let of = match head.task {
            Task::Classification | Task::MultiLabel => "chip".into(),
            Task::Detection | Task::OrientedDetection => "object".into(),
            Task::Change => format!("{}, from two times", pixel(contract)),
            Task::Segmentation | Task::Regression => pixel(contract).to_owned(),
        };
        let classes = head.classes.len();
        self.line(match &head.detector {
            Some(detector) => {
                let boxes = if detector.rotated { "Rotated" } else { "Upright" };
                format!("{boxes} boxes of objects of {classes} classes, each with a score.\n")
            }
            None => {
                let channels = contract.channels;
                format!("Probabilities of {classes} classes for each {of}, or features of {channels} channels.\n")
            }
        });
        if let Some(temperature) = head.temperature {
            self.line(format!("Calibrated: logits are divided by {temperature:.4}.\n"));
        }
        self.table(&["value", "class", "colour"]);
        for class in &head.classes {
            self.row(&[&class.value.to_string(), &class.name, &format!("#{}", class.color)]);
        }
    }

    fn training(&mut self, contract: &Contract, item: &Value) {
        self.section("Training");
        let note = |name: &str| contract.notes.get(name).filter(|note| !note.is_null());
        let before = self.0.len();
        if let Some(bbox) = item["bbox"].as_array() {
            let sides: Vec<String> = bbox.iter().map(ToString::to_string).collect();
            self.line(format!("- area (west, south, east, north): {}", sides.join(", ")));
        }
        if let (Some(start), Some(end), false) = (
            item["properties"]["start_datetime"].as_str(),
            item["properties"]["end_datetime"].as_str(),
            item["bbox"].is_null(),
        ) {
            self.line(format!("- period: {start} to {end}"));
        }
        for (name, title) in [
            ("imported_from", "weights imported from"),
            ("conversions", "conversions of the weights"),
            ("choices", "what the files do not say"),
            ("settings", "settings"),
        ] {
            if let Some(value) = note(name) {
                self.value(0, title, value);
            }
        }
        if before == self.0.len() {
            self.line("The package says nothing of it.");
        }
    }

    /// How good it is: what training saw, what evaluation of maps saw, and what a smaller precision costs.
    fn evaluation(&mut self, contract: &Contract, evaluation: Option<&Value>) {
        self.section("Evaluation");
        let note = |name: &str| contract.notes.get(name).filter(|note| !note.is_null());
        let scores = note("scores");
        let reduced = contract.reduced();
        if let Some(value) = scores {
            self.value(0, "scores", value);
        }
        if let Some(reduced) = &reduced {
            self.line(format!(
                "- against the float model of weights {}: cosine of features {}, largest difference {}, on its probe",
                reduced.from_weights_sha256, reduced.feature_cosine, reduced.largest_difference
            ));
            if let Some(calibration) = &reduced.calibration {
                self.line(format!("- calibration: {calibration}"));
            }
            if reduced.batch_dependent {
                self.line("- what a graph gives depends on its batch: chips are run one at a time");
            }
        }
        if let Some(evaluation) = evaluation {
            self.maps(evaluation);
        }
        if scores.is_none() && reduced.is_none() && evaluation.is_none() {
            self.line("The package holds no evaluation.");
        }
    }

    /// What an evaluation of maps against labels found.
    fn maps(&mut self, evaluation: &Value) {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let number = |value: &Value| value.as_f64().map_or("–".to_owned(), |value| format!("{value:.4}"));
        let about = &evaluation["about"];
        let labels: Vec<String> = about["labels"].as_array().into_iter().flatten().map(text).collect();
        self.line(format!(
            "\nMaps of {}, {} of them, held against {}:\n",
            text(&about["part"]),
            evaluation["count"],
            labels.join(", ")
        ));
        self.table(&["score", "value", "95 % interval"]);
        for score in evaluation["scores"].as_array().into_iter().flatten() {
            let interval = &score["interval"];
            let between = match interval.is_object() {
                true => format!("{} to {}", number(&interval["lower"]), number(&interval["upper"])),
                false => "–".into(),
            };
            self.row(&[&text(&score["name"]), &number(&score["value"]), &between]);
        }
        let classes = evaluation["classes"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !classes.is_empty() {
            self.line("");
            self.table(&["class", "count", "IoU", "F1", "precision", "recall"]);
        }
        for class in classes {
            let cells = ["iou", "f1", "precision", "recall"].map(|name| number(&class[name]));
            let [iou, f1, precision, recall] = &cells;
            self.row(&[&text(&class["name"]), &class["count"].to_string(), iou, f1, precision, recall]);
        }
    }

    fn notes(&mut self, contract: &Contract) {
        let others: Vec<_> = contract.notes.iter().filter(|(name, _)| !TOLD.contains(&name.as_str())).collect();
        if others.is_empty() {
            return;
        }
        self.section("Notes");
        for (name, value) in others {
            self.value(0, name, value);
        }
    }

    /// A value of JSON as a list.
    fn value(&mut self, depth: usize, name: &str, value: &Value) {
        let pad = "  ".repeat(depth);
        let plain = |value: &Value| match value {
            Value::Object(fields) if !fields.is_empty() => None,
            Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => None,
            Value::Array(items) if items.is_empty() => Some("none".to_owned()),
            Value::Array(items) => {
                let words = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
                Some(words.collect::<Vec<_>>().join(", "))
            }
            Value::String(text) => Some(text.replace('\n', " ")),
            Value::Null => Some("none".to_owned()),
            other => Some(other.to_string()),
        };
        if let Some(text) = plain(value) {
            self.line(format!("{pad}- {name}: {text}"));
            return;
        }
        self.line(format!("{pad}- {name}:"));
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.value(depth + 1, name, value)),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(depth + 1, &(index + 1).to_string(), item);
                }
            }
            _ => {}
        }
    }

    fn files(&mut self, package: &Package) {
        self.section("Files");
        let contract = package.contract();
        let probe = &contract.probe;
        self.line(format!(
            "`skysense model verify` checks these, opens the graphs and runs the probe (|a − b| ≤ {:e} + {:e}·|b|).\n",
            probe.absolute, probe.relative
        ));
        self.table(&["file", "bytes", "SHA-256"]);
        for (path, sum) in package.sums() {
            let size = std::fs::metadata(package.folder().join(path))
                .map_or_else(|_| "lacking".into(), |about| about.len().to_string());
            self.row(&[path, &size, sum]);
        }
        let detector = contract.head.as_ref().is_some_and(|head| head.detector.is_some());
        let shapes = contract.graphs.keys().map(|module| match (detector, module) {
            (true, Module::Head) => {
                (*module, "`pooled` [region, channel, row, column] → `logits`, `codes` [region, …]")
            }
            (true, _) => {
                (*module, "`pixels` [batch, band, row, column] → `objectness`, `codes`, `features` of each level")
            }
            (false, Module::Hr) if contract.of_pixels() => {
                (Module::Hr, "`pixels` [batch, band, height, width] → `features` [batch, channel, height, width]")
            }
            (false, module) => (*module, shape(*module)),
        });
        self.section("Graphs");
        for (module, shape) in shapes {
            let _infallible = writeln!(self.0, "- `{module}`: {shape}");
        }
    }
}

/// What maps have one value for.
fn pixel(contract: &Contract) -> &'static str {
    if contract.of_pixels() { "pixel of the image" } else { "pixel of 10 m" }
}

/// What goes into a graph and what comes out.
fn shape(module: Module) -> &'static str {
    match module {
        Module::Hr => "`pixels` [batch, band, 32·height, 32·width] → `features` [batch, channel, height, width]",
        Module::S2 | Module::S1 => "`pixels` [dates, band, height, width] → `features` [dates, channel, height, width]",
        Module::Fusion => {
            "`tokens` [batch, time, channel, height, width], `day`, `calendar`, `present` [batch, time] → `features` [batch, channel, height, width]"
        }
        Module::GeoContext => "`features`, `region` [batch] → `features` with prototypes attached",
        Module::Head => "`features` [batch, channel, height, width] → `logits` [batch, class, height, width]",
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::tests::sample;
    use crate::{MlmContext, Module, PackageWriter};

    #[test]
    fn a_card_says_what_the_package_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = PackageWriter::new(folder.path().join("model")).unwrap();
        for module in [Module::S2, Module::Fusion, Module::Head] {
            writer.graph(module, module.name().as_bytes(), None).unwrap();
        }
        writer.weights(b"weights").unwrap();
        writer.probe(b"probe", 1e-4, 1e-4).unwrap();
        let mut contract = sample();
        contract.head.as_mut().unwrap().classes[0].name = "wa|ter".into();
        let context = MlmContext {
            bbox: Some([14.0, 46.0, 15.0, 47.0]),
            geometry: Some(serde_json::json!({"type": "Point", "coordinates": [14.0, 46.0]})),
            period: Some(("2015-07-11T00:00:00Z".into(), "2015-09-09T00:00:00Z".into())),
            parameters: Some(12),
        };
        let package = writer.finish(contract, &context).unwrap();
        let none = package.card();
        let weights = &package.contract().weights_sha256;
        let evaluation = |weights: &str| {
            let interval = serde_json::json!({"lower": 0.4, "upper": 0.6});
            let found = serde_json::json!({
                "about": {"part": "the east", "labels": ["fields"], "weights_sha256": weights},
                "count": 12,
                "scores": [{"name": "mean_iou", "value": 0.5, "interval": interval}, {"name": "kappa", "value": null}],
                "classes": [{"name": "wa|ter", "count": 7, "iou": 0.25, "f1": null}],
            });
            std::fs::write(package.folder().join(crate::EVALUATION_FILE), found.to_string()).unwrap();
        };
        // That of other weights says nothing of these.
        evaluation(&"0".repeat(64));
        assert_eq!(package.card(), none);
        evaluation(weights);
        package.verify().unwrap();
        let card = package.card();
        for part in [
            "# sample\n",
            "| Licence of the weights | Apache-2.0 |",
            "| Precision | f32 |",
            "| Parameters | 12 |",
            "| Chip | 16 × 16 pixels of 10 m |",
            "reflectance × 10000 without offset, signed 16 bit, 16 × 16 pixels, up to 8 dates",
            "| B02 | 884.29673756 | 1155 |",
            "| 1 | wa\\|ter | #000000 |",
            "- area (west, south, east, north): 14.0, 46.0, 15.0, 47.0",
            "- period: 2015-07-11T00:00:00Z",
            "  - oa: 0.5",
            "Maps of the east, 12 of them, held against fields:",
            "| mean_iou | 0.5000 | 0.4000 to 0.6000 |",
            "| kappa | – | – |",
            "| wa\\|ter | 7 | 0.2500 | – | – | – |",
            &format!("| weights.safetensors | 7 | {} |", package.contract().weights_sha256),
        ] {
            assert!(card.contains(part), "{part} is not in:\n{card}");
        }
        assert_eq!(card, package.card());
        assert!(!card.contains(&folder.path().display().to_string()), "no path of the machine");
    }
}
