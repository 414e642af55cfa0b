//! `sample.locations`: draws places to learn from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use skysense_abi::{BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};
use skysense_catalog::Bbox;
use skysense_edges::{LocationBuilder, LocationFacts, PlaceRow, location_schema};

use crate::chips::{block_cache, item_rows};
use crate::errors;
use crate::sampling::{DrawError, Lattice, Method, Polygons, Sampling, draw};
use crate::settings::AreaSetting;

const DOC: &str = "\
Draws places to learn from, while planning: squares of `size` pixels on the grid of their own UTM zone, at random, on \
a grid, or of each polygon by its area. Squares are those of one lattice for each zone, so two places of a zone are the \
same or share no pixel, and a place that is drawn again has the same name.

`area` or `bbox` says where; with neither, items that are connected do. `mask` takes a second set of polygons that a \
place must lie in, too, such as the land of the world, and `exclude` a third one that no part of a place may touch, such \
as regions that a model is to be scored on.

## Columns
Out: `location`, one row for each place: name, longitude and latitude of its middle, reference system, transform, size.

## Limits
Polygons are read from GeoJSON, WKT, WKB, FlatGeobuf and GeoPackage, in degrees. Squares have their middle in their \
zone, so those of neighbouring zones may overlap by half a square. No place lies beyond 80° south or 84° north.";

const EXAMPLE: &str = "\
places:
  uses: sample.locations
  from: scenes
  with:
    method: random
    count: 1000
    size: 64
    mask: land.gpkg
    seed: 7
";

/// Settings of `sample.locations`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// How places are spread: `random`, `weighted` or `grid`.
    method: Method,
    /// How many; a grid has all there are.
    #[schemars(range(min = 1, max = 100_000_000))]
    count: Option<usize>,
    /// Metres from place to place of a grid; rounded to whole squares.
    #[schemars(extend("exclusiveMinimum" = 0))]
    spacing: Option<f64>,
    /// Polygons to draw from: a file, WKT or a GeoJSON geometry.
    area: Option<AreaSetting>,
    /// `[west, south, east, north]` in degrees to draw from; west is greater than east across the antimeridian.
    bbox: Option<[f64; 4]>,
    /// Polygons that a place must lie in, too, such as the land of the world.
    mask: Option<AreaSetting>,
    /// Polygons that no part of a place may touch, such as regions that a model is to be scored on.
    exclude: Option<AreaSetting>,
    /// What must lie there: the `centre` of a place, or the `whole` of it.
    inside: Inside,
    /// Pixels along a side of a place; with high-resolution images 16 or 32.
    #[schemars(range(min = 4, max = 4096))]
    size: usize,
    /// Metres of a pixel.
    #[schemars(extend("exclusiveMinimum" = 0))]
    resolution: f64,
    /// Random places follow from this number.
    seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::Random,
            count: None,
            spacing: None,
            area: None,
            bbox: None,
            mask: None,
            exclude: None,
            inside: Inside::Centre,
            size: 64,
            resolution: 10.0,
            seed: 0,
        }
    }
}

/// What of a place must lie in the polygons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Inside {
    /// Its middle.
    Centre,
    /// All of it.
    Whole,
}

/// The node.
pub(crate) struct SampleLocations;

impl Node for SampleLocations {
    const NAME: &'static str = "sample.locations";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Draws places to learn from")
            .optional_input("items", &["item"], "items whose boxes places must lie in")
            .output("location")
            .doc(DOC)
            .example(EXAMPLE)
    }

    fn plan(settings: Settings, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let sampling = sampling(&settings, inputs, host)?;
        skysense_raster::setup(&block_cache()).map_err(|error| Fault::from(errors::raster(&error)))?;
        let mut next = numbers(settings.seed);
        let places = draw(&sampling, &mut next).map_err(|error| fault(&error))?;
        told(&sampling, &places, host)?;
        let mut systems: BTreeMap<String, usize> = BTreeMap::new();
        places.iter().for_each(|place| *systems.entry(place.grid.crs.to_string()).or_default() += 1);
        let (count, zones) = (places.len(), systems.len());
        let facts = LocationFacts { locations: count, size: settings.size, resolution: settings.resolution, systems };
        let mut rows = LocationBuilder::default();
        places.into_iter().for_each(|place| rows.push(place));
        let batch = rows.finish().map_err(|error| vec![Fault::from(errors::edge(&error))])?;
        let bytes = batch.get_array_memory_size() as u64;
        Ok(NodePlan::new(location_schema())
            .facts(json!(facts))
            .rows(vec![batch])
            .memory(0, bytes)
            .cost("locations", count as f64, "")
            .cost("zones", zones as f64, ""))
    }

    fn run(_: Settings, plan: NodePlan, _: RunInputs, _: Host) -> Result<BatchStream, NodeError> {
        let rows = plan.rows.ok_or_else(|| {
            NodeError::new("plan.missing", "the plan of sample.locations holds no places")
                .hint("plan the workflow again")
        })?;
        Ok(Box::new(rows.into_iter().map(Ok)))
    }
}

/// Everything that can be judged by the settings, and the polygons.
fn sampling(settings: &Settings, inputs: &PlanInputs, host: &Host) -> Result<Sampling, Vec<Fault>> {
    let base = host.about().base;
    let mut faults = Vec::new();
    let mut wrong = |field: &str, message: String| faults.push(Fault::new(field, "settings.invalid", message));
    let grid = settings.method == Method::Grid;
    match (grid, settings.count, settings.spacing) {
        (false, None, _) => wrong("/count", "count is not given, and only a grid does without".into()),
        (false, _, Some(_)) => {
            wrong("/spacing", "spacing is that of a grid: set `method: grid`, or leave it out".into())
        }
        (true, Some(_), _) => wrong("/count", "a grid has all places there are: leave count out".into()),
        (true, _, None) => wrong("/spacing", "spacing is not given, and a grid needs it, in metres".into()),
        _ => {}
    }
    let positive = |value: f64| value.is_finite() && value > 0.0;
    if settings.spacing.is_some_and(|spacing| !positive(spacing)) {
        wrong("/spacing", format!("spacing is {:?}, expected more than 0", settings.spacing.unwrap_or_default()));
    }
    if !positive(settings.resolution) {
        wrong("/resolution", format!("resolution is {}, expected more than 0", settings.resolution));
    }
    if !(4..=4096).contains(&settings.size) {
        wrong("/size", format!("size is {} px, expected 4 to 4096", settings.size));
    }
    if settings.area.is_some() && settings.bbox.is_some() {
        wrong("/area", "bbox and area are both given: keep one".into());
    }
    if settings.bbox.is_some_and(|bbox| Bbox::from_slice(&bbox).is_none()) {
        let bbox = settings.bbox.unwrap_or_default();
        wrong("/bbox", format!("bbox is {bbox:?}, expected [west, south, east, north] in degrees"));
    }
    let mut polygons = |field: &'static str, area: &Option<AreaSetting>| {
        let read = area
            .as_ref()?
            .read(field, &base)
            .and_then(|area| Polygons::of(&area).map_err(|message| Fault::new(field, "settings.area", message)));
        read.map_err(|fault| faults.push(fault)).ok()
    };
    let area = polygons("/area", &settings.area);
    let (mask, exclude) = (polygons("/mask", &settings.mask), polygons("/exclude", &settings.exclude));
    let items = match inputs.get("items") {
        None => None,
        Some(items) => {
            let boxes: Vec<Bbox> = item_rows(items)?.into_iter().filter_map(|row| row.bbox.map(Bbox)).collect();
            Some(Polygons::of_boxes(boxes)).filter(|boxes| boxes.len() > 0)
        }
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    let named = area.or(settings.bbox.map(|bbox| Polygons::of_boxes([Bbox(bbox)])));
    // What comes first is drawn from; what comes second binds, too. Of two masks the own one is that of the workflow.
    let (inside, mask) = match (named, items, mask) {
        (Some(named), None, mask) => (named, mask),
        (None, Some(items), mask) => (items, mask),
        (Some(named), Some(items), None) => (named, Some(items)),
        (Some(_), Some(_), Some(_)) => {
            let message = "an area or bbox, items and a mask are all given, and two of them are used";
            return Err(Fault::new("/mask", "settings.invalid", message)
                .hint("search items of the area, and leave out `area` and `bbox` here")
                .into());
        }
        (None, None, Some(mask)) => (mask, None),
        (None, None, None) => {
            return Err(Fault::new("/area", "settings.invalid", "neither area, bbox, mask nor items say where")
                .hint("name an `area`, or connect stac.search to the port `items`")
                .into());
        }
    };
    Ok(Sampling {
        method: settings.method,
        lattice: Lattice { size: settings.size, resolution: settings.resolution },
        count: settings.count.unwrap_or(0),
        spacing: settings.spacing.unwrap_or(0.0),
        inside,
        mask,
        exclude,
        whole: settings.inside == Inside::Whole,
    })
}

fn fault(error: &DrawError) -> Vec<Fault> {
    match error {
        DrawError::Raster(error) => Fault::from(errors::raster(error)).into(),
        DrawError::Many(squares) => {
            let message = format!("the grid would be looked for in {squares} squares");
            Fault::new("/spacing", "settings.invalid", message).hint("widen the spacing, or name a smaller area").into()
        }
    }
}

/// Says when there are fewer places than were asked for.
fn told(sampling: &Sampling, places: &[PlaceRow], host: &Host) -> Result<(), Vec<Fault>> {
    if places.is_empty() {
        let message = format!(
            "no place of {} m a side lies where it may: in {} polygons, within the mask, outside of what is excluded",
            sampling.lattice.side(),
            sampling.inside.len()
        );
        return Err(Fault::new("/area", "area.empty", message)
            .hint("make places smaller, or name a larger area; `inside: centre` asks less than `whole`")
            .into());
    }
    if sampling.method != Method::Grid && places.len() < sampling.count {
        host.log(
            Level::Warn,
            format!(
                "{} places were asked for, and the area holds {} that were found: it is full",
                sampling.count,
                places.len()
            ),
        );
    }
    Ok(())
}

/// Numbers from 0 to 1 that follow from a seed (SplitMix64).
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
