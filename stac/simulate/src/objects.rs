//! Objects on the high-resolution image: greenhouses and halls, turned in every direction, none of which covers another.
//!
//! They are for detectors, and stand wherever there is room: who looks for them must know them by themselves.

use std::f64::consts::PI;

use serde_json::{Value, json};
use skysense_grid::GeoBox;

use crate::noise::{hash, unit_of};
use crate::utm::Zone;
use crate::{Result, SimulateError};

/// Metres that are left free between objects, and to the rim of the image.
const APART: f64 = 3.0;
/// Places that are tried for each object.
const TRIES: usize = 400;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Long, bright, ribbed.
    Greenhouse,
    /// Broad, blue, with a ridge.
    Hall,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Greenhouse, Self::Hall];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Greenhouse => "greenhouse",
            Self::Hall => "hall",
        }
    }

    /// Least length and width in metres, and how much more they may be.
    fn sizes(self) -> ([f64; 2], [f64; 2]) {
        match self {
            Self::Greenhouse => ([18.0, 7.0], [8.0, 2.0]),
            Self::Hall => ([16.0, 12.0], [6.0, 3.0]),
        }
    }
}

/// An object on the ground.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    /// Easting and northing of its middle.
    centre: (f64, f64),
    /// Length and width in metres.
    size: [f64; 2],
    /// Angle of its length from east towards north in radians.
    angle: f64,
}

impl Object {
    /// Corners in eastings and northings.
    pub(crate) fn corners(&self) -> [(f64, f64); 4] {
        let (sin, cos) = self.angle.sin_cos();
        [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)].map(|(along, across)| {
            let (a, b) = (along * self.size[0], across * self.size[1]);
            (self.centre.0 + a * cos - b * sin, self.centre.1 + a * sin + b * cos)
        })
    }

    /// Half of its diagonal.
    fn reach(&self) -> f64 {
        self.size[0].hypot(self.size[1]) / 2.0
    }

    /// Whether a northing comes near.
    pub(crate) fn meets_row(&self, y: f64) -> bool {
        (y - self.centre.1).abs() <= self.reach()
    }

    /// Red, green and blue of its roof at a place; `None` beside it.
    pub(crate) fn roof(&self, (x, y): (f64, f64)) -> Option<[f64; 3]> {
        let (right, up) = (x - self.centre.0, y - self.centre.1);
        let (sin, cos) = self.angle.sin_cos();
        let (along, across) = (right * cos + up * sin, up * cos - right * sin);
        if along.abs() > self.size[0] / 2.0 || across.abs() > self.size[1] / 2.0 {
            return None;
        }
        Some(match self.kind {
            Kind::Greenhouse => {
                let rib = along.rem_euclid(3.0) < 0.5;
                [226.0, 234.0, 230.0].map(|value| if rib { value - 45.0 } else { value })
            }
            // The side towards the sun is the brighter one.
            Kind::Hall => [62.0, 92.0, 150.0].map(|value| if across > 0.0 { value + 26.0 } else { value }),
        })
    }
}

/// So many objects on an image, kinds in turn; a function of grid and seed.
///
/// # Errors
/// An image without room for them.
pub(crate) fn objects(count: usize, seed: u64, image: &GeoBox) -> Result<Vec<Object>> {
    let [west, south, east, north] = image.bounds();
    let mut placed: Vec<Object> = Vec::with_capacity(count);
    for index in 0..count {
        let kind = Kind::ALL[index % Kind::ALL.len()];
        let (least, more) = kind.sizes();
        let tried = (0..TRIES).find_map(|attempt| {
            let draw = |what: u64| unit_of(hash(seed ^ 0x0b_1ec7, index as i64, attempt as i64), what);
            let size = [0, 1].map(|axis: usize| least[axis] + more[axis] * draw(axis as u64));
            let rim = size[0].hypot(size[1]) / 2.0 + APART;
            let within = |from: f64, to: f64, what: u64| from + rim + (to - from - 2.0 * rim) * draw(what);
            let centre = (within(west, east, 2), within(south, north, 3));
            let object = Object { kind, centre, size, angle: PI * (draw(4) - 0.5) };
            let inside = east - west > 2.0 * rim && north - south > 2.0 * rim;
            let free = placed.iter().all(|other| {
                let apart = (other.centre.0 - centre.0).hypot(other.centre.1 - centre.1);
                apart >= other.reach() + object.reach() + APART
            });
            (inside && free).then_some(object)
        });
        let full = || SimulateError::Spec {
            field: "objects",
            value: count.to_string(),
            expected: format!("about {} on a high-resolution image of this size", placed.len()),
        };
        placed.push(tried.ok_or_else(full)?);
    }
    Ok(placed)
}

/// Polygons in degrees, each with its class.
pub(crate) fn geojson(objects: &[Object], zone: Zone) -> Value {
    let feature = |(index, object): (usize, &Object)| {
        let mut ring: Vec<[f64; 2]> = object.corners().map(|(x, y)| <[f64; 2]>::from(zone.inverse(x, y))).to_vec();
        ring.push(ring[0]);
        json!({
            "type": "Feature",
            "id": index + 1,
            "properties": {"class": object.kind.name()},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        })
    };
    json!({"type": "FeatureCollection", "features": objects.iter().enumerate().map(feature).collect::<Vec<_>>()})
}

/// The same in the layout of COCO, in pixels of an image.
pub(crate) fn coco(objects: &[Object], image: &GeoBox, file: &str) -> Result<Value> {
    let mut annotations = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        let corners = pixels(object, image)?;
        let least = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f64::INFINITY, f64::min);
        let most = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f64::NEG_INFINITY, f64::max);
        let scale = image.resolution().0;
        annotations.push(json!({
            "id": index + 1,
            "image_id": 1,
            "category_id": 1 + Kind::ALL.iter().position(|kind| *kind == object.kind).unwrap_or_default(),
            "bbox": [least(0), least(1), most(0) - least(0), most(1) - least(1)],
            "segmentation": [corners.as_flattened()],
            "area": object.size[0] * object.size[1] / scale / scale,
            "iscrowd": 0,
        }));
    }
    let categories: Vec<Value> =
        Kind::ALL.iter().enumerate().map(|(at, kind)| json!({"id": at + 1, "name": kind.name()})).collect();
    Ok(json!({
        "images": [{"id": 1, "file_name": file, "width": image.width, "height": image.height}],
        "annotations": annotations,
        "categories": categories,
    }))
}

/// The same in the layout of DOTA, in pixels of an image.
pub(crate) fn dota(objects: &[Object], image: &GeoBox) -> Result<String> {
    let mut text = format!("imagesource:simulated\ngsd:{}\n", image.resolution().0);
    for object in objects {
        let numbers: Vec<String> = pixels(object, image)?.as_flattened().iter().map(|v| format!("{v:.3}")).collect();
        text.push_str(&format!("{} {} 0\n", numbers.join(" "), object.kind.name()));
    }
    Ok(text)
}

/// Corners as columns and rows.
fn pixels(object: &Object, image: &GeoBox) -> Result<[[f64; 2]; 4]> {
    let inverse = image.transform.inverse()?;
    Ok(object.corners().map(|(x, y)| inverse.apply(x, y).into()))
}

#[cfg(test)]
mod tests {
    use skysense_grid::{Affine, Crs};

    use super::*;

    fn image(side: usize) -> GeoBox {
        GeoBox::new(Crs::epsg(32633), Affine::north_up(500_000.0, 5_300_000.0, 0.3125), side, side).unwrap()
    }

    #[test]
    fn objects_stand_apart_inside_the_image_and_are_drawn_where_they_are() {
        let (side, scale) = (1024, 0.3125);
        let placed = objects(24, 7, &image(side)).unwrap();
        assert_eq!(placed, objects(24, 7, &image(side)).unwrap());
        assert_ne!(placed, objects(24, 8, &image(side)).unwrap());
        let mut covered = vec![0_usize; placed.len()];
        for row in 0..side {
            for column in 0..side {
                let at = |pixel: usize| (pixel as f64 + 0.5) * scale;
                let place = (500_000.0 + at(column), 5_300_000.0 - at(row));
                let hits: Vec<usize> = (0..placed.len()).filter(|i| placed[*i].roof(place).is_some()).collect();
                assert!(hits.len() < 2);
                assert!(hits.iter().all(|hit| placed[*hit].meets_row(place.1)));
                hits.into_iter().for_each(|hit| covered[hit] += 1);
            }
        }
        for (object, pixels) in placed.iter().zip(covered) {
            let area = object.size[0] * object.size[1] / scale / scale;
            assert!((pixels as f64 - area).abs() < 0.05 * area, "{object:?}: {pixels} of {area}");
        }
        assert!(objects(1000, 7, &image(side)).unwrap_err().to_string().contains("objects is 1000"));
    }

    #[test]
    fn pixels_of_the_truth_are_those_of_the_image() {
        let placed = objects(2, 1, &image(512)).unwrap();
        let coco = coco(&placed, &image(512), "image.tif").unwrap();
        let bbox = &coco["annotations"][0]["bbox"];
        let middle = |axis: usize| bbox[axis].as_f64().unwrap() + bbox[axis + 2].as_f64().unwrap() / 2.0;
        assert!((500_000.0 + middle(0) * 0.3125 - placed[0].centre.0).abs() < 1e-6);
        assert!((5_300_000.0 - middle(1) * 0.3125 - placed[0].centre.1).abs() < 1e-6);
        let dota = dota(&placed, &image(512)).unwrap();
        assert_eq!(dota.lines().count(), 4);
        assert!(dota.lines().nth(3).unwrap().ends_with("hall 0"));
    }
}
