//! What `shim/driver.cpp` calls: a map as GDAL's dataset.

use std::ffi::{CStr, CString, c_char, c_double, c_int, c_void};

use gdal_sys::{CPLErr, GDALDataType, GDALDatasetH, GDALProgressFunc};
use skysense_edges::MapFacts;
use skysense_grid::Window;
use skysense_maps::lineage;
use skysense_raster::DType;

use crate::map::Map;
use crate::message::{fail, guarded, warn};
use crate::name::is_ours;
use crate::options::DECLARED;
use crate::pixel_function::pairs;
use crate::pixels::{Out, Pixel, Unread};

/// As in `shim/driver.cpp`.
#[repr(C)]
struct Shape {
    width: c_int,
    height: c_int,
    bands: c_int,
    kind: c_int,
    block: c_int,
    levels: c_int,
    transform: [c_double; 6],
}

/// As in `shim/driver.cpp`.
#[repr(C)]
struct Band {
    has_nodata: c_int,
    has_scale: c_int,
    nodata: c_double,
    scale: c_double,
    offset: c_double,
    colours: gdal_sys::GDALColorTableH,
    categories: *mut *mut c_char,
}

unsafe extern "C" {
    fn skysense_register(options: *const c_char);
    fn skysense_set_reference(dataset: GDALDatasetH, text: *const c_char);
    fn skysense_set_band(dataset: GDALDatasetH, number: c_int, about: *const Band);
}

/// Makes the driver known to GDAL, once.
///
/// # Errors
/// None; the type is that of what runs guarded.
pub(crate) fn register_driver() -> Result<(), String> {
    let options = text(DECLARED);
    // SAFETY: a text that lives through the call; the shim copies it.
    unsafe { skysense_register(options.as_ptr()) };
    Ok(())
}

fn text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// # Safety
/// `pointer` is null or a text that ends with a zero byte.
unsafe fn words(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// # Safety
/// `name` is a text.
#[unsafe(no_mangle)]
unsafe extern "C" fn skysense_identify(name: *const c_char) -> c_int {
    // SAFETY: by this function's contract.
    guarded(0, || Ok(is_ours(&unsafe { words(name) }).into()))
}

/// # Safety
/// `name` is a text, `options` null or a list of texts that ends with null.
#[unsafe(no_mangle)]
unsafe extern "C" fn skysense_open(name: *const c_char, options: *mut *mut c_char) -> *mut c_void {
    guarded(std::ptr::null_mut(), || {
        // SAFETY: by this function's contract.
        let given = unsafe { pairs(options.cast_const().cast()) };
        // SAFETY: a constant text, and a text of GDAL's that is copied at once.
        let threads = unsafe { words(gdal_sys::CPLGetConfigOption(c"GDAL_NUM_THREADS".as_ptr(), std::ptr::null())) };
        // SAFETY: by this function's contract.
        let name = unsafe { words(name) };
        let map = Map::open(&name, &given, Some(threads.as_str()).filter(|threads| !threads.is_empty()))?;
        Ok(Box::into_raw(Box::new(map)).cast())
    })
}

/// # Safety
/// `map` came from `skysense_open` and is closed by nobody else.
#[unsafe(no_mangle)]
unsafe extern "C" fn skysense_close(map: *mut c_void) {
    guarded((), || {
        // SAFETY: by this function's contract.
        drop(unsafe { Box::from_raw(map.cast::<Map>()) });
        Ok(())
    });
}

/// # Safety
/// `map` is open, `shape` room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn skysense_shape(map: *const c_void, shape: *mut Shape) {
    guarded((), || {
        // SAFETY: by this function's contract.
        let map = unsafe { &*map.cast::<Map>() };
        let geobox = &map.spec.geobox;
        let found = Shape {
            // The grid was checked to fit into GDAL's 32-bit sides when it was made.
            width: geobox.width as c_int,
            height: geobox.height as c_int,
            bands: map.spec.bands.len() as c_int,
            kind: kind(map.spec.dtype) as c_int,
            block: map.block() as c_int,
            levels: map.levels() as c_int,
            transform: geobox.transform.to_gdal(),
        };
        // SAFETY: by this function's contract.
        unsafe { shape.write(found) };
        Ok(())
    });
}

fn kind(dtype: DType) -> GDALDataType::Type {
    match dtype {
        DType::Int16 => GDALDataType::GDT_Int16,
        DType::Float32 => GDALDataType::GDT_Float32,
        _ => GDALDataType::GDT_Byte,
    }
}

/// # Safety
/// `map` is open, and `dataset` the one that was made for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn skysense_describe(map: *const c_void, dataset: GDALDatasetH) {
    guarded((), || {
        // SAFETY: by this function's contract.
        let map = unsafe { &*map.cast::<Map>() };
        // SAFETY: as above; the text lives through the call.
        unsafe { skysense_set_reference(dataset, text(map.spec.geobox.crs.as_str()).as_ptr()) };
        for (key, value) in provenance(map) {
            set(dataset, key, &value, "");
        }
        for (place, (name, title)) in map.siblings().iter().enumerate() {
            set(dataset, &format!("SUBDATASET_{}_NAME", place + 1), name, "SUBDATASETS");
            set(dataset, &format!("SUBDATASET_{}_DESC", place + 1), title, "SUBDATASETS");
        }
        for place in 0..map.spec.bands.len() {
            band(map, dataset, place);
        }
        Ok(())
    });
}

fn set(object: *mut c_void, key: &str, value: &str, domain: &str) {
    let (key, value, domain) = (text(key), text(value), text(domain));
    // SAFETY: an object of GDAL's that is alive, and texts that live through the call.
    unsafe { gdal_sys::GDALSetMetadataItem(object, key.as_ptr(), value.as_ptr(), domain.as_ptr()) };
}

/// What a band is called, how its values are read, and what they mean: as in the COG that `stac.write` makes.
fn band(map: &Map, dataset: GDALDatasetH, place: usize) {
    let about = &map.spec.bands[place];
    let number = place as c_int + 1;
    // SAFETY: the dataset is alive and has this band; texts live through the calls; the shim copies colours and names,
    // which are ours to free.
    unsafe {
        let handle = gdal_sys::GDALGetRasterBand(dataset, number);
        gdal_sys::GDALSetDescription(handle, text(&about.name).as_ptr());
        for (key, value) in [("DESCRIPTION_LONG", &about.description), ("UNIT", &about.unit)] {
            if let Some(value) = value {
                set(handle, key, value, "");
            }
        }
        for (value, name) in &about.classes {
            set(handle, &format!("CLASS_{value}"), name, "");
        }
        let mut colours = std::ptr::null_mut();
        if !about.colours.is_empty() {
            colours = gdal_sys::GDALCreateColorTable(gdal_sys::GDALPaletteInterp::GPI_RGB);
            for (value, [c1, c2, c3, c4]) in &about.colours {
                let [c1, c2, c3, c4] = [c1, c2, c3, c4].map(|part| i16::from(*part));
                let entry = gdal_sys::GDALColorEntry { c1, c2, c3, c4 };
                gdal_sys::GDALSetColorEntry(colours, c_int::from(*value), &entry);
            }
        }
        let mut categories = std::ptr::null_mut();
        let names = about.classes.iter().map(|(value, _)| *value).max();
        for value in names.map_or(0..0, |most| 0..usize::from(most) + 1) {
            let name = about.classes.iter().find(|(known, _)| usize::from(*known) == value);
            let name = text(name.map_or("", |(_, name)| name));
            categories = gdal_sys::CSLAddString(categories, name.as_ptr());
        }
        let told = Band {
            has_nodata: map.spec.nodata.is_some().into(),
            has_scale: about.scale.is_some().into(),
            nodata: map.spec.nodata.unwrap_or_default(),
            scale: about.scale.unwrap_or(1.0),
            offset: about.offset.unwrap_or_default(),
            colours,
            categories,
        };
        skysense_set_band(dataset, number, &told);
        if !colours.is_null() {
            gdal_sys::GDALDestroyColorTable(colours);
        }
        gdal_sys::CSLDestroy(categories);
    }
}

/// What the map is made of, for the dataset's metadata.
fn provenance(map: &Map) -> Vec<(&'static str, String)> {
    let workflow = map.computing.workflow();
    let facts: &MapFacts = &workflow.facts;
    let period = &facts.chips.periods[map.period];
    let (items, decisions) = facts.chips.sources(period);
    let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
    let mut found = vec![
        ("AREA_OR_POINT", "Area".to_owned()),
        ("WORKFLOW", workflow.plan.workflow.name.clone()),
        ("WORKFLOW_SHA256", workflow.plan.workflow.sha256.clone()),
        ("NODE", workflow.writer.clone()),
        ("LAYER", map.layer.name().to_owned()),
        ("TITLE", map.layer.title().to_owned()),
        ("PERIOD", period.name.clone()),
        ("PERIOD_START", period.start.clone()),
        ("PERIOD_END", period.end.clone()),
        ("MODEL", facts.model.name.clone()),
        ("MODEL_LICENCE", facts.model.licence.clone()),
        ("LINEAGE", lineage(facts, items.len(), &decisions)),
        ("SOURCES", ids.join(" ")),
        ("SOFTWARE", concat!("skysense ", env!("CARGO_PKG_VERSION")).to_owned()),
        (
            "CHIPS",
            format!(
                "{} of {} px that overlap by {} px",
                workflow.grid.len(),
                workflow.grid.size(),
                workflow.grid.overlap()
            ),
        ),
    ];
    if let Some(sha256) = &facts.model.weights_sha256 {
        found.push(("MODEL_WEIGHTS_SHA256", sha256.clone()));
    }
    found
}

/// # Safety
/// `map` is open; `out` holds `bands` planes of `height` lines, `stride` pixels apart, of the map's type, the last line of
/// a plane `width` pixels long at least; `argument` is what `progress` wants.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "a window, a place to put it and GDAL's way to hear of progress")]
unsafe extern "C" fn skysense_read(
    map: *const c_void,
    level: c_int,
    band: c_int,
    bands: c_int,
    x: c_int,
    y: c_int,
    width: c_int,
    height: c_int,
    out: *mut c_void,
    stride: usize,
    progress: GDALProgressFunc,
    argument: *mut c_void,
) -> CPLErr::Type {
    guarded(CPLErr::CE_Failure, || {
        // SAFETY: by this function's contract.
        let map = unsafe { &*map.cast::<Map>() };
        let (level, first) = (level as usize, band as usize);
        let bands = first..first + bands as usize;
        let window = Window { x: x.into(), y: y.into(), width: width as usize, height: height as usize };
        let mut go_on = |done: f64| match progress {
            // SAFETY: GDAL's own function with its argument, in the thread that GDAL called from.
            Some(progress) => unsafe { progress(done, c"".as_ptr(), argument) != 0 },
            None => true,
        };
        let mut read = Read { map, level, bands, window, out, stride };
        // SAFETY: by this function's contract.
        let done = unsafe {
            match map.spec.dtype {
                DType::Int16 => read.run::<i16>(&mut go_on),
                DType::Float32 => read.run::<f32>(&mut go_on),
                _ => read.run::<u8>(&mut go_on),
            }
        };
        map.computing.warnings().iter().for_each(|told| warn(told));
        Ok(match done {
            Ok(()) => CPLErr::CE_None,
            Err(Unread::GivenUp) => {
                // As GDAL itself says it.
                // SAFETY: a constant text without further arguments.
                unsafe { gdal_sys::CPLError(CPLErr::CE_Failure, USER_INTERRUPT, c"User terminated".as_ptr()) };
                CPLErr::CE_Failure
            }
            Err(Unread::Failed(told)) => {
                fail(&told);
                CPLErr::CE_Failure
            }
        })
    })
}

/// `CPLE_UserInterrupt`.
const USER_INTERRUPT: c_int = 9;

struct Read<'a> {
    map: &'a Map,
    level: usize,
    bands: std::ops::Range<usize>,
    window: Window,
    out: *mut c_void,
    stride: usize,
}

impl Read<'_> {
    /// # Safety
    /// As of [`skysense_read`], with pixels of this type.
    unsafe fn run<T: Pixel>(&mut self, go_on: &mut dyn FnMut(f64) -> bool) -> Result<(), Unread> {
        let lines = self.bands.len() * self.window.height;
        let pixels = lines.saturating_sub(1) * self.stride + self.window.width;
        // SAFETY: by this function's contract.
        let pixels = unsafe { std::slice::from_raw_parts_mut(self.out.cast::<T>(), pixels) };
        let mut out = Out { pixels, stride: self.stride, height: self.window.height };
        self.map.read(self.level, self.bands.clone(), &self.window, &mut out, go_on)
    }
}

/// # Safety
/// `map` is open.
#[unsafe(no_mangle)]
unsafe extern "C" fn skysense_may_reduce(
    map: *const c_void,
    level: c_int,
    x: c_int,
    y: c_int,
    width: c_int,
    height: c_int,
) -> CPLErr::Type {
    guarded(CPLErr::CE_Failure, || {
        // SAFETY: by this function's contract.
        let map = unsafe { &*map.cast::<Map>() };
        let window = Window { x: x.into(), y: y.into(), width: width as usize, height: height as usize };
        map.may_reduce(level as usize, &window)?;
        Ok(CPLErr::CE_None)
    })
}
