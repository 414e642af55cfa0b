//! Which items a trigger wants.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use skysense_catalog::{Area, Bbox, Filter, Interval, Item, SearchRequest};

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
pub(crate) struct Matcher(SearchRequest);

impl Select {
    /// Reads what a schema cannot check. `at` is where it stands.
    pub(crate) fn matcher(&self, at: &str, folder: &Path) -> Result<Matcher, Problem> {
        let mut request = SearchRequest {
            collections: self.collections.clone(),
            max_cloud_cover: self.cloud_cover,
            ..SearchRequest::default()
        };
        if let Some(numbers) = &self.bbox {
            let problem = || {
                Problem::new(format!("{at}/bbox"), "this is no box in degrees").expected("[west, south, east, north]")
            };
            request.bbox = Some(Bbox::from_slice(numbers).ok_or_else(problem)?);
        }
        if let Some(area) = &self.area {
            let read = match area {
                AreaSetting::Text(text) => Area::read(text, folder),
                AreaSetting::Geometry(geometry) => Area::from_geojson(&Value::Object(geometry.clone()), "text"),
            };
            let area = read.map_err(|error| Problem::new(format!("{at}/area"), error.to_string()))?;
            request.intersects = Some(area.geojson().clone());
        }
        if let Some(text) = &self.datetime {
            let interval =
                Interval::parse(text).map_err(|error| Problem::new(format!("{at}/datetime"), error.to_string()))?;
            request.datetime = Some(interval.to_query());
        }
        if let Some(filter) = &self.filter {
            let read = match filter {
                FilterSetting::Text(text) => Filter::parse(text),
                FilterSetting::Json(json) => Filter::from_json(&Value::Object(json.clone())),
            };
            let filter = read.map_err(|error| Problem::new(format!("{at}/filter"), error.to_string()))?;
            request.filter = Some(filter);
        }
        Ok(Matcher(request))
    }
}

impl Matcher {
    /// Whether an item is wanted, or why that cannot be told.
    pub(crate) fn passes(&self, item: &Item) -> Result<bool, String> {
        self.0.passes(item)
    }

    /// A search for what is wanted, also in this interval and with this filter.
    pub(crate) fn request(
        &self,
        href: &str,
        interval: Option<&Interval>,
        more: Option<&str>,
    ) -> Result<SearchRequest, String> {
        let mut request = self.0.clone();
        request.href = href.to_owned();
        // Both ask for time: the narrower is left to `passes`.
        if let Some(interval) = interval {
            request.datetime = Some(interval.to_query());
        }
        if let Some(more) = more {
            let text = match &self.0.filter {
                Some(own) => format!("({}) AND ({more})", own.to_text()),
                None => more.to_owned(),
            };
            request.filter = Some(Filter::parse(&text).map_err(|error| error.to_string())?);
        }
        Ok(request)
    }

    /// The collections that are wanted; all if empty.
    pub(crate) fn collections(&self) -> &[String] {
        &self.0.collections
    }
}
