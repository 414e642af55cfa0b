//! The table of a contest.

use super::outcome::Outcome;
use crate::probe::Spread;

impl Outcome {
    /// A table in Markdown: parameters, speed, and mIoU and overall accuracy as mean ± deviation over the seeds.
    pub fn table(&self) -> String {
        let row = |name: &str, cells: Vec<String>| format!("| {name} | {} |\n", cells.join(" | "));
        let percent = |spread: Spread| format!("{:.1} ± {:.1}", 100.0 * spread.mean, 100.0 * spread.deviation);
        let mut head = vec!["parameters".to_owned(), "ms a step".into(), "training, s".into(), "ms a chip".into()];
        for share in &self.shares {
            let share = shown(*share);
            head.extend([format!("mIoU, {share}"), format!("accuracy, {share}")]);
        }
        let mut text = row("model", head.clone());
        text += &row("---", vec!["---:".into(); head.len()]);
        for entry in &self.entries {
            let mut cells = vec![
                entry.parameters.to_string(),
                entry.step_ms.map_or("–".into(), |ms| format!("{ms:.0}")),
                format!("{:.1}", entry.training_seconds),
                format!("{:.2}", entry.chip_ms),
            ];
            for share in &entry.shares {
                let (iou, accuracy) =
                    (share.spread(|scores| scores.mean_iou), share.spread(|scores| scores.overall_accuracy));
                cells.extend([percent(iou), percent(accuracy)]);
            }
            text += &row(&entry.name, cells);
        }
        let scored = self.entries.first().and_then(|entry| entry.shares.first()).map_or_else(String::new, |share| {
            share.scores.iter().map(|scores| scores.pixels.to_string()).collect::<Vec<_>>().join(", ")
        });
        text += &format!(
            "\n{} chips, {} steps each; seeds {:?} score {scored} pixels, in regions that nothing was learned from. Percent, \
             mean ± sample deviation over the seeds; the columns say the share of the labels elsewhere that was learned \
             from.\n",
            self.chips, self.steps, self.seeds
        );
        text
    }
}

/// A share in percent, without digits that say nothing.
fn shown(share: f64) -> String {
    let percent = (share * 1e4).round() / 1e2;
    format!("{percent} %")
}

#[cfg(test)]
mod tests {
    use skysense_metric::Confusion;

    use super::super::outcome::{RivalEntry, RivalScores};
    use super::*;

    #[test]
    fn a_row_for_each_with_spread_over_seeds() {
        let scores = |right: usize| {
            let mut confusion = Confusion::new(2);
            (0..10).for_each(|at| confusion.add(0, usize::from(at >= right)));
            (0..10).for_each(|_| confusion.add(1, 1));
            confusion.scores()
        };
        let entry = RivalEntry {
            name: "U-Net".into(),
            parameters: 12,
            step_ms: None,
            training_seconds: 1.25,
            chip_ms: 0.5,
            shares: vec![RivalScores { share: 0.015, scores: vec![scores(6), scores(8)] }],
        };
        let outcome = Outcome { chips: 3, steps: 7, seeds: vec![0, 4], shares: vec![0.015], entries: vec![entry] };
        let table = outcome.table();
        assert!(
            table.contains(
                "| model | parameters | ms a step | training, s | ms a chip | mIoU, 1.5 % | accuracy, 1.5 % |"
            )
        );
        // Accuracy 16 and 18 of 20: 85 ± 7.07. IoU (6/10 + 10/14) / 2 and (8/10 + 10/12) / 2: 65.71 and 81.67.
        assert!(table.contains("| U-Net | 12 | – | 1.2 | 0.50 | 73.7 ± 11.3 | 85.0 ± 7.1 |"), "{table}");
        assert!(table.contains("seeds [0, 4] score 20, 20 pixels"), "{table}");
    }
}
