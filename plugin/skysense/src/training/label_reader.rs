//! Labels on the grid of a chip.

use skysense_abi::NodeError;
use skysense_contract::Class;
use skysense_grid::{Crs, GeoBox, Window};
use skysense_raster::{self as raster, Header, Resampling, Shapes, Source, transform_bounds};

use super::given_split::{OpenSplit, Part, PlannedSplit, parts_of_places};
use super::label_dates::{Span, overlap};
use super::labels::LabelSource;
use super::vector_labels::ShapeSource;
use crate::errors;
use crate::signing::Signing;

/// Opened labels.
pub(crate) struct LabelReader {
    signing: Signing,
    open: Vec<(LabelSource, Opened)>,
    split: Option<OpenSplit>,
    /// Values that are classes.
    known: [bool; 256],
    /// Value of pixels that are not to be learned from: one that no class has.
    ignored: u8,
}

enum Opened {
    Raster(Box<(Source, Header)>),
    Shapes(Shapes),
}

/// Labels of a window, and where they are from.
pub(crate) struct Read<T> {
    /// `[height, width]`.
    pub(crate) values: Vec<T>,
    /// The part that each pixel belongs to, where a split is given.
    pub(crate) parts: Option<Vec<Option<Part>>>,
}

/// A value that no class has.
///
/// # Errors
/// In words: all values of a byte are classes.
pub(crate) fn unused(classes: &[Class]) -> Result<u8, String> {
    let free = (0..=255_u8).rev().find(|value| classes.iter().all(|class| class.value != *value));
    free.ok_or_else(|| "all 256 values of a byte are classes: none is left for pixels without a label".to_owned())
}

impl LabelReader {
    /// Opens the labels; `crs` is that of the grids that they are read on.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub(crate) fn open(sources: &[LabelSource], classes: &[Class], crs: &Crs) -> Result<Self, NodeError> {
        let ignored = unused(classes).map_err(|message| NodeError::new("label.classes", message))?;
        let mut known = [false; 256];
        for class in classes {
            known[usize::from(class.value)] = true;
        }
        let signing = Signing::default();
        let mut open = Vec::with_capacity(sources.len());
        for label in sources {
            let opened = match &label.shapes {
                Some(shapes) => {
                    let found = Shapes::open(&shapes.path, Some(&shapes.field), crs);
                    Opened::Shapes(found.map_err(|error| at(label, errors::raster(&error)))?)
                }
                None => {
                    let source = Source::new(format!("item {}, asset {}", label.item, label.asset), &label.href)
                        .with_nodata(label.nodata)
                        .in_any_format(label.any_format)
                        .with_subdataset(label.subdataset.clone());
                    let header =
                        signing.read(&label.root, &source, raster::header).map_err(|error| at(label, error))?;
                    Opened::Raster(Box::new((source, header)))
                }
            };
            open.push((label.clone(), opened));
        }
        Ok(Self { signing, open, split: None, known, ignored })
    }

    /// With a split that is given.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn with_split(self, split: Option<&PlannedSplit>, crs: &Crs) -> Result<Self, NodeError> {
        Ok(Self { split: split.map(|split| split.open(crs)).transpose()?, ..self })
    }

    /// Whether any label touches the grid.
    pub(crate) fn touches(&self, grid: &GeoBox) -> bool {
        let [west, south, east, north] = grid.bounds();
        let near = |b: [f64; 4]| b[0] < east && b[2] > west && b[1] < north && b[3] > south;
        self.open.iter().any(|(_, opened)| match opened {
            Opened::Raster(raster) => {
                let header = &raster.1;
                transform_bounds(header.crs(), header.bounds(), &grid.crs).is_ok_and(near)
            }
            Opened::Shapes(shapes) => shapes.bounds().is_some_and(near),
        })
    }

    /// Value of pixels that are not to be learned from.
    pub(crate) fn ignored(&self) -> u8 {
        self.ignored
    }

    /// The value of each pixel, not a number where there is none: of a raster the mean of what lies under it, so that finer
    /// ones are not read at single points. Where items overlap the first one that has a value wins. With a span only labels
    /// count whose own overlaps it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn values(&self, grid: &GeoBox, window: &Window, span: Option<Span>) -> Result<Read<f32>, NodeError> {
        let usable = |value: f64| value.is_finite().then_some(value as f32);
        self.gather((grid, window, span), (f32::NAN, f32::is_nan, true), Resampling::Average, usable)
    }

    /// The class value of each pixel; [`LabelReader::ignored`] where there is no label. Of a raster the nearest pixel is
    /// taken; items and spans count as in [`LabelReader::values`].
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn read(&self, grid: &GeoBox, window: &Window, span: Option<Span>) -> Result<Read<u8>, NodeError> {
        let ignored = self.ignored;
        let usable = |value: f64| {
            let whole = value.fract() == 0.0 && (0.0..256.0).contains(&value);
            whole.then_some(value as u8).map(|value| if self.known[usize::from(value)] { value } else { ignored })
        };
        let none = move |value: u8| value == ignored;
        self.gather((grid, window, span), (ignored, none, false), Resampling::Nearest, usable)
    }

    /// Labels of all items, the first one's first. `none` is what stands where there is no label, and `of_values` whether the
    /// texts of shapes are numbers.
    fn gather<T: Copy>(
        &self,
        (grid, window, span): (&GeoBox, &Window, Option<Span>),
        (nothing, none, of_values): (T, impl Fn(T) -> bool, bool),
        resampling: Resampling,
        usable: impl Fn(f64) -> Option<T>,
    ) -> Result<Read<T>, NodeError> {
        let dst = grid.window(window).map_err(|error| NodeError::from_error("plan.invalid", &error))?;
        let mut values = vec![nothing; window.area()];
        let mut parts: Vec<Option<Part>> = vec![None; values.len()];
        let mut put = |place: usize, value: f64, part: Option<Part>| {
            if let (true, Some(value)) = (none(values[place]), usable(value)) {
                (values[place], parts[place]) = (value, part);
            }
            none(values[place])
        };
        let matching = |label: &LabelSource| span.is_none_or(|span| label.span.is_some_and(|own| overlap(own, span)));
        let labels = || self.open.iter().filter(|(label, _)| matching(label));
        let mut lacking = true;
        for (label, opened) in labels() {
            if !lacking {
                break;
            }
            lacking = false;
            match opened {
                Opened::Raster(raster) => {
                    let (source, header) = &**raster;
                    let read = |signed: &Source| raster::read(signed, header, &dst, resampling);
                    let pixels = self.signing.read(&label.root, source, read).map_err(|error| at(label, error))?;
                    for (place, (&value, &valid)) in pixels.values.iter().zip(&pixels.valid).enumerate() {
                        lacking |= put(place, if valid == 0 { f64::NAN } else { value.into() }, label.part);
                    }
                }
                Opened::Shapes(shapes) => {
                    let burnt = self.burn(label, shapes, &dst, of_values)?;
                    for (place, value) in burnt.into_iter().enumerate() {
                        lacking |= put(place, value, label.part);
                    }
                }
            }
        }
        // Only once all shapes of all items lie where they lie is it known what none of them covers.
        let beside = labels().find_map(|(label, _)| Some((label.shapes.as_ref()?.background?, label.part)));
        if let Some((value, part)) = beside.filter(|_| lacking) {
            for place in 0..window.area() {
                let _filled = put(place, value.into(), part);
            }
        }
        outside(grid, window, &mut values, nothing);
        let parts = match &self.split {
            None => None,
            Some(OpenSplit::Items) => Some(parts),
            Some(OpenSplit::Places(shapes)) => Some(parts_of_places(shapes, &dst)?),
        };
        Ok(Read { values, parts })
    }

    fn burn(&self, label: &LabelSource, shapes: &Shapes, dst: &GeoBox, of_values: bool) -> Result<Vec<f64>, NodeError> {
        let Some(ShapeSource { all_touched, .. }) = label.shapes else {
            return Ok(vec![f64::NAN; dst.width * dst.height]);
        };
        let number = |text: Option<&str>| label.shapes.as_ref()?.number(of_values, text);
        shapes.burn(dst, all_touched, number).map_err(|error| at(label, errors::raster(&error)))
    }
}

/// Padding of an area smaller than a chip is not learned from.
fn outside<T: Copy>(grid: &GeoBox, window: &Window, values: &mut [T], none: T) {
    for (at, value) in values.iter_mut().enumerate() {
        let (x, y) = (window.x + (at % window.width) as i64, window.y + (at / window.width) as i64);
        if x >= grid.width as i64 || y >= grid.height as i64 {
            *value = none;
        }
    }
}

fn at(label: &LabelSource, error: NodeError) -> NodeError {
    error.at("item", &label.item).at("asset", &label.asset)
}
