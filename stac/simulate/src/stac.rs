//! The catalog of a scene: STAC 1.1 items, collections and the catalog above them, as JSON values.

use serde_json::{Map, Value, json};
use skysense_grid::GeoBox;
use skysense_raster::{Footprint, footprint};

use crate::optical::{AT_10_M, BAND_NAMES};
use crate::signature::BANDS;
use crate::sky::Sun;
use crate::{CLASSES, Result};

pub(crate) const VERSION: &str = "1.1.0";
const PROJECTION: &str = "https://stac-extensions.github.io/projection/v2.0.0/schema.json";
const RASTER: &str = "https://stac-extensions.github.io/raster/v2.0.0/schema.json";
const EO: &str = "https://stac-extensions.github.io/eo/v2.0.0/schema.json";
const VIEW: &str = "https://stac-extensions.github.io/view/v1.0.0/schema.json";
const SAT: &str = "https://stac-extensions.github.io/sat/v1.0.0/schema.json";
const SAR: &str = "https://stac-extensions.github.io/sar/v1.0.0/schema.json";
const GRID: &str = "https://stac-extensions.github.io/grid/v1.1.0/schema.json";
const SENTINEL_2: &str = "https://stac-extensions.github.io/sentinel-2/v1.0.0/schema.json";
const CLASSIFICATION: &str = "https://stac-extensions.github.io/classification/v2.0.0/schema.json";
const COG: &str = "image/tiff; application=geotiff; profile=cloud-optimized";

/// The collections of a scene in the order of the catalog.
pub(crate) const COLLECTIONS: [(&str, &str); 7] = [
    (SENTINEL_2_L2A, "Simulated Sentinel-2 surface reflectance with scene classification"),
    (SENTINEL_1_RTC, "Simulated Sentinel-1 terrain-corrected backscatter in linear power"),
    (AERIAL, "Simulated high-resolution RGB"),
    (LABELS, "True class map of the simulated scene"),
    (OBJECTS, "True outlines of the objects on the high-resolution image"),
    (CHANGES, "True map of what changed between the two years of the simulated scene"),
    (COVER, "True share of green ground of the simulated scene"),
];
pub(crate) const SENTINEL_2_L2A: &str = "sentinel-2-l2a";
pub(crate) const SENTINEL_1_RTC: &str = "sentinel-1-rtc";
pub(crate) const AERIAL: &str = "aerial-rgb";
pub(crate) const LABELS: &str = "labels";
pub(crate) const OBJECTS: &str = "objects";
pub(crate) const CHANGES: &str = "changes";
pub(crate) const COVER: &str = "cover";

/// Values, names and colours of the map of changes.
pub(crate) const CHANGE_CLASSES: [(u8, &str, &str); 2] = [(1, "unchanged", "c8c8c8"), (2, "built_over", "d7263d")];

/// Codes, names and colours of the Sentinel-2 scene classification.
const SCL: [(u8, &str, &str); 12] = [
    (0, "no_data", "000000"),
    (1, "saturated_or_defective", "ff0000"),
    (2, "dark_area_pixels", "2f2f2f"),
    (3, "cloud_shadows", "643200"),
    (4, "vegetation", "00a000"),
    (5, "not_vegetated", "ffe65a"),
    (6, "water", "0000ff"),
    (7, "unclassified", "808080"),
    (8, "cloud_medium_probability", "c0c0c0"),
    (9, "cloud_high_probability", "ffffff"),
    (10, "thin_cirrus", "64c8ff"),
    (11, "snow", "ff96ff"),
];

/// What all items share.
pub(crate) struct Place<'a> {
    pub(crate) geobox: &'a GeoBox,
    outline: Footprint,
}

impl<'a> Place<'a> {
    /// The place of a grid: outline and bbox as whoever publishes maps writes them, across the antimeridian too.
    ///
    /// # Errors
    /// A grid where its projection is not defined.
    pub(crate) fn of(geobox: &'a GeoBox) -> Result<Self> {
        Ok(Self { geobox, outline: footprint(geobox)? })
    }

    /// West, south, east, north in degrees; west is greater than east across the antimeridian.
    pub(crate) fn bbox(&self) -> [f64; 4] {
        self.outline.bbox
    }

    fn grid(&self, properties: &mut Map<String, Value>) {
        properties.insert("proj:code".into(), json!(self.geobox.crs.to_string()));
        properties.extend(grid_of(self.geobox));
    }

    fn item(
        &self,
        id: &str,
        collection: &str,
        extensions: &[&str],
        properties: Map<String, Value>,
        assets: Map<String, Value>,
    ) -> Value {
        json!({
            "type": "Feature",
            "stac_version": VERSION,
            "stac_extensions": extensions,
            "id": id,
            "collection": collection,
            "geometry": self.outline.geometry(),
            "bbox": self.bbox(),
            "properties": properties,
            "links": [
                {"rel": "root", "href": "../../catalog.json", "type": "application/json"},
                {"rel": "parent", "href": "../collection.json", "type": "application/json"},
                {"rel": "collection", "href": "../collection.json", "type": "application/json"},
                {"rel": "self", "href": format!("./{id}.json"), "type": "application/geo+json"},
            ],
            "assets": assets,
        })
    }
}

fn grid_of(geobox: &GeoBox) -> Map<String, Value> {
    let transform: [f64; 6] = geobox.transform.into();
    object(json!({"proj:shape": [geobox.height, geobox.width], "proj:transform": transform}))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// What a Sentinel-2 item says besides its place.
pub(crate) struct Optical<'a> {
    pub(crate) id: &'a str,
    pub(crate) granule: &'a str,
    pub(crate) datetime: &'a str,
    pub(crate) platform: &'a str,
    pub(crate) baseline: &'a str,
    /// Reflectance to add after scaling: −0.1 from baseline 04.00 on.
    pub(crate) offset: f64,
    pub(crate) cloud_percent: f64,
    pub(crate) sun: Sun,
}

pub(crate) fn optical_item(place: &Place<'_>, coarse: &GeoBox, about: &Optical<'_>) -> Value {
    let mut properties = object(json!({
        "datetime": about.datetime,
        "platform": about.platform,
        "constellation": "sentinel-2",
        "instruments": ["msi"],
        "gsd": 10,
        "eo:cloud_cover": about.cloud_percent,
        "view:sun_azimuth": round2(about.sun.azimuth),
        "view:sun_elevation": round2(about.sun.elevation),
        "view:off_nadir": 0,
        "grid:code": format!("SIM-{}", about.granule),
        "s2:processing_baseline": about.baseline,
        "s2:product_type": "S2MSI2A",
    }));
    place.grid(&mut properties);
    let mut assets = Map::new();
    for (index, name) in BANDS.iter().enumerate() {
        let (common, wavelength, width) = BAND_NAMES[index];
        let geobox = if AT_10_M[index] { place.geobox } else { coarse };
        let mut asset = object(json!({
            "href": format!("./{name}.tif"),
            "type": COG,
            "title": format!("{name}, surface reflectance"),
            "roles": ["data", "reflectance"],
            "gsd": if AT_10_M[index] { 10 } else { 20 },
            "data_type": "uint16",
            "nodata": 0,
            "raster:scale": 0.0001,
            "raster:offset": about.offset,
            "bands": [{"name": name, "eo:common_name": common, "eo:center_wavelength": wavelength, "eo:full_width_half_max": width}],
        }));
        asset.extend(grid_of(geobox));
        assets.insert((*name).into(), asset.into());
    }
    let mut scl = object(json!({
        "href": "./SCL.tif",
        "type": COG,
        "title": "Scene classification",
        "roles": ["data"],
        "gsd": 20,
        "data_type": "uint8",
        "nodata": 0,
        "bands": [{"name": "SCL"}],
        "classification:classes": SCL.map(|(value, name, color)| json!({"value": value, "name": name, "color_hint": color.to_uppercase()})),
    }));
    scl.extend(grid_of(coarse));
    assets.insert("SCL".into(), scl.into());
    place.item(
        about.id,
        SENTINEL_2_L2A,
        &[PROJECTION, RASTER, EO, VIEW, GRID, SENTINEL_2, CLASSIFICATION],
        properties,
        assets,
    )
}

/// What a Sentinel-1 item says besides its place.
pub(crate) struct Radar<'a> {
    pub(crate) id: &'a str,
    pub(crate) datetime: &'a str,
    pub(crate) platform: &'a str,
    pub(crate) ascending: bool,
    pub(crate) nodata: f64,
}

pub(crate) fn radar_item(place: &Place<'_>, about: &Radar<'_>) -> Value {
    let mut properties = object(json!({
        "datetime": about.datetime,
        "platform": about.platform,
        "constellation": "sentinel-1",
        "instruments": ["c-sar"],
        "gsd": 10,
        "sar:instrument_mode": "IW",
        "sar:frequency_band": "C",
        "sar:center_frequency": 5.405,
        "sar:polarizations": ["VV", "VH"],
        "sar:product_type": "RTC",
        "sar:looks_equivalent_number": 4,
        "sat:orbit_state": if about.ascending { "ascending" } else { "descending" },
        "sat:relative_orbit": if about.ascending { 44 } else { 95 },
    }));
    place.grid(&mut properties);
    let mut assets = Map::new();
    for name in ["VV", "VH"] {
        assets.insert(
            name.to_lowercase(),
            json!({
                "href": format!("./{name}.tif"),
                "type": COG,
                "title": format!("{name}, gamma naught in linear power"),
                "roles": ["data"],
                "data_type": "float32",
                "nodata": about.nodata,
                "unit": "1",
                "bands": [{"name": name, "description": "gamma naught, terrain corrected, linear power"}],
                "sar:polarizations": [name],
            }),
        );
    }
    place.item(about.id, SENTINEL_1_RTC, &[PROJECTION, RASTER, SAR, SAT], properties, assets)
}

pub(crate) fn aerial_item(place: &Place<'_>, id: &str, datetime: &str) -> Value {
    let mut properties = object(json!({
        "datetime": datetime,
        "platform": "simulated aircraft",
        "gsd": place.geobox.resolution().0,
    }));
    place.grid(&mut properties);
    let band =
        |name: &str, wavelength: f64| json!({"name": name, "eo:common_name": name, "eo:center_wavelength": wavelength});
    let assets = object(json!({
        "image": {
            "href": "./image.tif",
            "type": COG,
            "title": "Orthophoto",
            "roles": ["data", "visual"],
            "data_type": "uint8",
            "bands": [band("red", 0.665), band("green", 0.56), band("blue", 0.49)],
        }
    }));
    place.item(id, AERIAL, &[PROJECTION, RASTER, EO], properties, assets)
}

/// Outlines of objects in three layouts, of which the first is the one that says by itself where they are.
pub(crate) fn objects_item(place: &Place<'_>, id: &str, image: &str, datetime: &str) -> Value {
    let asset = |href: String, media_type: &str, title: &str| json!({"href": href, "type": media_type, "title": title, "roles": ["data", "labels"]});
    let assets = object(json!({
        "objects": asset("./objects.geojson".into(), "application/geo+json", "Outlines with their class"),
        "coco": asset("./coco.json".into(), "application/json", "The same in the layout of COCO"),
        "dota": asset(format!("./{image}.txt"), "text/plain", "The same in the layout of DOTA"),
    }));
    place.item(id, OBJECTS, &[], object(json!({"datetime": datetime})), assets)
}

pub(crate) fn labels_item(place: &Place<'_>, id: &str, year: i32) -> Value {
    let classes = CLASSES
        .iter()
        .map(|class| json!({"value": class.value, "name": class.name, "title": class.title, "color_hint": class.color.to_uppercase()}));
    class_map(place, (LABELS, id), "True class at the centre of each pixel", [year, year], classes.collect())
}

/// The map of what changed after `year`.
pub(crate) fn changes_item(place: &Place<'_>, id: &str, year: i32) -> Value {
    let classes = CHANGE_CLASSES
        .iter()
        .map(|(value, name, color)| json!({"value": value, "name": name, "color_hint": color.to_uppercase()}));
    class_map(place, (CHANGES, id), "What changed at the centre of each pixel", [year, year + 1], classes.collect())
}

/// An item of a collection whose only asset is a map of classes, named as the collection is.
fn class_map(
    place: &Place<'_>,
    (collection, id): (&str, &str),
    title: &str,
    [first, last]: [i32; 2],
    classes: Vec<Value>,
) -> Value {
    let mut properties = object(json!({
        "datetime": null,
        "start_datetime": format!("{first}-01-01T00:00:00Z"),
        "end_datetime": format!("{last}-12-31T23:59:59Z"),
        "gsd": 10,
    }));
    place.grid(&mut properties);
    let assets = object(json!({
        collection: {
            "href": format!("./{collection}.tif"),
            "type": COG,
            "title": title,
            "roles": ["data", "labels"],
            "data_type": "uint8",
            "nodata": 0,
            "bands": [{"name": collection}],
            "classification:classes": classes,
        }
    }));
    place.item(id, collection, &[PROJECTION, RASTER, CLASSIFICATION], properties, assets)
}

/// The share of green ground on a day.
pub(crate) fn cover_item(place: &Place<'_>, id: &str, datetime: &str, nodata: f64) -> Value {
    let mut properties = object(json!({"datetime": datetime, "gsd": 10}));
    place.grid(&mut properties);
    let assets = object(json!({
        "cover": {
            "href": "./cover.tif",
            "type": COG,
            "title": "Share of green ground, percent",
            "roles": ["data", "labels"],
            "data_type": "float32",
            "nodata": nodata,
            "unit": "%",
            "bands": [{"name": "cover"}],
        }
    }));
    place.item(id, COVER, &[PROJECTION, RASTER], properties, assets)
}

/// The collection of items that were written; `bbox` and `interval` are theirs together.
pub(crate) fn collection(
    id: &str,
    description: &str,
    bbox: [f64; 4],
    interval: [String; 2],
    items: &[String],
) -> Value {
    let mut links = vec![
        json!({"rel": "root", "href": "../catalog.json", "type": "application/json"}),
        json!({"rel": "parent", "href": "../catalog.json", "type": "application/json"}),
        json!({"rel": "self", "href": "./collection.json", "type": "application/json"}),
    ];
    links.extend(
        items.iter().map(
            |item| json!({"rel": "item", "href": format!("./{item}/{item}.json"), "type": "application/geo+json"}),
        ),
    );
    json!({
        "type": "Collection",
        "stac_version": VERSION,
        "stac_extensions": [],
        "id": id,
        "title": description,
        "description": format!("{description}. Made by `skysense simulate scene`; no real measurement."),
        "license": "CC0-1.0",
        "keywords": ["simulated"],
        "extent": {"spatial": {"bbox": [bbox]}, "temporal": {"interval": [interval]}},
        "links": links,
    })
}

pub(crate) fn catalog(id: &str, description: &str, collections: &[&str]) -> Value {
    let mut links = vec![
        json!({"rel": "root", "href": "./catalog.json", "type": "application/json"}),
        json!({"rel": "self", "href": "./catalog.json", "type": "application/json"}),
    ];
    links.extend(
        collections
            .iter()
            .map(|id| json!({"rel": "child", "href": format!("./{id}/collection.json"), "type": "application/json"})),
    );
    json!({"type": "Catalog", "stac_version": VERSION, "id": id, "title": "Simulated scene", "description": description, "links": links})
}

fn round2(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
