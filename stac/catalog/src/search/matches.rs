//! Whether an item is what a request asks for.

use serde_json::{Value, json};

use super::SearchRequest;
use crate::{Bbox, Item, decode, intersects};

impl SearchRequest {
    /// Whether an item passes every filter of the request.
    ///
    /// # Errors
    /// Why that cannot be told: what it is to be judged by is missing or broken.
    pub fn passes(&self, item: &Item) -> Result<bool, String> {
        if !self.ids.is_empty() && !self.ids.iter().any(|id| id == item.id()) {
            return Ok(false);
        }
        if !self.collections.is_empty() && !self.collections.iter().any(|id| Some(id.as_str()) == item.collection()) {
            return Ok(false);
        }
        if let (Some(limit), Some(cover)) = (self.max_cloud_cover, item.cloud_cover())
            && cover > limit
        {
            return Ok(false);
        }
        if let Some(wanted) = self.interval().map_err(|error| error.to_string())? {
            let covers = item
                .coverage()
                .ok_or_else(|| format!("no datetime to filter by: `datetime` is {}", item.property("datetime")))?;
            if !wanted.overlaps(&covers) {
                return Ok(false);
            }
        }
        if self.filter.as_ref().is_some_and(|filter| !filter.passes(item)) {
            return Ok(false);
        }
        self.lies_in(item)
    }

    fn lies_in(&self, item: &Item) -> Result<bool, String> {
        if let Some(geometry) = item.geometry() {
            decode::geojson(geometry).map_err(|problem| format!("its geometry {problem}"))?;
        }
        if let Some(wanted) = self.bbox {
            let bbox = item.bbox().ok_or("neither bbox nor geometry to filter by")?;
            if !wanted.intersects(&bbox) {
                return Ok(false);
            }
        }
        let ring = self.bbox.map(ring);
        for area in ring.iter().chain(&self.intersects) {
            let touches = match item.geometry() {
                Some(geometry) => intersects(area, geometry),
                None => item.bbox().map(|bbox| crate::bbox_of(area).is_some_and(|area| area.intersects(&bbox))),
            };
            if !touches.ok_or("a geometry that cannot be read")? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A box as a geometry, which goes beyond 180 degrees where it crosses the antimeridian.
fn ring(bbox: Bbox) -> Value {
    let [west, south, mut east, north] = bbox.0;
    east += if west > east { 360.0 } else { 0.0 };
    json!({"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
}
