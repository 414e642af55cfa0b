//! `stac.search`: finds items in a catalog, once, while planning.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use skysense_abi::{BatchStream, Fault, Host, Level, Node, NodeDoc, NodeError, NodePlan, PlanInputs, RunInputs};
use skysense_catalog::{Access, Bbox, Filter, Http, Item, Limits, SearchOutcome, SearchRequest, Sensors, search};
use skysense_edges::{ItemBuilder, ItemFacts, ItemRow, item_schema};

use crate::chips::unknown_collection;
use crate::credentials;
use crate::errors;
use crate::settings::{AreaSetting, OnError, did_you_mean, href, path};

const DOC: &str = "\
Searches a static catalog, a collection, an item collection or a STAC API. The search runs once, while \
planning; the items that it finds are pinned in the plan, and a run never asks the catalog again.

## Columns
Out: `item`, one row for each item: id, collection, sensor, modality, datetime, geometry, bbox, and the item \
itself as JSON with absolute hrefs. Items of no known sensor are given with an empty `sensor`: they may be labels.

## Limits
`datetime` filters by the item's own datetime or interval, never by its id. Items that do not say their cloud \
cover pass `cloud_cover`; items that do not say what `filter` asks for do not pass it. Every filter is applied here, \
to static catalogs and APIs alike; an API whose landing page lists filters gets `filter` and `cloud_cover` with the \
search, so that it sends less. `filter` takes `AND`, `OR`, `NOT`, comparisons, `LIKE`, `BETWEEN`, `IN` and `IS NULL`.

`http.headers` go to the server of `href` and to no other, not with redirects and not with the reading of pixels; \
their values stand in no log, error, plan or item. A catalog's hrefs reach local files only if the catalog is local and the file lies in \
its folder or in `allow_paths`.";

const EXAMPLE: &str = "\
scenes:
  uses: stac.search
  with:
    href: data/catalog.json
    collections: [sentinel-2-l2a, sentinel-1-rtc]
    datetime: 2021-03-01/2021-10-31
    bbox: [14.4, 45.9, 14.7, 46.1]
    cloud_cover: 60
";

/// Collections that a message lists.
const MOST_NAMED: usize = 20;
/// How a datetime or an interval looks; whether it is one is found when it is read.
const DATETIME: &str = r"^\s*(\.\.|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ]\S+)?)?\s*(/\s*(\.\.|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ]\S+)?)?\s*)?$";

/// Settings of `stac.search`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Path or URL of a catalog, collection, item, item collection or STAC API.
    href: String,
    /// Ids of the collections to search; all when left out.
    #[serde(default)]
    collections: Vec<String>,
    /// Ids of the items to take; all when left out.
    #[serde(default)]
    ids: Vec<String>,
    /// `[west, south, east, north]` in degrees; west is greater than east across the antimeridian.
    #[serde(default)]
    bbox: Option<[f64; 4]>,
    /// Items must touch this area: a file, WKT or a GeoJSON geometry.
    #[serde(default)]
    area: Option<AreaSetting>,
    /// The same as `area`, by the name that STAC APIs have for it.
    #[serde(default)]
    intersects: Option<AreaSetting>,
    /// A datetime or an interval, as `2021-03-01/2021-10-31`; `..` leaves an end open.
    #[serde(default)]
    #[schemars(extend("pattern" = DATETIME))]
    datetime: Option<String>,
    /// Most cloud cover of an item, in percent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    cloud_cover: Option<f64>,
    /// What must be true of an item's properties, in CQL2 as text or JSON:
    /// `eo:cloud_cover < 20 AND platform = 'sentinel-2a'`.
    #[serde(default)]
    filter: Option<FilterSetting>,
    /// Most items; the first ones by datetime are kept.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<usize>,
    /// Sensor of collections that no sensor file knows: `{my-collection: sentinel-2-l2a}`, or the path of a
    /// sensor file.
    #[serde(default)]
    sensors: BTreeMap<String, String>,
    /// Folders outside the catalog's own that its hrefs may reach.
    #[serde(default)]
    allow_paths: Vec<PathBuf>,
    /// What becomes of a document of the catalog that cannot be read: `skip` or `fail`.
    #[serde(default)]
    on_error: OnError,
    /// How servers are asked: `{headers: {Authorization: "${secret:NAME}"}, retries: 8}`.
    #[serde(default)]
    http: Http,
    /// Guards against catalogs without end.
    #[serde(default)]
    limits: Limits,
}

/// A filter in CQL2.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum FilterSetting {
    /// CQL2 text.
    Text(String),
    /// CQL2 JSON.
    Json(serde_json::Map<String, Value>),
}

impl FilterSetting {
    fn read(&self) -> Result<Filter, Fault> {
        let filter = match self {
            Self::Text(text) => Filter::parse(text),
            Self::Json(json) => Filter::from_json(&Value::Object(json.clone())),
        };
        filter.map_err(|error| errors::catalog_fault("/filter", &error))
    }
}

/// The node.
pub(crate) struct StacSearch;

impl Node for StacSearch {
    const NAME: &'static str = "stac.search";
    type Settings = Settings;

    fn describe() -> NodeDoc {
        NodeDoc::new("Finds items in a STAC catalog or API").output("item").doc(DOC).example(EXAMPLE).impure()
    }

    fn plan(settings: Settings, _: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let base = host.about().base;
        let sensors = sensors(&settings.sensors, host).map_err(|fault| vec![fault])?;
        let outcome = found(&settings, host)?;
        mapped_collections(&settings, &outcome, host)?;
        let mut rows = ItemBuilder::default();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for item in &outcome.items {
            let row = row(item, &sensors);
            *counts.entry(row.modality.clone().unwrap_or_else(|| "other".into())).or_default() += 1;
            rows.push(row);
        }
        let batch = rows.finish().map_err(|error| vec![Fault::from(errors::edge(&error))])?;
        let facts = ItemFacts {
            items: outcome.items.len(),
            modalities: counts.clone(),
            sensors: settings.sensors.clone(),
            allow_paths: settings
                .allow_paths
                .iter()
                .map(|p| path(&base, &p.display().to_string()).display().to_string())
                .collect(),
        };
        let bytes = batch.get_array_memory_size() as u64;
        let mut plan = NodePlan::new(item_schema()).facts(json!(facts)).rows(vec![batch]).memory(0, bytes);
        for (modality, count) in counts {
            plan = plan.cost(&format!("items.{modality}"), count as f64, "");
        }
        Ok(plan.cost("search_requests", outcome.requests as f64, ""))
    }

    fn run(_: Settings, plan: NodePlan, _: RunInputs, _: Host) -> Result<BatchStream, NodeError> {
        let rows = plan.rows.ok_or_else(|| {
            NodeError::new("plan.missing", "the plan of stac.search holds no items").hint("plan the workflow again")
        })?;
        Ok(Box::new(rows.into_iter().map(Ok)))
    }
}

/// What the settings ask for.
///
/// # Errors
/// Settings that make no sense, a catalog that cannot be read, nothing found.
pub(crate) fn found(settings: &Settings, host: &Host) -> Result<SearchOutcome, Vec<Fault>> {
    let request = request(settings, host)?;
    let mut outcome =
        search(&request, &|| host.cancelled()).map_err(|error| vec![errors::catalog_fault("/href", &error)])?;
    report(&outcome, settings, host)?;
    if let Some(limit) = settings.limit {
        outcome.items.truncate(limit);
    }
    if outcome.items.is_empty() {
        return Err(nothing_found(settings, &outcome).into());
    }
    Ok(outcome)
}

/// The sensors at hand, with those that the workflow adds.
pub(crate) fn sensors(mapping: &BTreeMap<String, String>, host: &Host) -> Result<Sensors, Fault> {
    let known = Sensors::builtin().and_then(|sensors| sensors.with(mapping, &host.about().base));
    known.map_err(|error| errors::catalog_fault("/sensors", &error))
}

fn request(settings: &Settings, host: &Host) -> Result<SearchRequest, Vec<Fault>> {
    let base = host.about().base;
    let mut faults = Vec::new();
    let mut request = SearchRequest::new(href(&base, &settings.href));
    request.collections.clone_from(&settings.collections);
    request.ids.clone_from(&settings.ids);
    request.datetime.clone_from(&settings.datetime);
    request.max_cloud_cover = settings.cloud_cover;
    request.bbox = settings.bbox.map(Bbox);
    request.http.clone_from(&settings.http);
    request.limits = settings.limits;
    request.access = Access::new(settings.allow_paths.iter().map(|p| path(&base, &p.display().to_string())));
    if settings.area.is_some() && settings.intersects.is_some() {
        faults.push(Fault::new("/intersects", "settings.invalid", "area and intersects are both given: keep one"));
    }
    for (field, area) in [("/area", &settings.area), ("/intersects", &settings.intersects)] {
        match area.as_ref().map(|area| area.read(field, &base)) {
            Some(Ok(area)) => request.intersects = Some(area.geojson().clone()),
            Some(Err(fault)) => faults.push(fault),
            None => {}
        }
    }
    match settings.filter.as_ref().map(FilterSetting::read) {
        Some(Ok(filter)) => request.filter = Some(filter),
        Some(Err(fault)) => faults.push(fault),
        None => {}
    }
    if settings.limit == Some(0) {
        faults.push(Fault::new("/limit", "settings.invalid", "limit is 0, expected at least 1"));
    }
    if let Err(error) = request.check() {
        faults.push(errors::catalog_fault("", &error));
    }
    if faults.is_empty() { Ok(request) } else { Err(faults) }
}

fn report(outcome: &SearchOutcome, settings: &Settings, host: &Host) -> Result<(), Vec<Fault>> {
    for skipped in &outcome.skipped {
        let name = skipped.item.as_deref().unwrap_or(&skipped.href);
        if settings.on_error == OnError::Fail {
            let message = format!("{name}: {}", skipped.reason);
            return Err(Fault::new("/on_error", "catalog.broken", message)
                .hint("mend the catalog, or set `on_error: skip`")
                .into());
        }
        host.skipped(name, None, &skipped.reason);
        host.log(Level::Warn, format!("{name} is left out: {}", skipped.reason));
    }
    Ok(())
}

fn nothing_found(settings: &Settings, outcome: &SearchOutcome) -> Fault {
    let mut filters = Vec::new();
    let mut add = |name: &str, value: Option<String>| filters.extend(value.map(|value| format!("{name} {value}")));
    add("collections", (!settings.collections.is_empty()).then(|| settings.collections.join(", ")));
    add("ids", (!settings.ids.is_empty()).then(|| settings.ids.join(", ")));
    add("datetime", settings.datetime.clone());
    add("bbox", settings.bbox.map(|bbox| format!("{bbox:?}")));
    add("area", settings.area.as_ref().map(|_| "as given".into()));
    add("intersects", settings.intersects.as_ref().map(|_| "as given".into()));
    add("filter", settings.filter.as_ref().map(|_| "as given".into()));
    add("cloud_cover", settings.cloud_cover.map(|cover| format!("≤ {cover}")));
    let filters = if filters.is_empty() { "no filter".into() } else { filters.join(", ") };
    let left_out = match (outcome.filtered, outcome.skipped.len()) {
        (0, 0) => "there is none".to_owned(),
        (filtered, skipped) => {
            format!("{filtered} items did not pass the filters, {skipped} documents could not be used")
        }
    };
    let known: Vec<&str> = outcome.collections.iter().map(String::as_str).collect();
    let shown = known.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    let there = match known.len() {
        0 => String::new(),
        few if few <= MOST_NAMED => format!("; its collections are {shown}"),
        many => format!("; its collections are {shown} and {} more", many - MOST_NAMED),
    };
    let message =
        format!("no items found in {} with {filters}: {left_out}{there}", skysense_address::redact(&settings.href));
    let mistyped = settings.collections.iter().find(|id| !known.is_empty() && !known.contains(&id.as_str()));
    match mistyped {
        Some(id) => {
            let hint = did_you_mean(id, known.iter().copied()).unwrap_or_else(|| "name one that is there".into());
            Fault::new("/collections", "search.empty", format!("{message}; there is no collection `{id}`")).hint(hint)
        }
        None => Fault::new("/href", "search.empty", message)
            .hint("widen datetime, bbox, filter or cloud_cover, and check the ids of collections"),
    }
}

/// Refuses sensors whose collection is a slip of one that is there. One that is like none is only told: a workflow may
/// serve many catalogs, and an item without a sensor does not pass unheard.
fn mapped_collections(settings: &Settings, outcome: &SearchOutcome, host: &Host) -> Result<(), Vec<Fault>> {
    let mut known: BTreeSet<&str> =
        outcome.collections.iter().chain(&settings.collections).map(String::as_str).collect();
    if outcome.items.iter().any(|item| item.collection().is_none()) {
        known.insert("none");
    }
    let mut faults = Vec::new();
    for key in settings.sensors.keys() {
        let Some(fault) = unknown_collection("/sensors", key, &known) else { continue };
        match did_you_mean(key, known.iter().copied().filter(|id| !settings.sensors.contains_key(*id))) {
            Some(hint) => faults.push(fault.hint(hint)),
            None => host.log(Level::Warn, fault.message),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The row of an item.
pub(crate) fn row(item: &Item, sensors: &Sensors) -> ItemRow {
    let sensor = sensors.of(item);
    let milliseconds = |at: chrono::DateTime<chrono::Utc>| at.timestamp_millis();
    let interval = item.interval();
    let mut pinned = Value::Object(item.value().clone());
    credentials::cut(&mut pinned);
    ItemRow {
        id: item.id().to_owned(),
        collection: item.collection().map(str::to_owned),
        sensor: sensor.map(|sensor| sensor.sensor.clone()),
        modality: sensor.map(|sensor| sensor.modality.name().to_owned()),
        datetime: item.datetime().map(milliseconds),
        start: interval.map(|(start, _)| milliseconds(start)),
        end: interval.map(|(_, end)| milliseconds(end)),
        geometry: item.geometry().and_then(|geometry| skysense_catalog::to_wkb(geometry).ok()),
        bbox: item.bbox().map(|bbox| bbox.0),
        item: pinned.to_string(),
        root: Some(item.root().to_string()),
    }
}
