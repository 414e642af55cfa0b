//! Facts of an item that differ in spelling between catalogs.

use chrono::{DateTime, Utc};

use crate::{Item, parse_datetime};

/// Tile of the satellite's own grid, as `33TWM`; zones of one digit are padded.
pub(super) fn tile(item: &Item) -> Option<String> {
    let text =
        |name: &str| item.text(name).map(str::to_owned).or_else(|| item.property(name).as_u64().map(|n| n.to_string()));
    let joined = |prefix: &str| {
        let part = |names: [&str; 2]| names.iter().find_map(|name| text(&format!("{prefix}{name}")));
        Some(format!(
            "{}{}{}",
            part(["utm_zone", "utm_zone"])?,
            part(["latitude_band", "lat_band"])?,
            part(["grid_square", "square"])?
        ))
    };
    let code = item.text("grid:code").map(|code| code.strip_prefix("MGRS-").unwrap_or(code).to_owned());
    let tile = code.or_else(|| text("s2:mgrs_tile")).or_else(|| joined("mgrs:")).or_else(|| joined("sentinel:"))?;
    let tile = tile.trim_start_matches('T').to_owned();
    let one_digit = tile.len() == 4 && tile.starts_with(|c: char| c.is_ascii_digit());
    Some(if one_digit { format!("0{tile}") } else { tile })
}

/// Processing baseline times 100: a property `05.09`, or `_N0509_` of a product name that a property holds.
pub(super) fn baseline(item: &Item, properties: &[String], products: &[String]) -> Option<u32> {
    let number = |text: &str| {
        let (major, minor) = text.trim().trim_start_matches(['N', 'n']).split_once('.')?;
        let (major, minor): (u32, u32) = (major.parse().ok()?, format!("{minor:0<2}").get(..2)?.parse().ok()?);
        (major < 100).then_some(major * 100 + minor)
    };
    let written = properties.iter().find_map(|name| {
        let value = item.property(name);
        value
            .as_str()
            .and_then(number)
            .or_else(|| value.as_f64().filter(|n| (0.0..100.0).contains(n)).map(|n| (n * 100.0).round() as u32))
    });
    written.or_else(|| products.iter().find_map(|name| from_product(item.text(name)?)))
}

fn from_product(name: &str) -> Option<u32> {
    name.split('_').find_map(|part| part.strip_prefix('N').filter(|digits| digits.len() == 4)?.parse().ok())
}

/// When the product was made, for choosing the newer of two.
pub(super) fn processed(item: &Item) -> Option<DateTime<Utc>> {
    ["processing:datetime", "s2:generation_time", "s1:processing_datetime", "created", "updated"]
        .iter()
        .find_map(|name| item.text(name).and_then(parse_datetime))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Root;

    fn item(properties: Value) -> Item {
        Item::from_json(
            json!({"type": "Feature", "id": "a", "properties": properties, "assets": {}}),
            "https://h/a",
            Root::Remote("https://h/".into()),
        )
        .unwrap()
    }

    #[test]
    fn tiles_of_every_spelling() {
        for properties in [
            json!({"grid:code": "MGRS-1WCQ"}),
            json!({"s2:mgrs_tile": "01WCQ"}),
            json!({"mgrs:utm_zone": 1, "mgrs:latitude_band": "W", "mgrs:grid_square": "CQ"}),
            json!({"sentinel:utm_zone": 1, "sentinel:latitude_band": "W", "sentinel:grid_square": "CQ"}),
        ] {
            assert_eq!(tile(&item(properties)), Some("01WCQ".into()));
        }
    }

    #[test]
    fn baselines_of_every_spelling() {
        let read = |properties: Value| baseline(&item(properties), &["b".into()], &["p".into()]);
        assert_eq!(read(json!({"b": "05.09"})), Some(509));
        assert_eq!(read(json!({"b": 4.0})), Some(400));
        assert_eq!(read(json!({"p": "S2A_MSIL2A_20190524T102859_N0212_R108_T31NBJ_20190524T132229"})), Some(212));
        assert_eq!(read(json!({"b": "unknown"})), None);
    }
}
