//! Which measures stand in one chart.

use std::collections::BTreeMap;

use skysense_train::pretrain::Measures;

use super::series::Series;

/// A chart: measures of one kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panel {
    /// Name of the measures without what tells them apart: `loss.image`.
    pub(super) name: String,
    /// What the values are.
    pub(super) unit: &'static str,
    pub(super) series: Vec<Series>,
}

/// Last parts of names that tell measures of one chart apart.
const PARTS: [&str; 7] = ["hr", "s2", "s1", "fused", "accuracy", "miou", "kappa"];

/// Names that are known to be something else than plain numbers.
const UNITS: [(&str, &str); 9] = [
    ("waiting", "share of a step"),
    ("places_per_second", "places a second"),
    ("step_seconds", "seconds"),
    ("skipped", "places"),
    ("teacher_entropy", "share of log K"),
    ("teacher_spread", "share of log K"),
    ("probe.knn", "share"),
    ("probe.linear", "share"),
    ("epoch", "passes"),
];

/// Points of the lines of a chart, by the part of the measure that they show.
type Lines<'a> = BTreeMap<&'a str, Vec<(f64, f64)>>;

/// The charts of a run: the whole loss, its terms, probes, and then the others, by name.
pub(super) fn panels(measures: &[Measures]) -> Vec<Panel> {
    let mut names: BTreeMap<&str, Lines<'_>> = BTreeMap::new();
    for step in measures {
        for (name, value) in step.values.iter().filter(|(_, value)| value.is_finite()) {
            let (chart, part) = match name.rsplit_once('.') {
                Some((chart, part)) if PARTS.contains(&part) => (chart, part),
                _ => (name.as_str(), ""),
            };
            names.entry(chart).or_default().entry(part).or_default().push((step.step as f64, *value));
        }
    }
    let place = |part: &str| PARTS.iter().position(|known| *known == part);
    let panel = |(name, parts): (&str, Lines<'_>)| {
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort_by_key(|(part, _)| place(part));
        let series = |(part, points): (&str, Vec<(f64, f64)>)| {
            let label = if part.is_empty() { "all" } else { part };
            Series { label: label.into(), points }
        };
        let unit = UNITS.iter().find(|(known, _)| *known == name).map_or("", |(_, unit)| *unit);
        Panel { name: name.to_owned(), unit, series: parts.into_iter().map(series).collect() }
    };
    let mut panels: Vec<Panel> = names.into_iter().map(panel).collect();
    let rank = |name: &str| match name.split('.').next() {
        Some("loss") => 0,
        Some("probe") => 1,
        _ => 2,
    };
    panels.sort_by(|a, b| rank(&a.name).cmp(&rank(&b.name)).then(a.name.cmp(&b.name)));
    panels
}

impl Panel {
    /// Whether it is worth a figure of its own.
    pub(super) fn large(&self) -> bool {
        matches!(self.name.split('.').next(), Some("loss" | "probe"))
    }

    /// Whether ratios matter more than differences.
    pub(super) fn may_be_logarithmic(&self) -> bool {
        self.name.starts_with("loss") || self.name == "gradient_norm"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_stands_in_one_chart_and_losses_come_first() {
        let step = |step: usize, values: &[(&str, f64)]| Measures {
            step,
            steps: 2,
            epoch: 0.0,
            values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        };
        let measures = [
            step(1, &[("learning_rate", 0.1), ("loss", 3.0), ("loss.image", 1.0), ("loss.image.s2", 0.5)]),
            step(2, &[("loss", 2.0), ("loss.image", f64::NAN), ("loss.image.fused", 0.2), ("probe.knn.miou", 0.4)]),
        ];
        let panels = panels(&measures);
        let names: Vec<&str> = panels.iter().map(|panel| panel.name.as_str()).collect();
        assert_eq!(names, ["loss", "loss.image", "probe.knn", "learning_rate"]);
        let labels: Vec<&str> = panels[1].series.iter().map(|series| series.label.as_str()).collect();
        assert_eq!(labels, ["all", "s2", "fused"]);
        assert_eq!(panels[1].series[0].points, [(1.0, 1.0)], "what is no number is left out");
        assert_eq!(panels[2].unit, "share");
    }
}
