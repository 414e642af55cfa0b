//! A STAC item of any version, with absolute hrefs.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::href::absolute;
use crate::{Asset, Bbox, CatalogError, Interval, Result, Root, parse_datetime};

/// Most characters an id may have; ids become file and column values.
const MAX_ID: usize = 1024;

/// A STAC item as published, of version 0.6 to 1.1, kept as JSON because real catalogs are wilder than types.
///
/// Every href is absolute. [`Item::root`] says where it came from, which decides what it may reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    value: Map<String, Value>,
    root: Root,
}

impl Item {
    /// Takes over an item that was read at `base` (a path or URL), and makes its hrefs absolute.
    ///
    /// # Errors
    /// JSON that is not an item: no feature, no id, no assets.
    pub fn from_json(value: Value, base: &str, root: Root) -> Result<Self> {
        let Value::Object(mut value) = value else {
            return Err(CatalogError::stac(base, "not a JSON object", "a STAC item"));
        };
        if value.get("type").and_then(Value::as_str) != Some("Feature") {
            return Err(CatalogError::stac(base, "not a GeoJSON feature", "a STAC item with `type: Feature`"));
        }
        let id = match value.get("id") {
            Some(Value::String(id)) if !id.is_empty() && id.len() <= MAX_ID && !id.chars().any(char::is_control) => {
                id.clone()
            }
            Some(other) => {
                return Err(CatalogError::stac(
                    base,
                    format!("item id is {other:.60}"),
                    "a text of 1 to 1024 characters",
                ));
            }
            None => return Err(CatalogError::stac(base, "item without id", "an `id`")),
        };
        if !value.get("properties").is_some_and(Value::is_object) {
            return Err(CatalogError::stac(base, format!("item `{id}` without properties"), "an object `properties`"));
        }
        let Some(Value::Object(assets)) = value.get_mut("assets") else {
            return Err(CatalogError::stac(base, format!("item `{id}` without assets"), "an object `assets`"));
        };
        for (key, asset) in assets.iter_mut() {
            let Some(asset) = asset.as_object_mut() else {
                return Err(CatalogError::stac(
                    base,
                    format!("item `{id}`, asset `{key}` is no object"),
                    "an object with `href`",
                ));
            };
            absolute_hrefs(asset, base)?;
            if let Some(Value::Object(alternates)) = asset.get_mut("alternate") {
                for alternate in alternates.values_mut().filter_map(Value::as_object_mut) {
                    absolute_hrefs(alternate, base)?;
                }
            }
        }
        if let Some(Value::Array(links)) = value.get_mut("links") {
            for link in links.iter_mut().filter_map(Value::as_object_mut) {
                absolute_hrefs(link, base)?;
            }
        }
        Ok(Self { value, root })
    }

    /// Reads the text that [`Item::to_json`] wrote.
    ///
    /// # Errors
    /// As [`Item::from_json`].
    pub fn parse(text: &str, root: Root) -> Result<Self> {
        let value = serde_json::from_str(text).map_err(|error| CatalogError::json("item", &error))?;
        Self::from_json(value, &root.to_string(), root)
    }

    /// The item as JSON text with absolute hrefs.
    pub fn to_json(&self) -> String {
        Value::Object(self.value.clone()).to_string()
    }

    /// The JSON object.
    pub fn value(&self) -> &Map<String, Value> {
        &self.value
    }

    /// Where the catalog lives.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Id, never empty.
    pub fn id(&self) -> &str {
        self.value.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// Collection, of the item or (before 0.9) of its properties.
    pub fn collection(&self) -> Option<&str> {
        self.value.get("collection").and_then(Value::as_str).or_else(|| self.text("collection"))
    }

    /// STAC version as written.
    pub fn stac_version(&self) -> Option<&str> {
        self.value.get("stac_version").and_then(Value::as_str)
    }

    /// A property, or `Null`.
    pub fn property(&self, name: &str) -> &Value {
        self.value.get("properties").and_then(|properties| properties.get(name)).unwrap_or(&Value::Null)
    }

    /// A property that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.property(name).as_str()
    }

    /// A property that is a number, also one written as text.
    pub fn number(&self, name: &str) -> Option<f64> {
        number(self.property(name))
    }

    /// First and last moment: `datetime`, or `start_datetime` and `end_datetime` where it is null.
    pub fn interval(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let moment = |name: &str| self.text(name).and_then(parse_datetime);
        if let Some(datetime) = moment("datetime") {
            return Some((datetime, datetime));
        }
        let (start, end) = (
            moment("start_datetime").or_else(|| moment("dtr:start_datetime")),
            moment("end_datetime").or_else(|| moment("dtr:end_datetime")),
        );
        let (start, end) = (start.or(end)?, end.or(start)?);
        (start <= end).then_some((start, end))
    }

    /// Moment of acquisition; of an interval, its middle.
    pub fn datetime(&self) -> Option<DateTime<Utc>> {
        let (start, end) = self.interval()?;
        Some(start + (end - start) / 2)
    }

    /// The time an item covers, for filters: its start and end where it has them, else its datetime.
    pub fn coverage(&self) -> Option<Interval> {
        let moment = |name: &str| self.text(name).and_then(parse_datetime);
        let (first, last) = self.interval()?;
        let start = moment("start_datetime").map_or(first, |start| start.min(first));
        let end = moment("end_datetime").map_or(last, |end| end.max(last));
        Some(Interval { start: Some(start), end: Some(end) })
    }

    /// Box in longitude and latitude.
    ///
    /// As written, unless it is missing or reaches around most of the globe while the geometry does not: catalogs write
    /// -180..180 for items across the antimeridian.
    pub fn bbox(&self) -> Option<Bbox> {
        let numbers = self
            .value
            .get("bbox")
            .and_then(Value::as_array)
            .map(|list| list.iter().map_while(Value::as_f64).collect::<Vec<_>>());
        let written = numbers.and_then(|numbers| Bbox::from_slice(&numbers));
        match written {
            Some(bbox) if bbox.width() <= 180.0 => Some(bbox),
            Some(bbox) => Some(
                self.geometry().and_then(crate::bbox_of).filter(|narrow| narrow.width() < bbox.width()).unwrap_or(bbox),
            ),
            None => crate::bbox_of(self.geometry()?),
        }
    }

    /// GeoJSON geometry, where there is one.
    pub fn geometry(&self) -> Option<&Value> {
        self.value.get("geometry").filter(|geometry| geometry.is_object())
    }

    /// Cloud cover in per cent, of any generation.
    pub fn cloud_cover(&self) -> Option<f64> {
        ["eo:cloud_cover", "cloud_cover", "s2:cloud_cover", "tile:clouds_percent", "s2:cloudy_pixel_percentage"]
            .iter()
            .find_map(|name| self.number(name))
    }

    /// Satellite, in lower case with hyphens.
    pub fn platform(&self) -> Option<String> {
        self.text("platform")
            .or_else(|| self.text("eo:platform"))
            .map(|platform| platform.trim().to_ascii_lowercase().replace([' ', '_'], "-"))
    }

    /// Assets in the order of the file.
    pub fn assets(&self) -> Vec<Asset> {
        let assets = self.value.get("assets").and_then(Value::as_object);
        assets.into_iter().flatten().map(|(key, value)| Asset::read(self, key, value)).collect()
    }

    /// The href of the `self` link, where there is one.
    pub fn self_href(&self) -> Option<&str> {
        let links = self.value.get("links")?.as_array()?;
        links.iter().find(|link| link.get("rel").and_then(Value::as_str) == Some("self"))?.get("href")?.as_str()
    }

    /// Adds a `self` link where the item has none, so that results can name where it came from.
    pub(crate) fn ensure_self_link(&mut self, href: &str) {
        if self
            .self_href()
            .is_some_and(|known| crate::href::remote(known).is_some() == crate::href::remote(href).is_some())
        {
            return;
        }
        let links = self.value.entry("links").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(links) = links {
            links.retain(|link| link.get("rel").and_then(Value::as_str) != Some("self"));
            links.push(serde_json::json!({"rel": "self", "href": href, "type": "application/geo+json"}));
        }
    }
}

/// A number, or a text that holds one.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}

fn absolute_hrefs(object: &mut Map<String, Value>, base: &str) -> Result<()> {
    if let Some(Value::String(href)) = object.get_mut("href") {
        // An empty href belongs to the asset that has it; it is refused when that asset is wanted.
        if !href.is_empty() {
            *href = absolute(base, href)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(properties: Value) -> Item {
        let value =
            json!({"type": "Feature", "id": "a", "properties": properties, "assets": {"B04": {"href": "./B04.tif"}}});
        Item::from_json(value, "/catalog/a/a.json", Root::Local("/catalog".into())).unwrap()
    }

    #[test]
    fn hrefs_become_absolute_and_survive_the_text() {
        let item = item(json!({"datetime": "2021-01-01T00:00:00Z"}));
        assert_eq!(item.assets()[0].href, "/catalog/a/B04.tif");
        assert_eq!(Item::parse(&item.to_json(), item.root().clone()).unwrap(), item);
    }

    #[test]
    fn an_interval_stands_for_its_middle() {
        let item = item(
            json!({"datetime": null, "start_datetime": "2021-01-01T00:00:00Z", "end_datetime": "2021-01-03T00:00:00Z"}),
        );
        assert_eq!(item.datetime(), parse_datetime("2021-01-02T00:00:00Z"));
    }

    #[test]
    fn a_box_around_the_globe_gives_way_to_a_narrow_geometry() {
        let part =
            |west: f64, east: f64| json!([[[west, 66.0], [east, 66.0], [east, 67.0], [west, 67.0], [west, 66.0]]]);
        let geometry = json!({"type": "MultiPolygon", "coordinates": [part(179.0, 180.0), part(-180.0, -178.0)]});
        let value = json!({"type": "Feature", "id": "a", "bbox": [-180.0, 66.0, 180.0, 67.0], "geometry": geometry, "properties": {}, "assets": {}});
        let item = Item::from_json(value, "/a.json", Root::Local("/".into())).unwrap();
        assert_eq!(item.bbox(), Some(Bbox([179.0, 66.0, -178.0, 67.0])));
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for value in [
            json!([]),
            json!({"type": "Catalog"}),
            json!({"type": "Feature", "id": 5}),
            json!({"type": "Feature", "id": "x", "properties": {}}),
            json!({"type": "Feature", "id": "x", "properties": {}, "assets": {"a": 1}}),
        ] {
            assert!(Item::from_json(value, "/x.json", Root::Local("/".into())).is_err());
        }
    }
}
