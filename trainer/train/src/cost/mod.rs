//! What a preset costs: parameters, FLOPs, memory and GPU days, without making a model.

mod report;
mod request;

use skysense_model::cost::{Chip, flops, memory, parameters};
use skysense_model::{SegmentationHeadConfig, SkySenseConfig};

use crate::{Recipe, TrainError};
pub use report::{ByModule, Cost, DatesRow, FlopsReport, MemoryReport};
pub use request::{CostRequest, GeoContextRequest};

/// Numbers of dates that the table of FLOPs has a row for.
const DATES: [usize; 6] = [1, 2, 4, 8, 16, 32];

const SECONDS_OF_A_DAY: f64 = 86_400.0;

/// Counts what a preset costs.
///
/// # Errors
/// [`TrainError`]: an unknown preset, a setting out of range, a chip that the model cannot read.
pub fn cost(request: &CostRequest) -> Result<Cost, TrainError> {
    request.check()?;
    let (config, head) = request.model()?;
    let chip = Chip { size: request.chip_size, dates_s2: request.dates_s2, dates_s1: request.dates_s1 };
    chip.check(&config)?;
    let mut counts: Vec<_> =
        parameters::by_module(&config).into_iter().map(|(name, count)| (name, count as u64)).collect();
    counts.push(("segmentation_head", parameters::segmentation_head(&head) as u64));
    let flops = flops_report(&config, &head, chip);
    let operations = request.samples.map(|samples| samples as f64 * flops.training.total() as f64);
    Ok(Cost {
        parameters: ByModule(counts),
        memory: memory_report(&config, &head, chip, request),
        gpu_days: operations.map(|operations| operations / (request.tflops * 1e12) / SECONDS_OF_A_DAY),
        flops,
        settings: request.clone(),
    })
}

fn flops_report(config: &SkySenseConfig, head: &SegmentationHeadConfig, chip: Chip) -> FlopsReport {
    let counted = |chip: Chip| {
        let mut counts = flops::by_module(config, chip);
        counts.push(("segmentation_head", flops::segmentation_head(head) * (chip.size * chip.size)));
        counts
    };
    let forward = |chip: Chip| ByModule(counted(chip).into_iter().map(|(name, count)| (name, count.forward)).collect());
    let row = |dates| {
        let counts = forward(Chip { dates_s2: dates, dates_s1: dates, ..chip });
        let series = |encoder: &str, head: &str| Some(counts.get(encoder)? + counts.get(head)?);
        DatesRow {
            dates,
            s2: series("s2", "head_s2"),
            s1: series("s1", "head_s1"),
            fusion: counts.get("fusion").unwrap_or_default(),
            total: counts.total(),
        }
    };
    FlopsReport {
        forward: forward(chip),
        training: ByModule(counted(chip).into_iter().map(|(name, count)| (name, count.training())).collect()),
        by_dates: DATES.into_iter().map(row).collect(),
    }
}

fn memory_report(
    config: &SkySenseConfig,
    head: &SegmentationHeadConfig,
    chip: Chip,
    request: &CostRequest,
) -> MemoryReport {
    let batch = request.batch as u64;
    let mode = memory::Mode {
        precision: request.precision,
        checkpointing: request.checkpointing,
        parts: Recipe::default().parts as u64,
    };
    let inference = memory::inference(config, head, chip, batch);
    let training = memory::training(mode, config, head, chip, batch);
    MemoryReport {
        inference: ByModule(vec![("parameters", inference.parameters), ("activations", inference.activations)]),
        training: ByModule(vec![
            ("parameters", training.parameters),
            ("gradients", training.gradients),
            ("optimiser", training.optimiser),
            ("activations", training.activations),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use skysense_contract::Modality;

    use super::request::MOST;
    use super::*;

    fn prototypes(regions: usize, prototypes: usize, width: Option<usize>) -> Option<GeoContextRequest> {
        Some(GeoContextRequest { regions, prototypes, width })
    }

    #[test]
    fn the_papers_preset_is_about_two_billion_with_prototypes() {
        let request = CostRequest { geo_context: prototypes(4096, 100, None), ..CostRequest::new("skysense") };
        let answer = serde_json::to_value(cost(&request).unwrap()).unwrap();
        let parameters = &answer["parameters"];
        assert_eq!(parameters["hr"], 655_079_632);
        assert_eq!(parameters["geo_context"], 4096 * 100 * 1024);
        let sum: u64 = parameters
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "total")
            .map(|e| e.1.as_u64().unwrap())
            .sum();
        assert_eq!(parameters["total"], sum);
        assert_eq!(parameters["segmentation_head"], (9 * 2048 + 1) * 64 + 65 * 10);
        assert_eq!(answer["gpu_days"], serde_json::Value::Null);
    }

    #[test]
    fn dates_scale_the_series_and_days_the_samples() {
        let mut request = CostRequest { samples: Some(1_000_000), ..CostRequest::new("small") };
        let one = cost(&request).unwrap();
        request.dates_s2 *= 2;
        request.tflops /= 2.0;
        let two = cost(&request).unwrap();
        let s2 = |cost: &Cost| cost.flops.forward.get("s2").unwrap();
        assert_eq!(2 * s2(&one), s2(&two));
        let days = two.gpu_days.unwrap();
        assert!(days > 2.0 * one.gpu_days.unwrap());
        let seconds = 1e6 * two.flops.training.total() as f64 / 15e12;
        assert!((days * 86_400.0 / seconds - 1.0).abs() < 1e-12);
        let row = one.flops.by_dates.iter().find(|row| row.dates == 8).unwrap();
        assert_eq!(row.s2.unwrap(), s2(&one) + one.flops.forward.get("head_s2").unwrap());
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let fault = |change: &dyn Fn(&mut CostRequest)| {
            let mut request = CostRequest::new("skysense");
            change(&mut request);
            cost(&request).unwrap_err().to_string()
        };
        assert!(fault(&|r| r.preset = "huge".into()).contains("tiny"));
        assert!(fault(&|r| r.chip_size = 0).contains("chip_size is 0"));
        assert!(fault(&|r| r.chip_size = 18).contains("multiple of 4"));
        assert!(fault(&|r| r.chip_size = 4).contains("smaller than the window"));
        assert!(fault(&|r| r.dates_s1 = 0).contains("dates_s1 is 0"));
        assert!(fault(&|r| r.batch = 1 << 40).contains("1 to 1024"));
        assert!(fault(&|r| r.tflops = f64::NAN).contains("NaN"));
        assert!(fault(&|r| r.modalities.clear()).contains("hr, s2, s1"));
        assert!(fault(&|r| r.geo_context = prototypes(8, 8, Some(512))).contains("512"));
        let mut alone = CostRequest { modalities: vec![Modality::Hr], ..CostRequest::new("skysense") };
        (alone.dates_s2, alone.dates_s1) = (0, 0);
        assert_eq!(cost(&alone).unwrap().parameters.get("s2"), None);
    }

    #[test]
    fn the_largest_settings_stay_in_range() {
        let mut request = CostRequest {
            geo_context: prototypes(MOST.regions, MOST.prototypes, None),
            ..CostRequest::new("skysense")
        };
        (request.chip_size, request.dates_s2, request.dates_s1) = (MOST.chip_size, MOST.dates, MOST.dates);
        (request.batch, request.classes, request.positions) = (MOST.batch, MOST.classes, Some(MOST.positions));
        // Arithmetic that overflows panics in a build with checks.
        assert!(cost(&request).unwrap().memory.training.total() > 0);
    }

    /// A row for each preset, as docs/MODEL.md has them.
    fn table() -> String {
        let head = "| preset | hr | s2 | s1 | both up heads | fusion | all | GFLOP forward | GFLOP training | MiB inference | \
                    MiB training |\n|";
        let row = |name: &str| {
            let cost = cost(&CostRequest::new(name)).unwrap();
            let million = |count: u64| format!("{:.3}", count as f64 / 1e6);
            let of = |name: &str| cost.parameters.get(name).unwrap();
            let giga = |flops: &ByModule| format!("{:.2}", flops.total() as f64 / 1e9);
            let mebibytes = |bytes: &ByModule| format!("{:.0}", bytes.total() as f64 / 1024.0 / 1024.0);
            let cells = [
                name.to_owned(),
                million(of("hr")),
                million(of("s2")),
                million(of("s1")),
                million(of("head_s2") + of("head_s1")),
                million(of("fusion")),
                million(cost.parameters.total()),
                giga(&cost.flops.forward),
                giga(&cost.flops.training),
                mebibytes(&cost.memory.inference),
                mebibytes(&cost.memory.training),
            ];
            format!("| {} |\n", cells.join(" | "))
        };
        let rows: String = skysense_model::PRESETS.into_iter().map(row).collect();
        format!("{head}{}\n{rows}", " --- |".repeat(11))
    }

    #[test]
    fn the_table_of_the_docs_is_up_to_date() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/MODEL.md")).unwrap();
        let table = table();
        assert!(page.contains(&table), "docs/MODEL.md should have this table:\n{table}");
    }
}
