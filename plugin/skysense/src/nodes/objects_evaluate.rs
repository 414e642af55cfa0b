//! `objects.evaluate`: how well objects on the map were found.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use skysense_abi::{
    BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInput, RunInputs,
};
use skysense_catalog::write_json;
use skysense_edges::{MetricBuilder, MetricRow, ObjectBatch, ObjectFacts, ObjectRow, metric_schema};
use skysense_grid::{Affine, Window};
use skysense_train::{DetectionObject, DetectionScores, Evaluation, Found, RotatedBox};

use crate::chips::{access, item_rows};
use crate::errors;
use crate::settings::{path, planned};
use crate::training::{
    Holdout, ObjectSource, ObjectsSetting, hr_scale, in_chip, object_sources, placed, without_pixel,
};

const DOC: &str = "\
Holds objects that were found against labels, on the whole map after overlapping chips were brought together: mean average \
precision by the rules of COCO (IoU 0.5 to 0.95) and of DOTA, with rotated IoU where boxes are rotated. With `area`, a strip \
of the grid alone is judged: give the `holdout` of the training, and the score is honest.

## Columns
In: `object`, and `item` with the labels as for `skysense.finetune`. Out: `metric`, one row for each number, step 0.

## Limits
Objects are judged where their middle lies; a label that only reaches into the area is neither missed nor found. Periods are \
judged as one map each, and a score is over all of them.";

const EXAMPLE: &str = "\
scores:
  uses: objects.evaluate
  from: {objects: found, labels: truth}
  with: {area: {share: 0.3, side: east}, out: scores.json}
";

/// Settings of `objects.evaluate`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Key of the asset that holds the labels; left out, the first one that can be read.
    label_asset: Option<String>,
    /// How labels name their classes.
    objects: ObjectsSetting,
    /// The strip of the grid that is judged; left out, all of it.
    area: Option<Holdout>,
    /// JSON file that gets the scores.
    out: Option<String>,
}

/// What a run must know again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    facts: ObjectFacts,
    labels: Vec<ObjectSource>,
}

/// The node.
pub(crate) struct ObjectsEvaluate;

impl Node for ObjectsEvaluate {
    const NAME: &'static str = "objects.evaluate";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Scores objects against labels")
            .input("objects", &["object"], "the objects that were found")
            .input("labels", &["item"], "items with a file of objects")
            .optional_input("images", &["item"], "the images that files of objects name, where they tell pixels")
            .output("metric")
            .doc(DOC)
            .example(EXAMPLE)
            .impure()
    }

    fn plan(settings: Settings, inputs: &PlanInputs, _: &Host) -> Result<NodePlan, Vec<Fault>> {
        let facts: ObjectFacts = serde_json::from_value(inputs.require("objects")?.facts.clone()).map_err(|error| {
            vec![
                Fault::new("", "facts.invalid", format!("the facts of the objects cannot be read: {error}"))
                    .hint("connect skysense.detect"),
            ]
        })?;
        hr_scale(&facts.chips)?;
        if let Some(fault) = without_pixel("/area", settings.area, &facts.chips.geobox) {
            return Err(fault.into());
        }
        let (labels, images) = (inputs.require("labels")?, inputs.get("images"));
        let access = access([Some(labels), images].into_iter().flatten());
        let images = images.map(item_rows).transpose()?.unwrap_or_default();
        let labels = object_sources(&item_rows(labels)?, settings.label_asset.as_deref(), &images, &access)?;
        Ok(NodePlan::new(metric_schema()).memory(64 << 20, 1 << 20).state(json!(State { facts, labels })))
    }

    fn run(settings: Settings, plan: NodePlan, mut inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        let (state, objects) = (planned::<State>(plan.state)?, inputs.require("objects")?);
        Ok(Box::new(std::iter::once_with(move || evaluate(&settings, &state, objects, &host))))
    }
}

fn evaluate(settings: &Settings, state: &State, objects: RunInput, host: &Host) -> Result<RecordBatch, NodeError> {
    let facts = &state.facts;
    let grid = |error: skysense_grid::GridError| NodeError::from_error("chips.window", &error);
    let scale = hr_scale(&facts.chips).map_err(|fault| NodeError::new(fault.code, fault.message))?;
    let image = facts.chips.geobox.finer(scale).map_err(grid)?;
    let labels = placed(&state.labels, &settings.objects, &facts.chips)
        .map_err(|message| NodeError::new("label.objects", message))?;
    let class = |name: &str| facts.classes.iter().position(|class| class.name == name);
    let strip = settings.area.and_then(|area| area.window(&facts.chips.geobox));
    let strip = strip.unwrap_or_else(|| facts.chips.geobox.full());
    let judged = Area { window: strip, scale: scale as i64 };
    let truth: Vec<DetectionObject> = in_chip(&labels, &image, class, facts.rotated)
        .map_err(grid)?
        .into_iter()
        .filter_map(|object| judged.of(object))
        .collect();
    let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    let inverse = image.transform.inverse().map_err(grid)?;
    for batch in objects {
        host.check_cancelled()?;
        let batch = ObjectBatch::try_new(&batch?, facts.classes.len()).map_err(|error| errors::edge(&error))?;
        for row in batch.rows() {
            let one = in_pixels(&row, inverse, facts.rotated);
            if judged.holds(&one.area) {
                found.entry(row.period).or_default().push(one);
            }
        }
    }
    let fault = |error: &dyn std::error::Error| NodeError::new("objects.evaluate", error.to_string());
    let mut evaluation = Evaluation::of_map(facts.classes.len(), facts.rotated).map_err(|error| fault(&error))?;
    for period in &facts.chips.periods {
        let found = found.remove(&period.name).unwrap_or_default();
        evaluation.add(&truth, &found).map_err(|error| fault(&error))?;
    }
    let scores = evaluation.scores();
    tell(&scores, host);
    if let Some(out) = &settings.out {
        let out = path(&host.about().base, out);
        let classes: Vec<&str> = facts.classes.iter().map(|class| class.name.as_str()).collect();
        let value = json!({"model": facts.model.name, "classes": classes, "scores": scores});
        write_json(&out, &value).map_err(|error| errors::catalog(&error))?;
        host.report("output", &json!({"href": out, "role": "metrics"}));
    }
    rows(&scores, facts)
}

/// Where objects are judged, in pixels of the high-resolution grid.
struct Area {
    window: Window,
    scale: i64,
}

impl Area {
    fn holds(&self, area: &RotatedBox) -> bool {
        let [x, y] = area.centre.map(|at| (f64::from(at) / self.scale as f64).floor() as i64);
        let Window { x: left, y: top, .. } = self.window;
        x >= left && x < self.window.right() && y >= top && y < self.window.bottom()
    }

    /// A label as it is judged: not asked for where it only reaches into the area, and not there where it does not.
    fn of(&self, object: DetectionObject) -> Option<DetectionObject> {
        let bounds = object.area.bounds();
        let reaches = |axis: usize, from: i64, to: i64| {
            let (middle, half) = (f64::from(bounds.centre[axis]), f64::from(bounds.size[axis]) / 2.0);
            middle + half > (from * self.scale) as f64 && middle - half < (to * self.scale) as f64
        };
        let inside = reaches(0, self.window.x, self.window.right()) && reaches(1, self.window.y, self.window.bottom());
        let ignored = object.ignored || !self.holds(&object.area);
        inside.then_some(DetectionObject { ignored, ..object })
    }
}

fn in_pixels(row: &ObjectRow, inverse: Affine, rotated: bool) -> Found {
    let corners = row.corners.map(|[x, y]| {
        let (column, row) = inverse.apply(x, y);
        [column as f32, row as f32]
    });
    let area = if rotated { RotatedBox::from_corners(corners) } else { RotatedBox::upright_around(&corners) };
    Found { area, class: row.class as usize, score: row.score as f32 }
}

fn tell(scores: &DetectionScores, host: &Host) {
    let shown = |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{:.1} %", 100.0 * value));
    host.log(
        Level::Info,
        format!(
            "mAP50 {}, mAP {} of {} objects; by DOTA's rules {}",
            shown(scores.map50),
            shown(scores.map),
            scores.objects,
            shown(scores.dota)
        ),
    );
    host.report(
        "decision",
        &json!({"what": "evaluation", "value": scores, "why": "objects on the map against labels"}),
    );
}

/// The numbers that there are.
fn rows(scores: &DetectionScores, facts: &ObjectFacts) -> Result<RecordBatch, NodeError> {
    let mut builder = MetricBuilder::default();
    let numbers = [
        ("map", scores.map),
        ("map50", scores.map50),
        ("map75", scores.map75),
        ("dota", scores.dota),
        ("dota_area", scores.dota_area),
        ("objects", Some(scores.objects as f64)),
    ];
    let classes = facts.classes.iter().zip(&scores.by_class).map(|(class, ap)| (format!("ap50.{}", class.name), *ap));
    for (name, value) in numbers.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(classes) {
        if let Some(value) = value {
            builder.push(MetricRow { step: 0, name, value });
        }
    }
    builder.finish().map_err(|error| errors::edge(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_belong_where_their_middle_lies() {
        let area = Area { window: Window { x: 4, y: 0, width: 4, height: 8 }, scale: 10 };
        let object = |x: f32| DetectionObject {
            area: RotatedBox::upright([x - 8.0, 20.0], [x + 8.0, 30.0]),
            class: 0,
            ignored: false,
        };
        assert_eq!(area.of(object(60.0)), Some(object(60.0)));
        assert_eq!(area.of(object(35.0)), Some(DetectionObject { ignored: true, ..object(35.0) }));
        assert_eq!(area.of(object(20.0)), None);
        assert!(area.holds(&object(79.9).area) && !area.holds(&object(80.1).area));
    }
}
