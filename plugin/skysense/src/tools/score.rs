//! `map.score`: how good a class map is on a part that was not trained on, beside simple rivals.

mod baseline;
mod confusion;
mod samples;
mod workflow;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_abi::{Host, NodeError, Tool};
use skysense_grid::{Crs, GeoBox, Window};
use skysense_raster::{Resampling, read_typed, transform_bounds};

use self::confusion::{Confusion, Scores};
use self::samples::Stack;
use self::workflow::Workflow;
use super::answer::keep;
use super::assets::{Found, Place};
use crate::errors;
use crate::training::Holdout;

/// Arguments of `map.score`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The workflow that trained the model and wrote the map, as `skysense tool --workflow FILE` gives it. It says
    /// everything below; what is given beside it is taken instead.
    #[serde(default)]
    workflow: Option<Workflow>,
    /// The class map.
    #[serde(default)]
    prediction: Option<Place>,
    /// The true classes; nodata pixels do not count.
    #[serde(default)]
    labels: Option<Place>,
    /// The part to score on: `{share, side}` as in `skysense.finetune`, or `[west, south, east, north]` in degrees.
    #[serde(default)]
    holdout: Option<Part>,
    /// `[west, south, east, north]` in degrees of the part where the rivals learn; left out, all but the holdout.
    #[serde(default)]
    train: Option<[f64; 4]>,
    /// Class values that do not count beside nodata.
    #[serde(default)]
    ignore: Vec<u8>,
    /// Settings of `stac.search` and `raster.chips` that give the rivals the very pixels that the model saw; without
    /// them the only rival is the majority class.
    #[serde(default)]
    pixels: Option<Pixels>,
    /// Folder that gets `score.json` and `score.md`.
    #[serde(default)]
    out: Option<PathBuf>,
}

/// A part of the map.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Part {
    /// In degrees.
    Bbox([f64; 4]),
    /// Along one side of the grid.
    Strip(Holdout),
}

/// The pixels that the per-pixel rivals see.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pixels {
    /// Settings of `stac.search`.
    search: Value,
    /// Settings of `raster.chips`.
    chips: Value,
}

/// Answer of `map.score`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    /// Labelled pixels that were scored.
    pixels: usize,
    /// Labelled pixels that the rivals learned from.
    trained_on: usize,
    /// The map first, then its rivals.
    methods: Vec<Method>,
    /// What is best, in a sentence.
    verdict: String,
    /// The same as a table.
    text: String,
}

/// One method and its scores.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Method {
    /// What it is.
    name: String,
    #[serde(flatten)]
    scores: Scores,
}

/// The tool.
pub(crate) struct MapScore;

impl Tool for MapScore {
    const NAME: &'static str = "map.score";
    const SUMMARY: &'static str =
        "Scores a class map on a held-out part, beside the majority class and per-pixel classifiers";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(arguments: Arguments, host: &Host) -> Result<Answer, NodeError> {
        let told = arguments.workflow.as_ref().map(Workflow::facts).transpose()?.unwrap_or_default();
        // Paths of a workflow start in its folder, those of the arguments where the user stands.
        let inside = arguments.workflow.as_ref().map(|workflow| workflow.host(host));
        let find = |given: &Option<Place>, told: &Option<Place>, name: &str| match (given, told, &inside) {
            (Some(place), ..) => place.find(host),
            (None, Some(place), Some(inside)) => place.find(inside),
            _ => Err(missing(name)),
        };
        let prediction = find(&arguments.prediction, &told.prediction, "prediction")?;
        let labels = find(&arguments.labels, &told.labels, "labels")?;
        let holdout = arguments.holdout.or(told.holdout.map(Part::Strip)).ok_or_else(|| missing("holdout"))?;
        let ignored = [arguments.ignore.clone(), told.ignore].concat();
        let stack = match (&arguments.pixels, &told.pixels, &inside) {
            (Some(pixels), ..) => Some(Stack::read(&pixels.search, &pixels.chips, host)?),
            (None, Some(pixels), Some(inside)) => Some(Stack::read(&pixels.search, &pixels.chips, inside)?),
            _ => None,
        };
        let grid = match &stack {
            Some(stack) => stack.grid.clone(),
            None => grid_of(&labels)?,
        };
        let truth = codes(&labels, &grid)?;
        let map = codes(&prediction, &grid)?;
        let counts = |pixel: usize| truth[pixel].filter(|value| !ignored.contains(value));
        let holdout = match holdout {
            Part::Bbox(bbox) => window(&grid, bbox, "holdout")?,
            Part::Strip(strip) => strip
                .window(&grid)
                .ok_or_else(|| NodeError::new("score.empty", "a holdout of share 0 leaves nothing to score on"))?,
        };
        let train = arguments.train.map(|bbox| window(&grid, bbox, "train")).transpose()?;
        let inside = |window: &Window, pixel: usize| {
            let (x, y) = ((pixel % grid.width) as i64, (pixel / grid.width) as i64);
            x >= window.x && x < window.right() && y >= window.y && y < window.bottom()
        };
        let seen = |pixel: usize| stack.as_ref().is_none_or(|stack| stack.has(pixel));
        let part = |wanted: &dyn Fn(usize) -> bool| -> Vec<(usize, u8)> {
            (0..truth.len())
                .filter(|&pixel| wanted(pixel) && seen(pixel))
                .filter_map(|pixel| Some((pixel, counts(pixel)?)))
                .collect()
        };
        let learned = |pixel: usize| train.as_ref().map_or(!inside(&holdout, pixel), |train| inside(train, pixel));
        let trained = part(&learned);
        let scored = part(&|pixel| inside(&holdout, pixel) && !learned(pixel));
        if trained.is_empty() || scored.is_empty() {
            let message = format!("{} labelled pixels to learn from and {} to score on", trained.len(), scored.len());
            return Err(NodeError::new("score.empty", message).hint("check `train` and `holdout` against the labels' bbox; the holdout must reach outside of the training part"));
        }
        let names: BTreeMap<u8, String> = labels
            .classes()
            .into_iter()
            .chain(prediction.classes())
            .map(|(value, name, _)| (value, name))
            .rev()
            .collect();
        let judge = |name: &str, given: &dyn Fn(usize) -> Option<u8>| {
            let mut confusion = Confusion::default();
            scored.iter().for_each(|&(pixel, truth)| confusion.add(truth, given(pixel)));
            Method { name: name.into(), scores: confusion.scores(&names) }
        };
        let mut methods = vec![judge("map", &|pixel| map[pixel])];
        let majority = baseline::majority(&trained);
        methods.push(judge("majority class", &|_| Some(majority)));
        if let Some(stack) = &stack {
            for (name, given) in baseline::classify(stack, &trained, &scored, host)? {
                let by_pixel: BTreeMap<usize, u8> = scored.iter().map(|&(pixel, _)| pixel).zip(given).collect();
                methods.push(judge(name, &|pixel| by_pixel.get(&pixel).copied()));
            }
        }
        let verdict = verdict(&methods);
        let text = table(&methods, &verdict, trained.len(), scored.len());
        let answer = Answer { pixels: scored.len(), trained_on: trained.len(), methods, verdict, text };
        if let Some(out) = &arguments.out {
            keep(&host.about().base.join(out), "score", &answer, &answer.text)?;
        }
        Ok(answer)
    }
}

fn missing(name: &str) -> NodeError {
    NodeError::new("arguments.invalid", format!("`{name}` is not given"))
        .hint("give it, or the workflow that trained the model and wrote the map")
}

fn grid_of(labels: &Found) -> Result<GeoBox, NodeError> {
    let header = labels.header()?;
    header
        .geobox()
        .cloned()
        .ok_or_else(|| NodeError::new("raster.invalid", "the labels lie on no grid").hint("warp them to one first"))
}

/// The codes of a raster on a grid; `None` where it has none.
fn codes(found: &Found, grid: &GeoBox) -> Result<Vec<Option<u8>>, NodeError> {
    let header = found.header()?;
    let pixels = found.read(found.first()?, |source| read_typed::<u8>(source, &header, grid, Resampling::Nearest))?;
    Ok(pixels.values.iter().zip(&pixels.valid).map(|(&value, &valid)| (valid != 0).then_some(value)).collect())
}

/// The pixels of a bbox in degrees.
fn window(grid: &GeoBox, bbox: [f64; 4], field: &str) -> Result<Window, NodeError> {
    let bounds = transform_bounds(&Crs::lon_lat(), bbox, &grid.crs)
        .map_err(|error| errors::raster(&error).at("argument", field))?;
    let inverse = grid.transform.inverse().map_err(|error| NodeError::from_error("raster.invalid", &error))?;
    let corners = [(bounds[0], bounds[3]), (bounds[2], bounds[1])].map(|(x, y)| inverse.apply(x, y));
    let (left, top) = (corners[0].0.min(corners[1].0).round(), corners[0].1.min(corners[1].1).round());
    let (right, bottom) = (corners[0].0.max(corners[1].0).round(), corners[0].1.max(corners[1].1).round());
    let window =
        Window { x: left as i64, y: top as i64, width: (right - left) as usize, height: (bottom - top) as usize };
    window.intersection(&grid.full()).ok_or_else(|| {
        NodeError::new("score.outside", format!("{field} {bbox:?} lies outside of the map"))
            .hint("give [west, south, east, north] in degrees")
    })
}

/// Says which method is best, also when it is not the map.
fn verdict(methods: &[Method]) -> String {
    let (Some(map), Some(rival)) =
        (methods.first(), methods.iter().skip(1).max_by(|a, b| a.scores.accuracy.total_cmp(&b.scores.accuracy)))
    else {
        return String::new();
    };
    let points = 100.0 * (map.scores.accuracy - rival.scores.accuracy);
    match points {
        p if p >= 0.05 => {
            format!("the map is better than its best rival ({}) by {p:.1} points of accuracy", rival.name)
        }
        p if p <= -0.05 => format!("the map LOSES to {} by {:.1} points of accuracy", rival.name, -p),
        _ => format!("the map and {} are equally accurate", rival.name),
    }
}

fn table(methods: &[Method], verdict: &str, trained: usize, scored: usize) -> String {
    let mut text = format!("{scored} held-out pixels; rivals learned from {trained} pixels of the training part\n\n");
    let _ = writeln!(text, "| method | accuracy | mean IoU | kappa |\n|---|---|---|---|");
    for Method { name, scores } in methods {
        let _ = writeln!(
            text,
            "| {name} | {:.1} % | {:.3} | {:.3} |",
            100.0 * scores.accuracy,
            scores.mean_iou,
            scores.kappa
        );
    }
    let rivals: Vec<&Method> = methods.iter().skip(1).filter(|method| method.name != "majority class").collect();
    let heads: String = rivals.iter().map(|rival| format!(" IoU {} |", rival.name)).collect();
    let _ = writeln!(
        text,
        "\n| class | pixels | IoU map |{heads} precision map | recall map |\n|---|---|---|{}---|---|",
        "---|".repeat(rivals.len())
    );
    for (index, class) in methods.first().map(|map| map.scores.classes.iter().enumerate()).into_iter().flatten() {
        let others: String = rivals
            .iter()
            .map(|rival| format!(" {:.3} |", rival.scores.classes.get(index).map_or(f64::NAN, |c| c.iou)))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {:.3} |{others} {:.3} | {:.3} |",
            class.name, class.pixels, class.iou, class.precision, class.recall
        );
    }
    let _ = writeln!(text, "\n{verdict}.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(name: &str, right: usize) -> Method {
        let mut confusion = Confusion::default();
        (0..100).for_each(|i| {
            confusion.add(1 + u8::from(i % 2 == 0), Some(if i < right { 1 + u8::from(i % 2 == 0) } else { 9 }))
        });
        Method { name: name.into(), scores: confusion.scores(&BTreeMap::new()) }
    }

    #[test]
    fn a_map_that_loses_is_said_to_lose() {
        let text = verdict(&[method("map", 60), method("majority class", 50), method("centroids", 80)]);
        assert_eq!(text, "the map LOSES to centroids by 20.0 points of accuracy");
        assert!(
            verdict(&[method("map", 90), method("centroids", 80)])
                .contains("better than its best rival (centroids) by 10.0")
        );
    }

    #[test]
    fn the_table_names_every_method_and_class() {
        let methods = [method("map", 60), method("majority class", 50), method("centroids", 80)];
        let text = table(&methods, "so", 10, 100);
        assert!(
            text.contains("| map | 60.0 % |")
                && text.contains("| centroids | 80.0 % |")
                && text.contains("IoU centroids"),
            "{text}"
        );
    }

    #[test]
    fn windows_of_degrees() {
        let grid =
            GeoBox::new(Crs::epsg(32633), skysense_grid::Affine::north_up(469_000.0, 5_339_880.0, 10.0), 256, 256)
                .unwrap();
        let west = window(&grid, [14.58, 48.18, 14.60, 48.22], "train").unwrap();
        assert!(west.x == 0 && west.width > 120 && west.width < 140 && west.height == 256, "{west:?}");
        assert!(window(&grid, [15.0, 48.0, 15.1, 48.1], "train").is_err());
    }
}
