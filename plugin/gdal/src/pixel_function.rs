//! The pixel function `skysense`: a model within a VRT, on whatever bands the VRT brings together.
//!
//! GDAL hands a pixel function the pixels of a window and says neither where it lies nor what is around it. So the window
//! is cut into chips that begin at its corner, and a model whose output depends on what is around a pixel gives other
//! values for other windows: the function is for models of small chips, read in windows of whole chips.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use gdal_sys::{CPLErr, GDALDataType};
use serde_json::json;
use skysense_abi::{BatchStream, Host, NoHost, PlanInput, PlanInputs, RunInput, RunInputs};
use skysense_contract::{Dtype as Stored, Input, Modality, Package};
use skysense_edges::{
    ChipBuilder, ChipFacts, ChipModality, ChipRow, ChipSchema, Dtype, MapBatch, MapFacts, ModalityFacts, Period,
    Pixels, SeriesRow,
};
use skysense_grid::{Affine, ChipGrid, Crs, GeoBox, Window};
use skysense_maps::{FeatureType, Layer, Output, Stored as Encoded, layers};
use skysense_raster::{Patch, Rows};

use crate::message::guarded;
use crate::plugins::plugins;

/// What GDAL is told of the arguments.
const DECLARED: &CStr = c"<PixelFunctionArgumentsList>\
<Argument name='model' type='string' description='Folder of a model package'/>\
<Argument name='modality' type='string' description='What the sources are: s2 or s1; the only one of the model if left out'/>\
<Argument name='output' type='string' description='class, probability, value or feature' default='class'/>\
<Argument name='channel' type='int' description='Which class or feature, from 1' default='1'/>\
<Argument name='overlap' type='int' description='Pixels that chips share' default='0'/>\
<Argument name='datetime' type='string' description='When the image was taken, as 2021-05-03' default='2021-07-01'/>\
<Argument name='nodata' type='double' description='Value of source pixels without data'/>\
</PixelFunctionArgumentsList>";

/// Models that stay open: a pixel function is not told when a VRT is closed.
const MOST_OPEN: usize = 4;
/// Names of the arguments, as far as they are ours.
const NAMES: [&str; 7] = ["model", "modality", "output", "channel", "overlap", "datetime", "nodata"];
/// The one period of a window.
const PERIOD: &str = "all";

/// Makes the function known to GDAL.
pub(crate) fn register() {
    // SAFETY: constant texts and a function that lives for ever.
    unsafe {
        gdal_sys::GDALAddDerivedBandPixelFuncWithArgs(c"skysense".as_ptr(), Some(apply), DECLARED.as_ptr());
    }
}

/// # Safety
/// As GDAL calls a pixel function: `sources` are `count` planes of `width` x `height` pixels, `out` has room for as many.
#[allow(clippy::too_many_arguments, reason = "GDAL's type of a pixel function")]
unsafe extern "C" fn apply(
    sources: *mut *mut c_void,
    count: c_int,
    out: *mut c_void,
    width: c_int,
    height: c_int,
    from: GDALDataType::Type,
    to: GDALDataType::Type,
    pixel: c_int,
    line: c_int,
    arguments: gdal_sys::CSLConstList,
) -> CPLErr::Type {
    guarded(CPLErr::CE_Failure, || {
        // SAFETY: by this function's contract.
        let given = unsafe { pairs(arguments.cast_const().cast()) };
        let asked = Asked::read(&given)?;
        let area = width as usize * height as usize;
        let mut planes = vec![vec![0.0_f32; area]; count as usize];
        for (place, plane) in planes.iter_mut().enumerate() {
            // SAFETY: by this function's contract; the plane has room for as many 32-bit numbers.
            unsafe {
                let bytes = gdal_sys::GDALGetDataTypeSizeBytes(from);
                let source = (*sources.add(place)).cast_const();
                let kind = GDALDataType::GDT_Float32;
                gdal_sys::GDALCopyWords64(source, from, bytes, plane.as_mut_ptr().cast(), kind, 4, area as i64);
            }
        }
        let pixels = window(&asked, &planes, width as usize, height as usize)?;
        for (row, pixels) in pixels.chunks_exact(width as usize).enumerate() {
            // SAFETY: by this function's contract.
            unsafe {
                let at = out.cast::<u8>().offset(row as isize * line as isize).cast();
                let kind = GDALDataType::GDT_Float32;
                gdal_sys::GDALCopyWords(pixels.as_ptr().cast(), kind, 4, at, to, pixel, width);
            }
        }
        Ok(CPLErr::CE_None)
    })
}

/// # Safety
/// `list` is null or a list of texts that ends with null.
pub(crate) unsafe fn pairs(list: *const *const c_char) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut at = list;
    // SAFETY: by this function's contract.
    while !at.is_null() && !unsafe { *at }.is_null() {
        // SAFETY: as above.
        let text = unsafe { CStr::from_ptr(*at) }.to_string_lossy();
        if let Some((key, value)) = text.split_once('=') {
            found.push((key.to_owned(), value.to_owned()));
        }
        // SAFETY: the entry was not the last one.
        at = unsafe { at.add(1) };
    }
    found
}

/// Arguments, read.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    model: String,
    modality: Option<String>,
    output: String,
    channel: usize,
    overlap: usize,
    /// Milliseconds since 1970 in UTC.
    datetime: i64,
    nodata: Option<f64>,
}

impl Asked {
    fn read(given: &[(String, String)]) -> Result<Self, String> {
        let find = |name: &str| given.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let wrong = |name: &str, value: &str, expected: &str| {
            format!("pixel function skysense: {name}={value}: expected {expected}")
        };
        if let Some((unknown, _)) = given.iter().find(|(key, _)| !NAMES.contains(&key.as_str())) {
            return Err(format!("pixel function skysense has no argument `{unknown}`; it has {}", NAMES.join(", ")));
        }
        let number = |name: &str, default: usize| match find(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| wrong(name, text, "a whole number")),
        };
        let model = find("model").ok_or("pixel function skysense: no `model`, the folder of a model package")?;
        let output = find("output").unwrap_or("class");
        if !["class", "probability", "value", "feature"].contains(&output) {
            return Err(wrong("output", output, "class, probability, value or feature"));
        }
        let channel = number("channel", 1)?;
        let channel = channel.checked_sub(1).ok_or_else(|| wrong("channel", "0", "a number from 1"))?;
        let datetime = find("datetime").unwrap_or("2021-07-01");
        let days = days(datetime).ok_or_else(|| wrong("datetime", datetime, "a date such as 2021-05-03"))?;
        let nodata = match find("nodata") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| wrong("nodata", text, "a number"))?),
        };
        Ok(Self {
            model: model.to_owned(),
            modality: find("modality").map(str::to_owned),
            output: output.to_owned(),
            channel,
            overlap: number("overlap", 0)?,
            datetime: days * 86_400_000,
            nodata,
        })
    }

    fn node(&self) -> &'static str {
        if self.output == "feature" { "skysense.embed" } else { "skysense.segment" }
    }
}

/// Days from 1970-01-01 to the date that a text begins with.
fn days(text: &str) -> Option<i64> {
    let date: NaiveDate = text.get(..10)?.parse().ok()?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

/// A model at work on windows.
struct Applied {
    stream: BatchStream,
    wishes: Arc<Mutex<VecDeque<RecordBatch>>>,
    modality: Modality,
    input: Input,
    size: usize,
    facts: MapFacts,
    feature: bool,
    /// Whether a window failed on its way: what comes out next may be of chips that nobody waits for.
    broken: bool,
}

type Shared = Arc<Mutex<Applied>>;

/// One output of a window of sources, by a model that did not fail before.
fn window(asked: &Asked, planes: &[Vec<f32>], width: usize, height: usize) -> Result<Vec<f32>, String> {
    loop {
        let shared = opened(asked)?;
        let mut model = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if model.broken {
            open_ones().retain(|(_, one)| !Arc::ptr_eq(one, &shared));
            continue;
        }
        return model.window(asked, planes, width, height);
    }
}

/// Models that are open, by what they were opened with.
fn open_ones() -> MutexGuard<'static, VecDeque<(String, Shared)>> {
    static OPEN: Mutex<VecDeque<(String, Shared)>> = Mutex::new(VecDeque::new());
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells open models apart.
fn key(asked: &Asked) -> String {
    format!("{}\0{}\0{:?}", asked.model, asked.node(), asked.modality)
}

/// The model, opened by whoever comes first.
fn opened(asked: &Asked) -> Result<Shared, String> {
    let key = key(asked);
    let mut open = open_ones();
    if let Some((_, model)) = open.iter().find(|(known, _)| *known == key) {
        return Ok(model.clone());
    }
    let model = Arc::new(Mutex::new(Applied::start(asked)?));
    open.push_back((key, model.clone()));
    while open.len() > MOST_OPEN {
        open.pop_front();
    }
    Ok(model)
}

impl Applied {
    fn start(asked: &Asked) -> Result<Self, String> {
        let package = Package::open(&asked.model).map_err(|error| error.to_string())?;
        let contract = package.contract();
        if contract.geo_context.is_some() {
            return Err(format!(
                "model {} asks where a pixel lies, which GDAL does not tell a pixel function\n  hint: open a workflow as SKYSENSE:workflow.yaml",
                contract.name
            ));
        }
        let known: Vec<&str> = contract.modalities.keys().map(|modality| modality.name()).collect();
        let modality = match &asked.modality {
            None if contract.modalities.len() == 1 => contract.modalities.keys().next(),
            None => None,
            Some(name) => contract.modalities.keys().find(|modality| modality.name() == name),
        };
        let modality = *modality.ok_or_else(|| {
            format!(
                "pixel function skysense: modality={}: the model has {}",
                asked.modality.as_deref().unwrap_or("(none given)"),
                known.join(", ")
            )
        })?;
        let input = contract.modalities[&modality].clone();
        if input.scale != 1 {
            return Err(format!(
                "{modality} pixels are {} times finer than the output, and a pixel function has one size for both",
                input.scale
            ));
        }
        let schema = ChipSchema { modalities: vec![chip_modality(modality, &input, contract.chip_size)] };
        let facts = chip_facts(modality, &input, contract.chip_size)?;
        let (plugin, _) = plugins().node(asked.node()).ok_or_else(|| format!("no plugin brings {}", asked.node()))?;
        let settings = json!({"model": package.folder()});
        let host = Host::new(NoHost);
        let chips = PlanInput::new("chip", schema.arrow(), json!(facts), None);
        let plan = plugin.plan(asked.node(), &settings, &PlanInputs::default().with("chips", chips), &host);
        let plan =
            plan.map_err(|faults| faults.iter().map(|fault| fault.message.clone()).collect::<Vec<_>>().join("; "))?;
        let facts: MapFacts = serde_json::from_value(plan.facts.clone()).map_err(|error| error.to_string())?;
        let wishes = Arc::new(Mutex::new(VecDeque::new()));
        let mine: Arc<Mutex<VecDeque<RecordBatch>>> = wishes.clone();
        let batches =
            std::iter::from_fn(move || mine.lock().unwrap_or_else(PoisonError::into_inner).pop_front().map(Ok));
        let inputs = RunInputs::default().with("chips", RunInput::new("chip", schema.arrow(), Box::new(batches)));
        let run = plugin.run(asked.node(), &settings, plan, inputs, &host).map_err(|error| error.to_string())?;
        let (size, feature) = (contract.chip_size, asked.output == "feature");
        Ok(Self { stream: run.1, wishes, modality, input, size, facts, feature, broken: false })
    }

    /// One output of a window of sources.
    fn window(&mut self, asked: &Asked, planes: &[Vec<f32>], width: usize, height: usize) -> Result<Vec<f32>, String> {
        if planes.len() != self.input.bands.len() {
            return Err(format!(
                "pixel function skysense has {} sources, and the model takes {} bands of {} in this order: {}",
                planes.len(),
                self.input.bands.len(),
                self.modality,
                self.input.bands.join(", ")
            ));
        }
        if asked.channel >= self.facts.channels {
            return Err(format!(
                "pixel function skysense: channel={}: the model gives {}",
                asked.channel + 1,
                self.facts.channels
            ));
        }
        let geobox =
            GeoBox::new(Crs::lon_lat(), Affine::north_up(0.0, 0.0, 1.0), width, height).map_err(|e| e.to_string())?;
        let grid = ChipGrid::new(geobox, self.size, asked.overlap).map_err(|error| error.to_string())?;
        let mut builder =
            ChipBuilder::new(ChipSchema { modalities: vec![chip_modality(self.modality, &self.input, self.size)] });
        for chip in grid.iter() {
            let series = self.cut(asked, planes, (width, height), &chip.window);
            let row = ChipRow { chip: chip.index as u32, period: PERIOD.into(), window: chip.window, series };
            builder.push(row).map_err(|error| error.to_string())?;
        }
        let batch = builder.finish().map_err(|error| error.to_string())?;
        self.broken = true;
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).push_back(batch);
        let channels = if asked.output == "class" { 0..self.facts.channels } else { asked.channel..asked.channel + 1 };
        let mut patch = Patch::new(&grid, Window::full(width, height), channels, self.facts.channels);
        let mut left = grid.len();
        while left > 0 {
            let batch = self.stream.next().ok_or("the model ended before it gave all chips")?;
            let batch = batch.map_err(|error| error.to_string())?;
            let maps = if self.feature { MapBatch::features(&batch) } else { MapBatch::predictions(&batch) };
            let maps = maps.map_err(|error| error.to_string())?;
            for row in 0..maps.len() {
                let Some(chip) = grid.get(maps.chip(row) as usize) else { continue };
                patch.push(&chip, maps.values(row), maps.valid(row)).map_err(|error| error.to_string())?;
                left -= 1;
            }
        }
        self.broken = false;
        self.encode(asked, &patch.finish())
    }

    fn encode(&self, asked: &Asked, rows: &Rows) -> Result<Vec<f32>, String> {
        if asked.output != "class" {
            let value = |(value, valid): (&f32, &u8)| if *valid == 0 { f32::NAN } else { *value };
            return Ok(rows.values.iter().zip(&rows.valid).map(value).collect());
        }
        let layers = layers(&self.facts, Some(&[Output::Class]), FeatureType::Float32, false)?;
        match layers.first().map(|layer: &Layer| layer.store(rows)) {
            Some(Encoded::U8(pixels)) => Ok(pixels.into_iter().map(f32::from).collect()),
            _ => Err("the model gives no classes".into()),
        }
    }

    /// The pixels of a chip; what lies beyond the window is padding.
    fn cut(
        &self,
        asked: &Asked,
        planes: &[Vec<f32>],
        (width, height): (usize, usize),
        window: &Window,
    ) -> BTreeMap<String, SeriesRow> {
        let side = self.size;
        let place = |p: usize| {
            let (x, y) = (window.x as usize + p % side, window.y as usize + p / side);
            (x < width && y < height).then_some(y * width + x)
        };
        let there = |value: f32| value.is_finite() && asked.nodata.is_none_or(|nodata| f64::from(value) != nodata);
        let valid: Vec<u8> = (0..side * side)
            .map(|p| u8::from(place(p).is_some_and(|at| planes.iter().all(|plane| there(plane[at])))))
            .collect();
        if valid.iter().all(|&valid| valid == 0) {
            return BTreeMap::new();
        }
        let pixel = |plane: &[f32], p: usize| match place(p) {
            Some(at) if valid[p] != 0 => plane[at],
            _ => 0.0,
        };
        let values: Vec<f32> = planes
            .iter()
            .flat_map(|plane| (0..side * side).map(move |p| (plane, p)))
            .map(|(plane, p)| pixel(plane, p))
            .collect();
        let row = SeriesRow {
            shape: [1, planes.len(), side, side],
            pixels: Pixels::from_f32(dtype(&self.input), &values),
            valid,
            datetimes: vec![asked.datetime],
            items: vec![vec!["sources".into()]],
        };
        BTreeMap::from([(self.modality.name().to_owned(), row)])
    }
}

fn dtype(input: &Input) -> Dtype {
    match input.dtype {
        Stored::U8 => Dtype::U8,
        Stored::I16 => Dtype::I16,
        Stored::F32 => Dtype::F32,
    }
}

fn chip_modality(modality: Modality, input: &Input, size: usize) -> ChipModality {
    ChipModality { name: modality.name().into(), dtype: dtype(input), bands: Some(input.bands.len()), side: Some(size) }
}

/// What a model is told of chips without a place.
fn chip_facts(modality: Modality, input: &Input, size: usize) -> Result<ChipFacts, String> {
    let geobox =
        GeoBox::new(Crs::lon_lat(), Affine::north_up(0.0, 0.0, 1.0), size, size).map_err(|error| error.to_string())?;
    let facts = ModalityFacts {
        sensor: "sources of a VRT".into(),
        bands: input.bands.clone(),
        unit: input.unit.name().into(),
        dtype: dtype(input),
        scale: 1,
        dates: 1,
    };
    Ok(ChipFacts {
        geobox,
        chip_size: size,
        overlap: 0,
        periods: vec![Period { name: PERIOD.into(), start: String::new(), end: String::new() }],
        modalities: BTreeMap::from([(modality.name().to_owned(), facts)]),
        items: Vec::new(),
        decisions: Vec::new(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<Asked, String> {
        let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Asked::read(&given)
    }

    #[test]
    fn arguments_are_read_and_mistakes_are_told() {
        let asked = read(&[("model", "m"), ("channel", "3"), ("datetime", "1970-01-02"), ("nodata", "-1.5")]).unwrap();
        assert_eq!((asked.channel, asked.datetime, asked.nodata), (2, 86_400_000, Some(-1.5)));
        for (given, says) in [
            (vec![("output", "class")], "no `model`"),
            (vec![("model", "m"), ("outptu", "class")], "no argument `outptu`"),
            (vec![("model", "m"), ("output", "depth")], "output=depth"),
            (vec![("model", "m"), ("channel", "0")], "channel=0"),
            (vec![("model", "m"), ("datetime", "yesterday")], "datetime=yesterday"),
            (vec![("model", "m"), ("nodata", "none")], "nodata=none"),
        ] {
            assert!(read(&given).unwrap_err().contains(says), "{says}");
        }
    }

    #[test]
    fn a_model_that_failed_is_opened_anew() {
        let input = json!({"bands": ["B04"], "unit": "reflectance_e4", "dtype": "i16", "mean": [0.0], "std": [1.0],
            "dates": 1, "scale": 1});
        let input: Input = serde_json::from_value(input).unwrap();
        let facts = json!({"chips": chip_facts(Modality::S2, &input, 4).unwrap(), "channels": 1, "margin": 0,
            "model": {"name": "m", "preset": "tiny", "licence": "x"}});
        let fault = skysense_abi::NodeError::new("chips", "this batch cannot be computed");
        let model = Applied {
            stream: Box::new(std::iter::once(Err(fault))),
            wishes: Arc::default(),
            modality: Modality::S2,
            input,
            size: 4,
            facts: serde_json::from_value(facts).unwrap(),
            feature: true,
            broken: false,
        };
        let asked = read(&[("model", "/no/such/model"), ("output", "feature")]).unwrap();
        open_ones().push_back((key(&asked), Arc::new(Mutex::new(model))));
        let told = || window(&asked, &[vec![1.0; 16]], 4, 4).unwrap_err();
        assert!(told().contains("cannot be computed"));
        let (again, more) = (told(), told());
        assert!(again.contains("/no/such/model") && more == again, "{again}");
    }

    #[test]
    fn days_are_counted() {
        assert_eq!(days("1970-01-01"), Some(0));
        assert_eq!(days("2000-03-01"), Some(11_017));
        assert_eq!(days("2021-07-01T10:00:00Z"), Some(18_809));
        for none in ["2021-13-01", "2021-02-31", "2021-2-3", "2021-02-3ä"] {
            assert_eq!(days(none), None, "{none}");
        }
    }
}
