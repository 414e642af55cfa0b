//! Results as map tiles: XYZ in Web Mercator, and the same as WMTS.
//!
//! Tiles are drawn by the tool `raster.tile` of a plugin, which reads rasters; here they are asked for, kept and sent.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
};
use serde_json::{Value, json};

use super::{
    Api,
    answer::{Answer, Problem, bytes, json as answer, set},
    assets,
    call::Call,
    item::part,
};
use crate::{StoredItem, ids};

/// Deepest zoom: 0.3 m at the equator needs 19.
const DEEPEST: u32 = 22;
/// Pixels of a tile.
const SIDE: u32 = 256;
/// Tiles that are kept; when there are more, the older half goes.
const MOST_KEPT: usize = 20_000;
/// Drawn tiles after which the folder is looked at.
const BETWEEN_LOOKS: u64 = 500;
/// Half of the equator in metres.
const HALF: f64 = 20_037_508.342_789_244;

struct Found {
    item: StoredItem,
    path: PathBuf,
    asset: Value,
}

fn find(api: &Api, call: &Call) -> Result<Found, Problem> {
    let (id, key) = (call.part("item"), call.part("asset"));
    let item = api.service.store.item(call.part("collection"), id)?.ok_or_else(|| Problem::missing("item", id))?;
    let asset = item.item["assets"][key].clone();
    let path = assets::file(&item, &asset).ok_or_else(|| Problem::missing("asset", key))?;
    if !super::item::is_raster(&asset) {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("asset `{key:.100}` is no raster")));
    }
    Ok(Found { item, path, asset })
}

/// Zoom, column and row of a tile that is asked for.
pub(super) fn place(call: &Call) -> Result<[u32; 3], Problem> {
    let number = |name: &str| call.part(name).trim_end_matches(".png").parse::<u32>().ok();
    let place = number("z").zip(number("x")).zip(number("y")).map(|((z, x), y)| [z, x, y]);
    let inside = place.filter(|[z, x, y]| *z <= DEEPEST && *x < 1 << z && *y < 1 << z);
    inside.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no such tile"))
}

/// What tells the content of a file from another one.
pub(super) fn version(path: &Path) -> Result<String, Problem> {
    let known = std::fs::metadata(path).and_then(|known| Ok((known.len(), known.modified()?)));
    let (length, changed) = known.map_err(|_| Problem::new(StatusCode::GONE, "the file is not there any more"))?;
    Ok(format!("{length} {}", changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()))
}

/// `GET /tiles/{collection}/{item}/{asset}/{z}/{x}/{y}`
pub(crate) fn tile(api: &Api, call: &Call) -> Answer {
    let place = place(call)?;
    let found = find(api, call)?;
    let path = found.path.display().to_string();
    let arguments = json!({
        "href": path, "classes": classes(&found.asset), "range": range(&found.asset), "title": call.part("asset"),
    });
    drawn(api, call, place, &[&path, &version(&found.path)?], arguments)
}

/// A tile that is kept already, or is drawn now. What it is made of names it.
pub(super) fn drawn(api: &Api, call: &Call, [z, x, y]: [u32; 3], made_of: &[&str], mut arguments: Value) -> Answer {
    let name = ids::id(&[&["tile", &format!("{z}/{x}/{y}")], made_of].concat());
    let tag = format!("\"{name}\"");
    // Its name says all that it is made of: who has it needs no drawing.
    if call.header("if-none-match").is_some_and(|known| has_tag(known, &tag)) {
        return Ok(tagged(bytes(StatusCode::NOT_MODIFIED, "image/png", Vec::new()), &tag));
    }
    let kept = &api.service.tiles;
    let file = kept.join(format!("{name}.png"));
    let mut png = std::fs::read(&file).unwrap_or_default();
    if png.is_empty() {
        let number = api.counters.next();
        if number.is_multiple_of(BETWEEN_LOOKS) {
            make_room(kept, MOST_KEPT);
        }
        let part = kept.join(format!("{name}-{number}.part"));
        for (name, value) in [("z", z), ("x", x), ("y", y), ("size", SIDE)] {
            arguments[name] = json!(value);
        }
        arguments["out"] = json!(part);
        let failed = |reason: String| {
            let href = skysense_address::redact_in_place(arguments["href"].as_str().unwrap_or_default());
            tracing::warn!("a tile of {href} cannot be drawn: {reason}");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the tile cannot be drawn; the log says why")
        };
        std::fs::create_dir_all(kept).map_err(|error| failed(error.to_string()))?;
        api.worker.call("raster.tile", &arguments).map_err(failed)?;
        std::fs::rename(&part, &file).map_err(|error| failed(error.to_string()))?;
        png = std::fs::read(&file).map_err(|error| failed(error.to_string()))?;
    }
    Ok(tagged(bytes(StatusCode::OK, "image/png", png), &tag))
}

fn tagged(mut response: Response<Body>, tag: &str) -> Response<Body> {
    set(&mut response, header::ETAG, tag);
    set(&mut response, header::CACHE_CONTROL, "private, max-age=300");
    response
}

/// Whether one of the tags in `If-None-Match` is this one.
pub(super) fn has_tag(known: &str, tag: &str) -> bool {
    known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// The classes of an asset: of itself, or of its band.
fn classes(asset: &Value) -> Value {
    let own = &asset["classification:classes"];
    let of_band = |bands: &Value| bands[0]["classification:classes"].clone();
    match own {
        Value::Array(_) => own.clone(),
        _ => {
            [&asset["bands"], &asset["raster:bands"]].into_iter().map(of_band).find(Value::is_array).unwrap_or_default()
        }
    }
}

/// Least and largest value of an asset, where its item says so: by them tiles get one range of tones.
fn range(asset: &Value) -> Value {
    let of_band = |bands: &Value| {
        let known = &bands[0]["statistics"];
        known["minimum"].as_f64().zip(known["maximum"].as_f64()).filter(|(least, most)| least < most)
    };
    let bands = [&asset["bands"], &asset["raster:bands"]];
    bands.into_iter().find_map(of_band).map_or(Value::Null, |(least, most)| json!([least, most]))
}

/// Keeps the folder of tiles from growing for ever.
fn make_room(folder: &Path, most: usize) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    if files.len() < most {
        return;
    }
    files.sort();
    // A tile that is being drawn just now is left alone.
    let old = |at: &SystemTime| at.elapsed().is_ok_and(|age| age > Duration::from_secs(60));
    for (_, path) in files.iter().take(files.len() - most / 2).filter(|(at, _)| old(at)) {
        let _ = std::fs::remove_file(path);
    }
}

/// West, south, east, north of an item in degrees.
fn bounds(item: &StoredItem) -> [f64; 4] {
    let sides: Vec<f64> = item.item["bbox"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    match sides[..] {
        [west, south, east, north] | [west, south, _, east, north, _] => [west, south, east, north],
        _ => [-180.0, -85.0, 180.0, 85.0],
    }
}

/// `GET /tiles/{collection}/{item}/{asset}/tilejson.json`
pub(crate) fn tilejson(api: &Api, call: &Call) -> Answer {
    let found = find(api, call)?;
    let [west, south, east, north] = bounds(&found.item);
    answer(&json!({
        "tilejson": "3.0.0", "name": call.part("asset"), "tiles": [format!("{}/{{z}}/{{x}}/{{y}}.png", base(call))],
        "minzoom": 0, "maxzoom": 18, "bounds": [west, south, east, north],
        "center": [(west + east) / 2.0, (south + north) / 2.0, 10],
        "legend": classes(&found.asset), "range": range(&found.asset),
    }))
}

fn base(call: &Call) -> String {
    format!(
        "{}/tiles/{}/{}/{}",
        call.base,
        part(call.part("collection")),
        part(call.part("item")),
        part(call.part("asset"))
    )
}

/// `GET /tiles/{collection}/{item}/{asset}/WMTSCapabilities.xml`
pub(crate) fn wmts(api: &Api, call: &Call) -> Answer {
    let found = find(api, call)?;
    let [west, south, east, north] = bounds(&found.item);
    let (layer, base) = (xml(call.part("asset")), xml(&base(call)));
    let title = xml(&format!("{} {}", call.part("item"), call.part("asset")));
    // The scale of one pixel of 0.28 mm, by which the standard counts.
    let matrices: String = (0..=18_u32)
        .map(|z| {
            let count = 1_u32 << z;
            let scale = 2.0 * HALF / f64::from(SIDE) / f64::from(count) / 0.000_28;
            format!(
                "<TileMatrix><ows:Identifier>{z}</ows:Identifier><ScaleDenominator>{scale}</ScaleDenominator>\
                 <TopLeftCorner>-{HALF} {HALF}</TopLeftCorner><TileWidth>{SIDE}</TileWidth><TileHeight>{SIDE}</TileHeight>\
                 <MatrixWidth>{count}</MatrixWidth><MatrixHeight>{count}</MatrixHeight></TileMatrix>"
            )
        })
        .collect();
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Capabilities xmlns=\"http://www.opengis.net/wmts/1.0\" xmlns:ows=\"http://www.opengis.net/ows/1.1\" \
         xmlns:xlink=\"http://www.w3.org/1999/xlink\" version=\"1.0.0\">\
         <ows:ServiceIdentification><ows:Title>skysense</ows:Title><ows:ServiceType>OGC WMTS</ows:ServiceType>\
         <ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion></ows:ServiceIdentification>\
         <Contents><Layer><ows:Title>{title}</ows:Title><ows:Identifier>{layer}</ows:Identifier>\
         <ows:WGS84BoundingBox><ows:LowerCorner>{west} {south}</ows:LowerCorner><ows:UpperCorner>{east} {north}</ows:UpperCorner>\
         </ows:WGS84BoundingBox><Style isDefault=\"true\"><ows:Identifier>default</ows:Identifier></Style>\
         <Format>image/png</Format><TileMatrixSetLink><TileMatrixSet>WebMercatorQuad</TileMatrixSet></TileMatrixSetLink>\
         <ResourceURL format=\"image/png\" resourceType=\"tile\" template=\"{base}/{{TileMatrix}}/{{TileCol}}/{{TileRow}}.png\"/>\
         </Layer><TileMatrixSet><ows:Identifier>WebMercatorQuad</ows:Identifier>\
         <ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS>{matrices}</TileMatrixSet></Contents></Capabilities>"
    );
    Ok(bytes(StatusCode::OK, "application/xml", text))
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_tile_is_known_by_any_of_its_tags() {
        for (known, has) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(has_tag(known, "\"a\""), has, "{known}");
        }
    }

    #[test]
    fn the_older_half_of_too_many_tiles_goes() {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(86_400);
        for number in 0..10_u32 {
            let file = std::fs::File::create(folder.path().join(format!("{number}.png"))).unwrap();
            file.set_modified(SystemTime::now() - day * (10 - number)).unwrap();
        }
        std::fs::write(folder.path().join("now.part"), "").unwrap();
        make_room(folder.path(), 20);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 11);
        make_room(folder.path(), 8);
        let mut left: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["7.png", "8.png", "9.png", "now.part"]);
    }
}
