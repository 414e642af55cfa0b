//! Which items a trigger wants.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use skysense_catalog::{Area, Filter, Interval, Item, SearchRequest, bbox_of, intersects};

use super::Problem;

/// Settings under `select`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Select {
    /// Ids of the collections to take; all when left out.
    pub(crate) collections: Vec<String>,
    /// `[west, south, east, north]` in degrees; west is greater than east across the antimeridian.
    #[schemars(length(min = 4, max = 4))]
    bbox: Option<Vec<f64>>,
    /// Items must touch this area: a file, WKT or a GeoJSON geometry.
    area: Option<AreaSetting>,
    /// A datetime or an interval of the items' own time, as `2021-03-01/2021-10-31`; `..` leaves an end open.
    datetime: Option<String>,
    /// Most cloud cover of an item, in percent; items that do not say theirs pass.
    #[schemars(range(min = 0, max = 100))]
    cloud_cover: Option<f64>,
    /// What must be true of an item's properties, in CQL2 as text or JSON.
    filter: Option<FilterSetting>,
}

/// An area as text or as a geometry.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum AreaSetting {
    Text(String),
    Geometry(serde_json::Map<String, Value>),
}

/// A filter as text or as JSON.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum FilterSetting {
    Text(String),
    Json(serde_json::Map<String, Value>),
}

/// The same, ready to judge items.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matcher {
    collections: Vec<String>,
    /// One of the two, as a geometry.
    areas: Vec<Value>,
    request: SearchRequest,
    interval: Option<Interval>,
    cloud_cover: Option<f64>,
    filter: Option<Filter>,
}

impl Select {
    /// Reads what a schema cannot check. `at` is where it stands.
    pub(crate) fn matcher(&self, at: &str, folder: &Path) -> Result<Matcher, Problem> {
        let mut matcher =
            Matcher { collections: self.collections.clone(), cloud_cover: self.cloud_cover, ..Matcher::default() };
        if let Some(numbers) = &self.bbox {
            let bbox = serde_json::from_value(serde_json::json!(numbers)).ok();
            let mut probe = SearchRequest::new("x");
            probe.bbox = bbox;
            let ring = bbox.filter(|_| probe.check().is_ok()).map(|_| box_geometry(numbers));
            let problem = || {
                Problem::new(format!("{at}/bbox"), "this is no box in degrees").expected("[west, south, east, north]")
            };
            matcher.areas.push(ring.ok_or_else(problem)?);
            matcher.request.bbox = bbox;
        }
        if let Some(area) = &self.area {
            let read = match area {
                AreaSetting::Text(text) => Area::read(text, folder),
                AreaSetting::Geometry(geometry) => Area::from_geojson(&Value::Object(geometry.clone()), "text"),
            };
            let area = read.map_err(|error| Problem::new(format!("{at}/area"), error.to_string()))?;
            matcher.request.intersects = Some(area.geojson().clone());
            matcher.areas.push(area.geojson().clone());
        }
        if let Some(text) = &self.datetime {
            let interval =
                Interval::parse(text).map_err(|error| Problem::new(format!("{at}/datetime"), error.to_string()))?;
            matcher.interval = Some(interval);
        }
        if let Some(filter) = &self.filter {
            let read = match filter {
                FilterSetting::Text(text) => Filter::parse(text),
                FilterSetting::Json(json) => Filter::from_json(&Value::Object(json.clone())),
            };
            let filter = read.map_err(|error| Problem::new(format!("{at}/filter"), error.to_string()))?;
            matcher.filter = Some(filter);
        }
        matcher.request.collections = self.collections.clone();
        matcher.request.max_cloud_cover = self.cloud_cover;
        Ok(matcher)
    }
}

/// A box as a geometry, cut at the antimeridian.
pub(crate) fn box_geometry(sides: &[f64]) -> Value {
    let (west, south, east, north) = (sides[0], sides[1], sides[2], sides[3]);
    let east = if west > east { east + 360.0 } else { east };
    skysense_catalog::footprint(&[(west, south), (east, south), (east, north), (west, north)])
}

impl Matcher {
    /// Why an item is not wanted; nothing if it is.
    pub(crate) fn refuses(&self, item: &Item) -> Option<&'static str> {
        let collection = || self.collections.iter().any(|wanted| item.collection() == Some(wanted));
        if !self.collections.is_empty() && !collection() {
            return Some("collection");
        }
        if let Some(wanted) = &self.interval {
            let within = item
                .interval()
                .is_some_and(|(start, end)| wanted.overlaps(&Interval { start: Some(start), end: Some(end) }));
            if !within {
                return Some("datetime");
            }
        }
        if let Some(limit) = self.cloud_cover
            && item.number("eo:cloud_cover").is_some_and(|cover| cover > limit)
        {
            return Some("cloud cover");
        }
        if self.filter.as_ref().is_some_and(|filter| !filter.passes(item)) {
            return Some("filter");
        }
        let value = item.value();
        let touches = |area: &Value| match value.get("geometry").filter(|geometry| !geometry.is_null()) {
            Some(geometry) => intersects(geometry, area).unwrap_or(false),
            None => false,
        };
        if !self.areas.iter().all(touches) {
            return Some("area");
        }
        None
    }

    /// A search for what is wanted, also in this interval and with this filter.
    pub(crate) fn request(
        &self,
        href: &str,
        interval: Option<&Interval>,
        more: Option<&str>,
    ) -> Result<SearchRequest, String> {
        let mut request = self.request.clone();
        request.href = href.to_owned();
        // Both ask for time: the narrower is left to `refuses`.
        request.datetime = interval.or(self.interval.as_ref()).map(Interval::to_query);
        request.filter = match (&self.filter, more) {
            (None, None) => None,
            (Some(own), None) => Some(own.clone()),
            (own, Some(more)) => {
                let text = match own {
                    Some(own) => format!("({}) AND ({more})", own.to_text()),
                    None => more.to_owned(),
                };
                Some(Filter::parse(&text).map_err(|error| error.to_string())?)
            }
        };
        Ok(request)
    }

    /// The collections that are wanted; all if empty.
    pub(crate) fn collections(&self) -> &[String] {
        &self.collections
    }
}

/// The box of an item: its own, or that of its geometry.
pub(crate) fn box_of(item: &Item) -> Option<[f64; 4]> {
    let numbers: Vec<f64> = item.value().get("bbox")?.as_array()?.iter().filter_map(Value::as_f64).collect();
    match numbers[..] {
        [west, south, east, north] | [west, south, _, east, north, _] => Some([west, south, east, north]),
        _ => item.value().get("geometry").and_then(bbox_of).map(|bbox| bbox.0),
    }
}
