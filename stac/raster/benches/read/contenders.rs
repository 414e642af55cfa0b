//! What is measured in a process of its own: reading chips, and decoding alone.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use skysense_grid::{ChipGrid, GeoBox, Window};
use skysense_raster::{Header, Pixels, Resampling, Sample, Source, header, read_typed};

use crate::scene::{BANDS, target};

const CHIP: usize = 256;
const DATES: usize = 3;

/// Runs one contender and returns seconds, peak memory and what it found.
pub(crate) fn run(contender: &str, scene: &Path, threads: usize) -> Value {
    let scene: Value = serde_json::from_slice(&std::fs::read(scene).unwrap()).unwrap();
    skysense_raster::setup(&skysense_raster::Options::default()).unwrap();
    let (start, worked) = (Instant::now(), cpu_seconds());
    let means = match contender {
        "read" => read(&scene, threads),
        "decode" => decode(&scene, threads),
        other => panic!("no contender {other:?}"),
    };
    let cpu = cpu_seconds() - worked;
    json!({"seconds": start.elapsed().as_secs_f64(), "cpu_seconds": cpu, "peak_bytes": peak(), "means": means})
}

/// One band of one date: its granules, the first of which wins where both are valid.
struct Layer {
    band: usize,
    granules: Vec<(Source, Header)>,
}

/// Fills all chips, one row of chips at a time, as `raster.chips` does: `[chip, date, band, y, x]`.
fn read(scene: &Value, threads: usize) -> Value {
    let side = scene["target"]["width"].as_u64().unwrap() as usize;
    let grid = target(side);
    let chips = ChipGrid::new(grid.clone(), CHIP.min(side), 0).unwrap();
    let layers: Vec<Layer> =
        (0..DATES * BANDS.len()).map(|at| layer(scene, at / BANDS.len(), at % BANDS.len())).collect();
    let mut sums = vec![(0.0, 0_u64); BANDS.len()];
    for row in 0..chips.rows() {
        let first = chips.get(row * chips.columns()).unwrap().window;
        let strip = Window { width: side, ..first };
        let strip_box = grid.window(&strip).unwrap();
        let next = AtomicUsize::new(0);
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = if BANDS[layer.band].0 == "SCL" {
                            cut::<u8>(layer, &strip_box, Resampling::Nearest)
                        } else {
                            cut::<u16>(layer, &strip_box, Resampling::Bilinear)
                        };
                        found.lock().unwrap().push((layer.band, result));
                    }
                });
            }
        });
        for (band, (sum, count)) in found.into_inner().unwrap() {
            sums[band].0 += sum;
            sums[band].1 += count;
        }
    }
    let means = BANDS.iter().zip(sums).map(|((name, _), (sum, count))| ((*name).to_owned(), json!(sum / count as f64)));
    Value::Object(means.collect())
}

fn layer(scene: &Value, date: usize, band: usize) -> Layer {
    let name = BANDS[band].0;
    let of_date = scene["granules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|granule| granule["id"].as_str().unwrap().ends_with(&format!("_{date}")));
    let granules = of_date.map(|granule| {
        let source = Source::new(granule["id"].as_str().unwrap(), granule["assets"][name]["href"].as_str().unwrap());
        let found = header(&source).unwrap();
        (source, found)
    });
    Layer { band, granules: granules.collect() }
}

/// Reads a strip, lays its granules over each other and cuts it into chips; sum and number of valid values.
fn cut<T: Sample>(layer: &Layer, strip: &GeoBox, resampling: Resampling) -> (f64, u64) {
    let mut whole: Pixels<T> = Pixels::invalid(strip.width, strip.height);
    for (source, header) in &layer.granules {
        let Some(missing) = missing(&whole) else { break };
        let found = read_typed::<T>(source, header, &strip.window(&missing).unwrap(), resampling).unwrap();
        lay(&mut whole, &found, &missing);
    }
    let mut chip: Vec<T> = Vec::new();
    let mut sum = 0.0;
    for left in (0..whole.width).step_by(CHIP) {
        let width = CHIP.min(whole.width - left);
        chip.clear();
        (0..whole.height).for_each(|row| chip.extend_from_slice(&whole.values[row * whole.width + left..][..width]));
        sum += total(std::hint::black_box(&chip));
    }
    (sum, whole.valid.iter().map(|&valid| u64::from(valid)).sum())
}

/// The smallest window with all pixels that nothing was laid on.
fn missing<T>(whole: &Pixels<T>) -> Option<Window> {
    let rows = || whole.valid.chunks_exact(whole.width).enumerate().filter(|(_, row)| row.contains(&0));
    let (top, bottom) = (rows().next()?.0, rows().next_back()?.0);
    let left = rows().filter_map(|(_, row)| row.iter().position(|&valid| valid == 0)).min()?;
    let right = rows().filter_map(|(_, row)| row.iter().rposition(|&valid| valid == 0)).max()?;
    Some(Window { x: left as i64, y: top as i64, width: right + 1 - left, height: bottom + 1 - top })
}

fn lay<T: Sample>(whole: &mut Pixels<T>, found: &Pixels<T>, window: &Window) {
    for row in 0..found.height {
        let to = (window.y as usize + row) * whole.width + window.x as usize;
        let values = whole.values[to..to + found.width].iter_mut().zip(&mut whole.valid[to..to + found.width]);
        let from = row * found.width..(row + 1) * found.width;
        for ((value, valid), (&new, &seen)) in values.zip(found.values[from.clone()].iter().zip(&found.valid[from])) {
            if *valid == 0 && seen != 0 {
                (*value, *valid) = (new, 1);
            }
        }
    }
}

/// The sum, in partial sums that need not wait for each other.
fn total<T: Sample>(values: &[T]) -> f64 {
    let mut sums = [0.0; 8];
    for part in values.chunks(8) {
        part.iter().zip(&mut sums).for_each(|(value, sum)| *sum += value.to_f64());
    }
    sums.iter().sum()
}

/// Decodes every block of every file once: what no reader can be faster than.
fn decode(scene: &Value, threads: usize) -> Value {
    let granules = scene["granules"].as_array().unwrap();
    let files: Vec<&str> = granules
        .iter()
        .flat_map(|granule| granule["assets"].as_object().unwrap().values())
        .map(|asset| asset["href"].as_str().unwrap())
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let dataset = gdal::Dataset::open(file).unwrap();
                    let band = dataset.rasterband(1).unwrap();
                    let ((width, height), (x, y)) = (band.size(), band.block_size());
                    let mut block = vec![0_u16; x * y];
                    for at in 0..width.div_ceil(x) * height.div_ceil(y) {
                        let (column, row) = (at % width.div_ceil(x), at / width.div_ceil(x));
                        // SAFETY: the buffer holds a block of 16-bit pixels, and none of the files has wider ones.
                        let code = unsafe {
                            gdal_sys::GDALReadBlock(
                                band.c_rasterband(),
                                column as i32,
                                row as i32,
                                block.as_mut_ptr().cast(),
                            )
                        };
                        assert_eq!(code, gdal_sys::CPLErr::CE_None);
                    }
                }
            });
        }
    });
    json!({})
}

/// Seconds that all threads have worked.
fn cpu_seconds() -> f64 {
    // SAFETY: all bits zero are a valid structure, which the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The most memory that the process has held, in bytes; 0 where the system does not say.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}
