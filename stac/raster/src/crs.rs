//! Coordinate reference systems and projection of points, bounds and footprints.

use std::cell::RefCell;
use std::rc::Rc;

use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};
use skysense_grid::{Crs, GeoBox};

use crate::messages::capture;
use crate::{RasterError, Result, setup};

/// Points per edge when bounds are projected: edges of one system are curves in another.
const DENSIFY: i32 = 21;

thread_local! {
    /// Making a transformation asks PROJ's database, which costs more than reading a chip.
    static TRANSFORMS: RefCell<Vec<(Crs, Crs, Rc<CoordTransform>)>> = const { RefCell::new(Vec::new()) };
    static SAME: RefCell<Vec<(Crs, Crs, bool)>> = const { RefCell::new(Vec::new()) };
}

/// The system with longitude or easting first, whatever its authority says.
pub(crate) fn spatial_reference(crs: &Crs) -> Result<SpatialRef> {
    setup::ensure()?;
    let text = crs.as_str().trim();
    let refuse = |message: String| RasterError::Crs { crs: text.chars().take(80).collect(), message };
    // GDAL would also take a URL or the name of a file here, and a catalog is not trusted with either.
    let is_code = text.split_once(':').is_some_and(|(authority, code)| {
        let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        plain(authority) && plain(code)
    });
    let is_wkt = text.contains('[') && text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let (reference, messages) = capture(|| match (is_code, is_wkt) {
        (true, _) => Some(SpatialRef::from_definition(text)),
        (_, true) => Some(SpatialRef::from_wkt(text)),
        _ => None,
    });
    let Some(reference) = reference else {
        return Err(refuse("it is neither a code nor WKT".into()));
    };
    let mut reference = reference.map_err(|_| refuse(messages.text()))?;
    reference.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    Ok(reference)
}

/// The shortest name of a system: `AUTHORITY:CODE` where that says the same, else WKT.
pub(crate) fn name(reference: &SpatialRef) -> Result<Crs> {
    let (code, _) = capture(|| {
        let code = reference.authority().ok()?;
        let known = spatial_reference(&Crs::new(code.as_str())).ok()?;
        is_same(&known, reference).then_some(code)
    });
    if let Some(code) = code {
        return Ok(Crs::new(code));
    }
    let (wkt, messages) = capture(|| reference.to_wkt());
    Ok(Crs::new(wkt.map_err(|_| RasterError::Gdal { call: "OSRExportToWkt", message: messages.text() })?))
}

fn is_same(one: &SpatialRef, other: &SpatialRef) -> bool {
    let criteria =
        [c"IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES".as_ptr(), c"CRITERION=EQUIVALENT".as_ptr(), std::ptr::null()];
    // SAFETY: two living references, and a list of terminated strings that ends with null.
    unsafe { gdal_sys::OSRIsSameEx(one.to_c_hsrs(), other.to_c_hsrs(), criteria.as_ptr()) != 0 }
}

/// Whether both names mean one system.
///
/// # Errors
/// A system that PROJ does not know.
pub(crate) fn same(one: &Crs, other: &Crs) -> Result<bool> {
    if canonical(one) == canonical(other) {
        return Ok(true);
    }
    let known = SAME.with(|slot| slot.borrow().iter().find(|(a, b, _)| a == one && b == other).map(|found| found.2));
    if let Some(known) = known {
        return Ok(known);
    }
    let (a, b) = (spatial_reference(one)?, spatial_reference(other)?);
    let (result, _) = capture(|| is_same(&a, &b));
    remember(&SAME, (one.clone(), other.clone(), result));
    Ok(result)
}

/// With longitude first both names of WGS 84 in degrees mean the same.
fn canonical(crs: &Crs) -> &str {
    if crs.as_str().eq_ignore_ascii_case("OGC:CRS84") { "EPSG:4326" } else { crs.as_str() }
}

fn remember<T>(slot: &'static std::thread::LocalKey<RefCell<Vec<T>>>, entry: T) {
    slot.with(|slot| {
        let mut slot = slot.borrow_mut();
        if slot.len() >= 16 {
            slot.remove(0);
        }
        slot.push(entry);
    });
}

/// The transformation between two systems, kept per thread.
pub(crate) fn transformation(from: &Crs, to: &Crs) -> Result<Rc<CoordTransform>> {
    let known = TRANSFORMS
        .with(|slot| slot.borrow().iter().find(|(a, b, _)| a == from && b == to).map(|found| Rc::clone(&found.2)));
    if let Some(known) = known {
        return Ok(known);
    }
    let (source, target) = (spatial_reference(from)?, spatial_reference(to)?);
    let (made, messages) = capture(|| CoordTransform::new(&source, &target));
    let made =
        Rc::new(made.map_err(|_| RasterError::Crs { crs: format!("{from} to {to}"), message: messages.text() })?);
    remember(&TRANSFORMS, (from.clone(), to.clone(), Rc::clone(&made)));
    Ok(made)
}

/// Projects points in place; those that cannot be projected become NaN.
pub(crate) fn project(transform: &CoordTransform, x: &mut [f64], y: &mut [f64]) {
    in_place(x, y, |count, x, y, z, ok| {
        // SAFETY: `in_place` hands over four arrays of `count` values that live through the call.
        unsafe { gdal_sys::OCTTransformEx(transform.to_c_hct(), count, x, y, z, ok) };
    });
}

/// Hands points to a function of GDAL that changes arrays of x, y and z in place and tells which it could change; the
/// others become NaN.
pub(crate) fn in_place(x: &mut [f64], y: &mut [f64], change: impl FnOnce(i32, *mut f64, *mut f64, *mut f64, *mut i32)) {
    let count = x.len().min(y.len()).min(i32::MAX as usize);
    let (mut z, mut ok) = (vec![0.0; count], vec![0; count]);
    let ((), _) = capture(|| change(count as i32, x.as_mut_ptr(), y.as_mut_ptr(), z.as_mut_ptr(), ok.as_mut_ptr()));
    for at in 0..count {
        if ok[at] == 0 || !x[at].is_finite() || !y[at].is_finite() {
            (x[at], y[at]) = (f64::NAN, f64::NAN);
        }
    }
}

/// `[west, south, east, north]` in `from` as bounds in `to`, with edges followed by 21 points each.
///
/// In longitude and latitude, west is greater than east where the bounds cross the antimeridian, as in
/// the bbox of GeoJSON.
///
/// # Errors
/// An unknown system, or bounds that lie where the projection is not defined.
pub fn transform_bounds(from: &Crs, bounds: [f64; 4], to: &Crs) -> Result<[f64; 4]> {
    if same(from, to)? {
        return Ok(bounds);
    }
    let transform = transformation(from, to)?;
    let fault = |message| RasterError::Project { bounds, from: from.to_string(), to: to.to_string(), message };
    let (result, messages) = capture(|| transform.transform_bounds(&bounds, DENSIFY));
    let result = result.map_err(|_| fault(messages.text()))?;
    if result.iter().all(|value| value.is_finite()) { Ok(result) } else { Err(fault("a bound is infinite".into())) }
}

/// One point from one system to another.
///
/// # Errors
/// An unknown system, or a point where the projection is not defined.
pub fn transform_point(from: &Crs, (x, y): (f64, f64), to: &Crs) -> Result<(f64, f64)> {
    if same(from, to)? {
        return Ok((x, y));
    }
    let (mut xs, mut ys) = ([x], [y]);
    project(&*transformation(from, to)?, &mut xs, &mut ys);
    if xs[0].is_nan() {
        let message = "the point lies outside the area of the projection".into();
        return Err(RasterError::Project { bounds: [x, y, x, y], from: from.to_string(), to: to.to_string(), message });
    }
    Ok((xs[0], ys[0]))
}

/// Longitude and latitude of the middle of a grid, in degrees.
///
/// # Errors
/// As [`transform_point`].
pub fn centre_lon_lat(geobox: &GeoBox) -> Result<(f64, f64)> {
    let middle = geobox.transform.apply(geobox.width as f64 / 2.0, geobox.height as f64 / 2.0);
    transform_point(&geobox.crs, middle, &Crs::lon_lat())
}

/// Whether coordinates are degrees of longitude and latitude.
///
/// # Errors
/// A system that PROJ does not know.
pub fn is_geographic(crs: &Crs) -> Result<bool> {
    Ok(spatial_reference(crs)?.is_geographic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_points_return() {
        let (utm, degrees) = (Crs::epsg(32633), Crs::lon_lat());
        let bounds = transform_bounds(&utm, [500_000.0, 5_000_000.0, 510_000.0, 5_010_000.0], &degrees).unwrap();
        assert!((bounds[0] - 15.0).abs() < 1e-6 && bounds[1] > 45.1 && bounds[3] < 45.3, "{bounds:?}");
        let point = transform_point(&degrees, (15.0, 45.0), &utm).unwrap();
        assert!((point.0 - 500_000.0).abs() < 1e-3, "{point:?}");
    }

    #[test]
    fn bounds_across_the_antimeridian_have_west_beyond_east() {
        let bounds =
            transform_bounds(&Crs::epsg(32601), [166_000.0, 0.0, 300_000.0, 100_000.0], &Crs::lon_lat()).unwrap();
        assert!(bounds[0] > 179.9 && bounds[2] < -178.0, "{bounds:?}");
    }

    #[test]
    fn unknown_systems_say_so() {
        for text in ["EPSG:999999", "EPSG:None", "/etc/hostname", "http://example.org/crs", "", "PROJCRS[broken"] {
            let error = spatial_reference(&Crs::new(text)).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains("coordinate reference system"), "{text}: {error}");
        }
    }

    #[test]
    fn codes_and_their_text_are_the_same_system() {
        let wkt = spatial_reference(&Crs::epsg(32633)).unwrap().to_wkt().unwrap();
        assert!(same(&Crs::epsg(32633), &Crs::new(wkt.clone())).unwrap());
        assert!(!same(&Crs::epsg(32634), &Crs::new(wkt)).unwrap());
        assert!(same(&Crs::lon_lat(), &Crs::epsg(4326)).unwrap());
    }
}
