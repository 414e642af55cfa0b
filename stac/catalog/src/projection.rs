//! The grid that an item claims, where it claims one that can be believed.

use serde_json::{Map, Value};
use skysense_grid::{Affine, Crs, GeoBox};

use crate::Item;
use crate::item::number;

/// The claimed grid of an asset: from its own `proj:*` fields, else from those of the item.
///
/// Any of CRS, transform and shape may be absent, and then there is no claim: the file's header decides. The
/// file also wins wherever it contradicts a claim.
pub(crate) fn claimed(item: &Item, asset: &Map<String, Value>) -> Option<GeoBox> {
    let field = |name: &str| asset.get(name).filter(|value| !value.is_null()).unwrap_or_else(|| item.property(name));
    let crs = crs(field)?;
    let [height, width] = shape(field("proj:shape"))?;
    let own = |name: &str| asset.get(name).is_some_and(|value| !value.is_null());
    // A transform of the item beside a shape of the asset belongs to another resolution.
    let transform = match (own("proj:transform"), own("proj:shape")) {
        (false, true)
            if !item.property("proj:transform").is_null()
                && shape(item.property("proj:shape")) != Some([height, width]) =>
        {
            None
        }
        _ => transform(field("proj:transform")),
    };
    let transform = transform.or_else(|| from_bbox(field("proj:bbox"), width, height))?;
    GeoBox::new(crs, transform, width, height).ok()
}

fn crs<'a>(field: impl Fn(&str) -> &'a Value) -> Option<Crs> {
    if let Some(code) = field("proj:code").as_str() {
        // `EPSG:None` and its kin occur.
        let (authority, number) = code.split_once(':')?;
        return (!authority.is_empty() && number.starts_with(|c: char| c.is_ascii_digit())).then(|| Crs::new(code));
    }
    if let Some(code) = field("proj:epsg").as_u64().or_else(|| field("proj:epsg").as_str()?.parse().ok()) {
        return u32::try_from(code).ok().filter(|&code| code > 0).map(Crs::epsg);
    }
    field("proj:wkt2").as_str().filter(|text| !text.is_empty()).map(Crs::new)
}

fn shape(value: &Value) -> Option<[usize; 2]> {
    let list = value.as_array()?;
    let side = |at: usize| number(list.get(at)?).filter(|&n| n >= 1.0 && n <= f64::from(i32::MAX)).map(|n| n as usize);
    (list.len() == 2).then_some([side(0)?, side(1)?])
}

fn transform(value: &Value) -> Option<Affine> {
    let numbers = value.as_array()?.iter().map(number).collect::<Option<Vec<_>>>()?;
    let six: [f64; 6] = numbers.get(..6)?.try_into().ok()?;
    let affine = Affine::from(six);
    affine.inverse().ok().map(|_| affine)
}

fn from_bbox(value: &Value, width: usize, height: usize) -> Option<Affine> {
    let numbers = value.as_array()?.iter().map(number).collect::<Option<Vec<_>>>()?;
    let [west, south, east, north] = numbers.try_into().ok()?;
    let affine = Affine::from([(east - west) / width as f64, 0.0, west, 0.0, (south - north) / height as f64, north]);
    (affine.a > 0.0 && affine.e < 0.0).then_some(affine)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Root;

    fn grid(properties: Value, asset: Value) -> Option<GeoBox> {
        let mut asset = asset;
        asset["href"] = json!("a.tif");
        let value = json!({"type": "Feature", "id": "a", "properties": properties, "assets": {"a": asset}});
        Item::from_json(value, "https://h/a.json", Root::Remote("https://h/".into()))
            .unwrap()
            .assets()
            .remove(0)
            .claimed
    }

    #[test]
    fn fields_of_item_and_asset_are_joined() {
        let geobox = grid(
            json!({"proj:epsg": 32633}),
            json!({"proj:shape": [20, 10], "proj:transform": [10, 0, 500, 0, -10, 900, 0, 0, 1]}),
        )
        .unwrap();
        assert_eq!((geobox.crs, geobox.width, geobox.height), (Crs::epsg(32633), 10, 20));
        let code = grid(
            json!({"proj:epsg": 4326}),
            json!({"proj:code": "EPSG:32633", "proj:shape": [20, 10], "proj:bbox": [500, 700, 600, 900]}),
        )
        .unwrap();
        assert_eq!((code.crs, code.transform), (Crs::epsg(32633), Affine::north_up(500.0, 900.0, 10.0)));
    }

    #[test]
    fn a_claim_that_makes_no_sense_is_none() {
        let whole = json!({"proj:shape": [20, 10], "proj:transform": [10, 0, 500, 0, -10, 900]});
        assert_eq!(grid(json!({"proj:code": "EPSG:None"}), whole.clone()), None);
        assert_eq!(grid(json!({"proj:epsg": null}), whole.clone()), None);
        assert_eq!(grid(json!({"proj:epsg": 32633}), json!({"proj:shape": [20, 10]})), None);
        assert_eq!(
            grid(
                json!({"proj:epsg": 32633}),
                json!({"proj:shape": [0, 10], "proj:transform": [10, 0, 500, 0, -10, 900]})
            ),
            None
        );
        assert_eq!(
            grid(
                json!({"proj:epsg": 32633}),
                json!({"proj:shape": [20, 10], "proj:transform": [0, 0, 500, 0, 0, 900]})
            ),
            None
        );
    }

    #[test]
    fn a_transform_of_another_resolution_is_not_taken() {
        let item = json!({"proj:epsg": 32633, "proj:shape": [40, 20], "proj:transform": [10, 0, 500, 0, -10, 900]});
        assert_eq!(grid(item, json!({"proj:shape": [20, 10]})), None);
    }
}
