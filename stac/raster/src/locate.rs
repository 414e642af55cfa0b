//! Exact positions of a grid's pixels in a source.

use std::ffi::CString;
use std::rc::Rc;

use gdal::spatial_ref::CoordTransform;
use skysense_grid::{Affine, GeoBox};

use crate::messages::capture;
use crate::pool::Lease;
use crate::{Georeference, Header, RasterError, Result, Source, crs};

/// Finds exact positions.
pub(crate) struct Locate<'a> {
    world: Affine,
    way: Way<'a>,
}

enum Way<'a> {
    Projection {
        transform: Rc<CoordTransform>,
        to_pixel: Affine,
        /// Middle longitude of a source in degrees: positions are looked for on its side of the antimeridian.
        around: Option<f64>,
    },
    SameCrs {
        to_pixel: Affine,
    },
    Gcps(Spline<'a>),
}

/// GDAL's transformer through ground control points.
struct Spline<'a> {
    arguments: *mut std::ffi::c_void,
    _dataset: &'a Lease,
}

impl Drop for Spline<'_> {
    fn drop(&mut self) {
        // SAFETY: made by GDALCreateGenImgProjTransformer2, destroyed once.
        unsafe { gdal_sys::GDALDestroyGenImgProjTransformer(self.arguments) };
    }
}

impl<'a> Locate<'a> {
    pub(crate) fn new(lease: &'a Lease, source: &Source, header: &Header, dst: &GeoBox) -> Result<Self> {
        let way = match &header.georeference {
            Georeference::Grid(grid) if crs::same(&grid.crs, &dst.crs)? => {
                Way::SameCrs { to_pixel: grid.transform.inverse()? }
            }
            Georeference::Grid(grid) => {
                let bounds = grid.bounds();
                let around = crs::is_geographic(&grid.crs)?.then_some((bounds[0] + bounds[2]) / 2.0);
                Way::Projection {
                    transform: crs::transformation(&dst.crs, &grid.crs)?,
                    to_pixel: grid.transform.inverse()?,
                    around,
                }
            }
            Georeference::Gcps { .. } => Way::Gcps(Spline::new(lease, source, dst)?),
        };
        Ok(Self { world: dst.transform, way })
    }

    /// Source positions of points of the grid.
    pub(crate) fn all(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let (mut x, mut y): (Vec<f64>, Vec<f64>) =
            points.iter().map(|&(column, row)| self.world.apply(column, row)).unzip();
        let to_pixel = match &self.way {
            Way::SameCrs { to_pixel } => to_pixel,
            Way::Projection { transform, to_pixel, around } => {
                crs::project(transform, &mut x, &mut y);
                if let Some(around) = around {
                    x.iter_mut().for_each(|x| *x -= 360.0 * ((*x - around) / 360.0).round());
                }
                to_pixel
            }
            Way::Gcps(spline) => {
                spline.locate(&mut x, &mut y);
                return x.into_iter().zip(y).collect();
            }
        };
        x.into_iter().zip(y).map(|(x, y)| to_pixel.apply(x, y)).collect()
    }
}

impl<'a> Spline<'a> {
    fn new(lease: &'a Lease, source: &Source, dst: &GeoBox) -> Result<Self> {
        let fault = |message| RasterError::Gdal {
            call: "GDALCreateGenImgProjTransformer2",
            message: format!("{}: {}: {message}", source.name, source.shown()),
        };
        let (wkt, messages) = capture(|| crs::spatial_reference(&dst.crs).map(|reference| reference.to_wkt()));
        let wkt = wkt?.map_err(|_| fault(messages.text()))?;
        let target = CString::new(format!("DST_SRS={wkt}")).map_err(|error| fault(error.to_string()))?;
        let mut options = [target.as_ptr().cast_mut(), c"METHOD=GCP_TPS".as_ptr().cast_mut(), std::ptr::null_mut()];
        let dataset = lease.dataset().c_dataset();
        // SAFETY: the dataset is leased; the options are terminated strings, the list ends with null, and GDAL
        // copies what it keeps.
        let (arguments, messages) = capture(|| unsafe {
            gdal_sys::GDALCreateGenImgProjTransformer2(dataset, std::ptr::null_mut(), options.as_mut_ptr())
        });
        if arguments.is_null() { Err(fault(messages.text())) } else { Ok(Self { arguments, _dataset: lease }) }
    }

    fn locate(&self, x: &mut [f64], y: &mut [f64]) {
        crs::in_place(x, y, |count, x, y, z, ok| {
            // SAFETY: all arrays hold `count` values; the transformer is used by this thread alone.
            unsafe { gdal_sys::GDALGenImgProjTransform(self.arguments, 1, count, x, y, z, ok) };
        });
    }
}
