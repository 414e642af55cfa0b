//! A scene, a model, a workflow, and what `skysense run` makes of them: made once for all tests.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock};

use gdal_sys::{CPLErr, GDALDataType, GDALDatasetH, GDALRWFlag};

/// Side of the scene in pixels of 10 m: larger than the smallest overview, and no whole number of strides.
pub(crate) const SIDE: usize = 272;

pub(crate) struct Bench {
    root: PathBuf,
    /// Removed at the end, where this process made it.
    _folder: Option<tempfile::TempDir>,
    pub(crate) skysense: PathBuf,
    /// Folder for GDAL_DRIVER_PATH.
    pub(crate) drivers: PathBuf,
}

/// The workflow that the tests read, with every kind of layer.
const WORKFLOW: &str = "\
skysense: 1
name: fields
params:
  catalog: {type: path, default: scene/catalog.json}
  model: {type: model, default: model}
  out: {type: path}
  size: {type: integer, default: 16}
nodes:
  scenes: {uses: stac.search, with: {href: $catalog, collections: [sentinel-2-l2a]}}
  chips: {uses: raster.chips, from: scenes, with: {size: $size, overlap: 4, dates: {max: 2, prefer: clear}}}
  classes: {uses: skysense.segment, from: chips, with: {model: $model}}
  features: {uses: skysense.embed, from: chips, with: {model: $model}}
  map:
    uses: stac.write
    from: classes
    with: {href: $out, collection: fields, outputs: [class, probability, entropy], exists: fail}
  numbers:
    uses: stac.write
    from: features
    with: {href: numbers/, collection: numbers, dtype: int16}
";

pub(crate) fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        // A process that another test starts uses what that one made.
        let given = std::env::var_os("SKYSENSE_TEST_BENCH").map(PathBuf::from);
        let folder = given.is_none().then(|| tempfile::tempdir().unwrap());
        let root = given.clone().or_else(|| Some(folder.as_ref()?.path().to_owned())).unwrap();
        let here = std::env::current_exe().unwrap();
        let built = here.ancestors().nth(2).unwrap();
        let skysense = built.join("skysense");
        assert!(skysense.exists(), "{} is not there: `cargo build --workspace` builds it", skysense.display());
        let bench = Bench { drivers: PathBuf::new(), root, _folder: folder, skysense };
        let printed = bench.skysense(&["gdal", "path"]);
        let drivers = PathBuf::from(String::from_utf8(printed.stdout).unwrap().trim());
        assert!(drivers.join("gdal_SkySense.so").exists(), "{}", drivers.display());
        let bench = Bench { drivers, ..bench };
        if given.is_some() {
            return bench;
        }
        let side = SIDE.to_string();
        bench.skysense(&["simulate", "scene", "--out", "scene", "--size", &side, "--dates", "2", "--radar-dates", "1"]);
        std::fs::write(bench.path("learn.yaml"), learn()).unwrap();
        bench.skysense(&["run", "learn.yaml"]);
        std::fs::write(bench.path("fields.skysense.yaml"), WORKFLOW).unwrap();
        bench.skysense(&["run", "fields.skysense.yaml", "-p", "out=out"]);
        std::fs::write(bench.path("map.yaml"), map()).unwrap();
        bench
    })
}

/// The part of the workflow that makes classes.
fn map() -> String {
    let nodes: Vec<&str> = WORKFLOW.lines().filter(|line| !line.starts_with("  features:")).collect();
    let text = nodes.join("\n").replace("[class, probability, entropy]", "[class]");
    text.split("  numbers:").next().unwrap_or_default().to_owned()
}

/// Trains a model in a moment: not to be a good one.
fn learn() -> String {
    "\
skysense: 1
nodes:
  scenes: {uses: stac.search, with: {href: scene/catalog.json, collections: [sentinel-2-l2a]}}
  truth: {uses: stac.search, with: {href: scene/catalog.json, collections: [labels]}}
  chips: {uses: raster.chips, from: scenes, with: {size: 16, overlap: 4, dates: {max: 2, prefer: clear}}}
  model:
    uses: skysense.finetune
    from: {chips: chips, labels: truth}
    with: {preset: tiny, seconds: 2, out: model}
"
    .to_owned()
}

impl Bench {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A program in the bench's folder, with GDAL told of the driver and caches that nobody else has.
    pub(crate) fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.root).env("GDAL_DRIVER_PATH", &self.drivers);
        command.env("XDG_DATA_HOME", self.path("data")).env_remove("SKYSENSE_PLUGIN_PATH");
        command
    }

    pub(crate) fn skysense(&self, arguments: &[&str]) -> Output {
        let done = self.program(&self.skysense).args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        done
    }

    /// The name of the workflow as a raster.
    pub(crate) fn name(&self) -> String {
        self.path("fields.skysense.yaml").display().to_string()
    }

    /// The COG of a layer that the run wrote.
    pub(crate) fn cog(&self, layer: &str) -> String {
        let item = if layer == "features" { "numbers/numbers-all" } else { "out/fields-all" };
        let file = self.path(item).join(format!("{layer}.tif"));
        assert!(file.exists(), "{}", file.display());
        file.display().to_string()
    }
}

/// Errors and warnings that GDAL told in this process, by thread.
static TOLD: Mutex<Vec<(std::thread::ThreadId, String)>> = Mutex::new(Vec::new());

unsafe extern "C" fn hear(_: CPLErr::Type, _: c_int, text: *const c_char) {
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    TOLD.lock().unwrap().push((std::thread::current().id(), text));
}

/// What GDAL told this thread since it was last asked.
pub(crate) fn told() -> String {
    let mut all = TOLD.lock().unwrap();
    let me = std::thread::current().id();
    let (mine, others) = std::mem::take(&mut *all).into_iter().partition(|(thread, _)| *thread == me);
    *all = others;
    let mine: Vec<(_, String)> = mine;
    mine.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n")
}

/// Registers GDAL's drivers with ours in this process.
fn register() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let drivers = CString::new(bench().drivers.display().to_string()).unwrap();
        unsafe {
            gdal_sys::CPLSetConfigOption(c"GDAL_DRIVER_PATH".as_ptr(), drivers.as_ptr());
            gdal_sys::CPLSetErrorHandler(Some(hear));
            gdal_sys::GDALAllRegister();
            assert!(!gdal_sys::GDALGetDriverByName(c"SKYSENSE".as_ptr()).is_null(), "{}", told());
        }
    });
}

/// A dataset that is closed when it is dropped; used by one thread at a time.
pub(crate) struct Open(pub(crate) GDALDatasetH);

unsafe impl Send for Open {}

impl Drop for Open {
    fn drop(&mut self) {
        unsafe { gdal_sys::GDALClose(self.0) };
    }
}

/// `GDAL_OF_RASTER | GDAL_OF_VERBOSE_ERROR`.
const RASTER_AND_SAY_WHY: u32 = 0x42;

/// Opens a raster, with options.
pub(crate) fn try_open(name: &str, options: &[&str]) -> Result<Open, String> {
    register();
    let _before = told();
    let name = CString::new(name).unwrap();
    let texts: Vec<CString> = options.iter().map(|text| CString::new(*text).unwrap()).collect();
    let mut list: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    list.push(std::ptr::null());
    let flags = RASTER_AND_SAY_WHY;
    let handle =
        unsafe { gdal_sys::GDALOpenEx(name.as_ptr(), flags, std::ptr::null(), list.as_ptr(), std::ptr::null()) };
    if handle.is_null() { Err(told()) } else { Ok(Open(handle)) }
}

pub(crate) fn open(name: &str, options: &[&str]) -> Open {
    try_open(name, options).unwrap_or_else(|told| panic!("{name} {options:?}: {told}"))
}

/// Whether to go on, by the share that is done.
pub(crate) type GoOn<'a> = &'a mut dyn FnMut(f64) -> bool;

unsafe extern "C" fn progress(done: f64, _: *const c_char, argument: *mut c_void) -> c_int {
    let go_on = unsafe { &mut *argument.cast::<GoOn<'_>>() };
    go_on(done).into()
}

impl Open {
    /// Columns, rows and bands.
    pub(crate) fn shape(&self) -> (usize, usize, usize) {
        let count = |n: c_int| usize::try_from(n).unwrap();
        unsafe {
            (
                count(gdal_sys::GDALGetRasterXSize(self.0)),
                count(gdal_sys::GDALGetRasterYSize(self.0)),
                count(gdal_sys::GDALGetRasterCount(self.0)),
            )
        }
    }

    pub(crate) fn band(&self, number: usize) -> gdal_sys::GDALRasterBandH {
        unsafe { gdal_sys::GDALGetRasterBand(self.0, number as c_int) }
    }

    /// A window of a band as 32-bit numbers, `[x, y, width, height]`.
    pub(crate) fn window(&self, band: usize, window: [usize; 4]) -> Result<Vec<f32>, String> {
        read(self.band(band), window, [window[2], window[3]], &mut |_| true)
    }

    /// All bands of a window.
    pub(crate) fn all(&self, [x, y, width, height]: [usize; 4]) -> Vec<f32> {
        let bands = self.shape().2;
        let mut pixels = vec![0.0; bands * width * height];
        let code = unsafe {
            gdal_sys::GDALDatasetRasterIO(
                self.0,
                GDALRWFlag::GF_Read,
                x as c_int,
                y as c_int,
                width as c_int,
                height as c_int,
                pixels.as_mut_ptr().cast(),
                width as c_int,
                height as c_int,
                GDALDataType::GDT_Float32,
                bands as c_int,
                std::ptr::null_mut(),
                0,
                0,
                0,
            )
        };
        assert_eq!(code, CPLErr::CE_None, "{}", told());
        pixels
    }

    pub(crate) fn metadata(&self, key: &str) -> String {
        let key = CString::new(key).unwrap();
        let text = unsafe { gdal_sys::GDALGetMetadataItem(self.0, key.as_ptr(), std::ptr::null()) };
        if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
    }
}

/// A window of a band, made smaller where `to` is smaller, with a progress function.
pub(crate) fn read(
    band: gdal_sys::GDALRasterBandH,
    [x, y, width, height]: [usize; 4],
    to: [usize; 2],
    mut go_on: GoOn<'_>,
) -> Result<Vec<f32>, String> {
    let _before = told();
    let mut pixels = vec![0.0_f32; to[0] * to[1]];
    let mut more = gdal_sys::GDALRasterIOExtraArg {
        nVersion: 1,
        eResampleAlg: gdal_sys::GDALRIOResampleAlg::GRIORA_NearestNeighbour,
        pfnProgress: Some(progress),
        pProgressData: std::ptr::from_mut(&mut go_on).cast(),
        bFloatingPointWindowValidity: 0,
        dfXOff: 0.0,
        dfYOff: 0.0,
        dfXSize: 0.0,
        dfYSize: 0.0,
    };
    let code = unsafe {
        gdal_sys::GDALRasterIOEx(
            band,
            GDALRWFlag::GF_Read,
            x as c_int,
            y as c_int,
            width as c_int,
            height as c_int,
            pixels.as_mut_ptr().cast(),
            to[0] as c_int,
            to[1] as c_int,
            GDALDataType::GDT_Float32,
            0,
            0,
            &mut more,
        )
    };
    if code == CPLErr::CE_None { Ok(pixels) } else { Err(told()) }
}

/// Numbers that look drawn by lot and are the same each time.
pub(crate) struct Lot(u64);

impl Lot {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed * 2 + 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }

    /// A window within a square.
    pub(crate) fn window(&mut self, side: usize) -> [usize; 4] {
        let (x, y) = (self.below(side), self.below(side));
        [x, y, 1 + self.below(side - x), 1 + self.below(side - y)]
    }
}

/// The window of a whole that was read at once.
pub(crate) fn cut(whole: &[f32], width: usize, [x, y, w, h]: [usize; 4]) -> Vec<f32> {
    (y..y + h).flat_map(|row| whole[row * width + x..][..w].to_vec()).collect()
}
