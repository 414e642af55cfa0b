//! The one grid of a run: from the workflow, or from the items.

use std::collections::BTreeMap;

use skysense_abi::Fault;
use skysense_catalog::{Area, Modality};
use skysense_grid::{Affine, ChipGrid, Crs, GeoBox};
use skysense_raster::{Header, transform_bounds};

use super::inspect::Inspected;
use crate::errors;
use crate::nodes::raster_chips::Settings;

/// Most pixels of a target grid; beyond, someone forgot to name an area.
const MOST_PIXELS: usize = 1 << 40;

/// How many times the size of the items' pixels those of a grid in degrees may have.
const COARSEST: f64 = 1000.0;

/// How many times coarser or finer than images a grid of their own pixels may be.
const OWN: f64 = 4.0;

/// Chips that nobody minds, empty or not.
const FEW_CHIPS: usize = 10_000;

/// Least share of a large grid that the items must cover.
const LEAST_SHARE: f64 = 0.01;

/// Chooses the target grid.
///
/// Reference system: the one asked for, else that of most of the area of the Sentinel items (the
/// high-resolution ones where there are no others). Bounds: the area asked for, else what those items
/// cover. Anchor: the one asked for, else the pixel edges of the items that are in the same system and
/// have the same resolution.
pub(crate) fn target(settings: &Settings, area: Option<&Area>, scenes: &[&Inspected]) -> Result<GeoBox, Vec<Fault>> {
    let reference: Vec<&Header> = reference(scenes);
    let crs = if settings.crs == "auto" { most_area(&reference) } else { Some(Crs::new(settings.crs.as_str())) };
    let Some(crs) = crs else {
        return Err(Fault::new("/crs", "target.unknown", "no item has a grid: name `crs` and `bbox`").into());
    };
    let fault = |field: &'static str| {
        move |error: skysense_raster::RasterError| {
            let fault = Fault { field: field.into(), ..Fault::from(errors::raster(&error)) };
            // What is projected here are the workflow's own numbers, or numbers into a system that it names.
            let code = if field == "/crs" && settings.crs == "auto" { fault.code } else { "settings.target".into() };
            vec![Fault { code, ..fault }]
        }
    };
    let bounds = match (settings.bbox, area) {
        (Some(bbox), _) => transform_bounds(&Crs::lon_lat(), bbox, &crs).map_err(fault("/bbox"))?,
        (None, Some(area)) => transform_bounds(&Crs::lon_lat(), area.bbox().0, &crs).map_err(fault("/area"))?,
        (None, None) => {
            let mut all: Option<[f64; 4]> = None;
            for header in &reference {
                let b = transform_bounds(header.crs(), header.bounds(), &crs).map_err(fault("/crs"))?;
                all = Some(all.map_or(b, |a| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]));
            }
            all.unwrap_or_default()
        }
    };
    pixels_of_items(settings, &crs, &reference)?;
    own_pixels(settings, &crs, scenes)?;
    let anchor = settings.anchor.map_or_else(|| pixel_edges(&reference, &crs, settings.resolution), |[x, y]| (x, y));
    let geobox = GeoBox::covering(crs, bounds, settings.resolution, anchor).map_err(|error| {
        let hint = "name a `bbox` or an `area`; the items cover more than one grid can hold";
        vec![Fault::new("/resolution", "target.invalid", error.to_string()).hint(hint)]
    })?;
    if geobox.width.saturating_mul(geobox.height) > MOST_PIXELS {
        let message = format!("the target grid has {} x {} pixels", geobox.width, geobox.height);
        return Err(Fault::new("/bbox", "target.invalid", message)
            .hint("name a `bbox` or an `area`: the items lie far apart")
            .into());
    }
    Ok(geobox)
}

/// Refuses degrees where metres were meant: a grid in degrees whose pixels are far coarser than those of the items.
fn pixels_of_items(settings: &Settings, crs: &Crs, reference: &[&Header]) -> Result<(), Vec<Fault>> {
    if !skysense_raster::is_geographic(crs).map_err(|error| Fault::from(errors::raster(&error)))? {
        return Ok(());
    }
    let degrees = |header: &&Header| {
        let geobox = header.geobox()?;
        let [_, south, _, north] = transform_bounds(header.crs(), header.bounds(), crs).ok()?;
        Some((north - south) / geobox.height as f64)
    };
    let Some(finest) = reference.iter().filter_map(degrees).min_by(f64::total_cmp) else { return Ok(()) };
    if settings.resolution < COARSEST * finest {
        return Ok(());
    }
    let resolution = settings.resolution;
    let message = format!(
        "{crs} counts in degrees, so a resolution of {resolution} makes pixels of {resolution} degrees; those of the items have {finest:.6}"
    );
    let hint = format!("set `resolution: {finest:.6}`, or name a `crs` that counts in metres, such as `auto`");
    Err(Fault::new("/resolution", "target.invalid", message).hint(hint).into())
}

/// Refuses a grid that is to have the own pixels of images, and is far coarser or finer than they.
fn own_pixels(settings: &Settings, crs: &Crs, scenes: &[&Inspected]) -> Result<(), Vec<Fault>> {
    if settings.hr_scale != 1 {
        return Ok(());
    }
    let images = scenes.iter().filter(|scene| scene.scene.modality == Modality::Hr);
    let headers = images.flat_map(|scene| scene.headers.values()).filter(|header| header.crs() == crs);
    let Some(finest) = headers.map(pixel).min_by(f64::total_cmp).filter(|finest| finest.is_finite()) else {
        return Ok(());
    };
    let resolution = settings.resolution;
    if (finest / OWN..=finest * OWN).contains(&resolution) {
        return Ok(());
    }
    let message = format!(
        "the grid has pixels of {resolution}, those of the high-resolution images have {finest}, and `hr_scale: 1` reads one for \
         one"
    );
    Err(Fault::new("/resolution", "target.invalid", message).hint(format!("set `resolution: {finest}`")).into())
}

/// Refuses a grid nearly all of which no item touches: an area that was named too large, or for other items.
pub(crate) fn mostly_empty(chips: &ChipGrid, scenes: &[&Inspected], field: &str) -> Result<(), Vec<Fault>> {
    let geobox = chips.geobox();
    let [west, south, east, north] = geobox.bounds();
    let boxes = scenes.iter().flat_map(|scene| scene.headers.values()).filter_map(|header| {
        let [w, s, e, n] = transform_bounds(header.crs(), header.bounds(), &geobox.crs).ok()?;
        Some([w.max(west), s.max(south), e.min(east), n.min(north)])
    });
    let union = boxes.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]);
    let Some([w, s, e, n]) = union else { return Ok(()) };
    let share = (e - w).max(0.0) * (n - s).max(0.0) / ((east - west) * (north - south));
    if chips.len() < FEW_CHIPS || share >= LEAST_SHARE {
        return Ok(());
    }
    let message = format!("the area makes {} chips, and the items cover {:.3} % of it", chips.len(), share * 100.0);
    let around = transform_bounds(&geobox.crs, [w, s, e, n], &Crs::lon_lat()).ok();
    let hint = match around {
        Some([w, s, e, n]) => {
            format!(
                "leave it out to cover what the items cover, or name less: they lie in [{w:.4}, {s:.4}, {e:.4}, {n:.4}]"
            )
        }
        None => "leave it out to cover what the items cover, or name less".to_owned(),
    };
    Err(Fault::new(field, "area.empty", message).hint(hint).into())
}

/// Headers that the grid is taken from: the finest band of each scene of Sentinel-2 and Sentinel-1.
fn reference<'a>(scenes: &[&'a Inspected]) -> Vec<&'a Header> {
    let of = |hr: bool| -> Vec<&'a Header> {
        let scenes = scenes.iter().filter(|scene| (scene.scene.modality == Modality::Hr) == hr);
        scenes.filter_map(|scene| scene.headers.values().min_by(|a, b| pixel(a).total_cmp(&pixel(b)))).collect()
    };
    let sentinel = of(false);
    if sentinel.is_empty() { of(true) } else { sentinel }
}

fn pixel(header: &Header) -> f64 {
    header.geobox().map_or(f64::INFINITY, |geobox| geobox.resolution().0)
}

/// The projected system of most of the area; of two equal ones the first by name. Items in degrees or placed
/// by control points get the UTM zone of their middle.
fn most_area(headers: &[&Header]) -> Option<Crs> {
    let mut areas: BTreeMap<Crs, f64> = BTreeMap::new();
    for header in headers {
        let [west, south, east, north] = header.bounds();
        let degrees = transform_bounds(header.crs(), header.bounds(), &Crs::lon_lat()).ok();
        let projected = header.geobox().is_some() && north - south > 1.0 && east - west > 1.0 && east.abs() > 360.0;
        let crs = match degrees {
            Some([w, s, e, n]) if !projected => Crs::utm((w + e) / 2.0, (s + n) / 2.0),
            _ => header.crs().clone(),
        };
        let size = if projected {
            (east - west) * (north - south)
        } else {
            degrees.map_or(0.0, |[w, s, e, n]| (e - w) * (n - s) * 1e10)
        };
        *areas.entry(crs).or_default() += size;
    }
    let best = areas.iter().max_by(|a, b| a.1.total_cmp(b.1).then_with(|| b.0.cmp(a.0)));
    best.map(|(crs, _)| crs.clone())
}

/// A corner of a pixel of the items that already lie on a grid of this system and resolution.
fn pixel_edges(headers: &[&Header], crs: &Crs, resolution: f64) -> (f64, f64) {
    let fits = |transform: &Affine| {
        transform.is_north_up() && (transform.a - resolution).abs() < 1e-6 && (transform.e + resolution).abs() < 1e-6
    };
    let grids = headers.iter().filter_map(|header| header.geobox());
    let same = grids.filter(|geobox| geobox.crs == *crs && fits(&geobox.transform));
    same.map(|geobox| (geobox.transform.c.rem_euclid(resolution), geobox.transform.f.rem_euclid(resolution)))
        .next()
        .unwrap_or((0.0, 0.0))
}
