//! Windows, bands and overviews, held against the COGs of the whole run.

use std::ffi::c_int;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bench::{Lot, SIDE, bench, cut, open, read, told};

const WHOLE: [usize; 4] = [0, 0, SIDE, SIDE];

/// Options that leave nothing to later tests.
fn fresh(name: &str) -> String {
    format!("CACHE_DIR={}", bench().path(&format!("cache-{name}")).display())
}

#[test]
fn windows_in_any_order_are_those_of_the_whole_run() {
    for (layer, node) in [("class", "map"), ("probability", "map"), ("entropy", "map"), ("features", "numbers")] {
        let name = format!("SKYSENSE:{}#node={node}&layer={layer}", bench().name());
        let (cog, map) = (open(&bench().cog(layer), &[]), open(&name, &[&fresh("order")]));
        assert_eq!(map.shape(), cog.shape(), "{layer}");
        let bands = map.shape().2;
        let whole: Vec<Vec<f32>> = (1..=bands).map(|band| cog.window(band, WHOLE).unwrap()).collect();
        let mut lot = Lot::new(7);
        for _ in 0..24 {
            let (band, window) = (lot.below(bands), lot.window(SIDE));
            let found = map.window(band + 1, window).unwrap_or_else(|told| panic!("{layer} {window:?}: {told}"));
            assert_eq!(found, cut(&whole[band], SIDE, window), "{layer}, band {band}, {window:?}");
        }
        let window = lot.window(SIDE);
        let all: Vec<f32> = whole.iter().flat_map(|band| cut(band, SIDE, window)).collect();
        assert_eq!(map.all(window), all, "{layer}: all bands at once");
        for (band, whole) in whole.iter().enumerate() {
            assert!(map.window(band + 1, WHOLE).unwrap() == *whole, "{layer}: band {band} as a whole");
        }
    }
}

#[test]
fn blocks_are_windows_too_also_at_the_rim() {
    let map = open(&bench().name(), &[&fresh("blocks")]);
    let whole = open(&bench().cog("class"), &[]).window(1, WHOLE).unwrap();
    let band = map.band(1);
    let (mut width, mut height) = (0, 0);
    unsafe { gdal_sys::GDALGetBlockSize(band, &mut width, &mut height) };
    let (width, height) = (usize::try_from(width).unwrap(), usize::try_from(height).unwrap());
    for column in (0..SIDE.div_ceil(width)).rev() {
        for row in 0..SIDE.div_ceil(height) {
            let mut block = vec![0_u8; width * height];
            let code =
                unsafe { gdal_sys::GDALReadBlock(band, column as c_int, row as c_int, block.as_mut_ptr().cast()) };
            assert_eq!(code, 0, "{}", told());
            let (x, y) = (column * width, row * height);
            for (line, pixels) in block.chunks_exact(width).enumerate().take((SIDE - y).min(height)) {
                let held = (SIDE - x).min(width);
                let wanted: Vec<u8> = whole[(y + line) * SIDE + x..][..held].iter().map(|&v| v as u8).collect();
                assert_eq!(pixels[..held], wanted, "block {column}, {row}, line {line}");
            }
        }
    }
}

#[test]
fn overviews_are_those_that_gdal_makes_of_the_whole() {
    for (layer, resampling) in [("class", "NEAREST"), ("entropy", "AVERAGE")] {
        let small = bench().path(&format!("{layer}-overviews.tif"));
        let options = ["-q", "-of", "COG", "-co", "BLOCKSIZE=128", "-co"];
        let mut make = bench().program("gdal_translate");
        make.args(options).arg(format!("OVERVIEW_RESAMPLING={resampling}"));
        let made = make.arg(bench().cog(layer)).arg(&small).status().unwrap();
        assert!(made.success());
        let wanted = open(&small.display().to_string(), &["OVERVIEW_LEVEL=0"]);
        let map = open(&bench().name(), &[&fresh("overviews"), &format!("LAYER={layer}"), "MAX_CHIPS=10000"]);
        assert_eq!(unsafe { gdal_sys::GDALGetOverviewCount(map.band(1)) }, 1);
        let overview = unsafe { gdal_sys::GDALGetOverview(map.band(1), 0) };
        let side = SIDE / 2;
        let all = [0, 0, side, side];
        let wanted = wanted.window(1, all).unwrap();
        let found = read(overview, all, [side, side], &mut |_| true).unwrap();
        let differing = found.iter().zip(&wanted).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{layer}");
        let part = [13, 40, 77, 5];
        assert_eq!(read(overview, part, [77, 5], &mut |_| true).unwrap(), cut(&wanted, side, part));
    }
}

#[test]
fn a_smaller_reading_computes_a_stated_number_of_chips_and_no_more() {
    let map = open(&bench().name(), &[&fresh("limit"), "MAX_CHIPS=20"]);
    let refused = read(map.band(1), WHOLE, [16, 16], &mut |_| true).unwrap_err();
    // 16 px that share 4: (272 - 4) / 12 = 22.3, so 23 a side.
    assert!(refused.contains("529 chips would have to be computed") && refused.contains("at most 20"), "{refused}");
    assert!(refused.contains("MAX_CHIPS") && refused.contains("zoom in"), "{refused}");
    let overview = unsafe { gdal_sys::GDALGetOverview(map.band(1), 0) };
    assert!(read(overview, [0, 0, 136, 136], [136, 136], &mut |_| true).is_err(), "nor by an overview itself");
    assert!(read(overview, [0, 0, 12, 12], [12, 12], &mut |_| true).is_ok());
    // At full resolution everything may be read, and what is at hand may then be made smaller.
    map.window(1, WHOLE).unwrap();
    read(map.band(1), WHOLE, [16, 16], &mut |_| true).unwrap();
}

#[test]
fn pixels_go_to_whatever_place_they_are_wanted_at() {
    let map = open(&format!("SKYSENSE:{}#node=numbers", bench().name()), &[&fresh("places")]);
    let [x, y, width, height] = [3, 5, 20, 10];
    let mut bytes = vec![0_u8; 2 * width * height + 2];
    let wanted = map.window(1, [x, y, width, height]).unwrap();
    // One of two neighbouring bytes is no multiple of two.
    for from in 0..2 {
        let code = unsafe {
            gdal_sys::GDALRasterIO(
                map.band(1),
                gdal_sys::GDALRWFlag::GF_Read,
                x as c_int,
                y as c_int,
                width as c_int,
                height as c_int,
                bytes.as_mut_ptr().add(from).cast(),
                width as c_int,
                height as c_int,
                gdal_sys::GDALDataType::GDT_Int16,
                0,
                0,
            )
        };
        assert_eq!(code, 0, "{}", told());
        let found = bytes[from..].chunks_exact(2).take(width * height);
        let found: Vec<f32> = found.map(|two| i16::from_ne_bytes([two[0], two[1]]).into()).collect();
        assert_eq!(found, wanted, "from byte {from}");
    }
}

#[test]
fn eight_threads_read_at_once_each_from_a_dataset_of_its_own() {
    let whole = open(&bench().cog("class"), &[]).window(1, WHOLE).unwrap();
    let (start, options) = (Barrier::new(8), fresh("threads"));
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let (start, options, whole) = (&start, &options, &whole);
            scope.spawn(move || {
                start.wait();
                let map = open(&bench().name(), &[options]);
                let mut lot = Lot::new(seed);
                for _ in 0..12 {
                    let window = lot.window(SIDE);
                    assert_eq!(map.window(1, window).unwrap(), cut(whole, SIDE, window), "{window:?}");
                }
            });
        }
    });
}

#[test]
fn a_reader_that_gives_up_is_let_go_and_the_next_one_is_served() {
    let map = open(&bench().name(), &[&fresh("given-up")]);
    let asked = AtomicUsize::new(0);
    let mut go_on = |done: f64| {
        assert!((0.0..=1.0).contains(&done));
        asked.fetch_add(1, Ordering::Relaxed) < 1
    };
    let given_up = read(map.band(1), WHOLE, [SIDE, SIDE], &mut go_on).unwrap_err();
    assert!(given_up.contains("User terminated"), "{given_up}");
    let whole = open(&bench().cog("class"), &[]).window(1, WHOLE).unwrap();
    let window = [30, 30, 50, 50];
    assert_eq!(map.window(1, window).unwrap(), cut(&whole, SIDE, window));
}

#[test]
fn what_was_computed_is_kept_by_what_it_was_made_of() {
    let cache = bench().path("cache-kept");
    let options = [format!("CACHE_DIR={}", cache.display())];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let window = [0, 0, 20, 20];
    let kept = || -> Vec<std::path::PathBuf> {
        let folders = std::fs::read_dir(&cache).into_iter().flatten().map(|entry| entry.unwrap().path());
        folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect()
    };
    let first = open(&bench().name(), &options).window(1, window).unwrap();
    let files = kept();
    // Pixels 0 to 19 are touched by the chips that begin at 0 and at 12.
    assert_eq!(files.len(), 4, "{files:?}");
    let written: Vec<_> = files.iter().map(|file| file.metadata().unwrap().modified().unwrap()).collect();
    assert_eq!(open(&bench().name(), &options).window(1, window).unwrap(), first);
    let again: Vec<_> = files.iter().map(|file| file.metadata().unwrap().modified().unwrap()).collect();
    assert_eq!(again, written, "nothing was computed again");
    // A chip that was damaged on disk is computed again.
    std::fs::write(&files[0], "no chip").unwrap();
    assert_eq!(open(&bench().name(), &options).window(1, window).unwrap(), first);
    assert!(files[0].metadata().unwrap().len() > 100);
    // Other settings make other chips.
    let other = bench().path("other.skysense.yaml");
    let text = std::fs::read_to_string(bench().name()).unwrap().replace("overlap: 4", "overlap: 6");
    std::fs::write(&other, text).unwrap();
    open(&other.display().to_string(), &options).window(1, window).unwrap();
    assert!(kept().len() > 4 && std::fs::read_dir(&cache).unwrap().count() == 2);
    let none = bench().path("cache-none");
    let without = format!("CACHE_DIR={}", none.display());
    assert_eq!(open(&bench().name(), &[&without, "CACHE=NO"]).window(1, window).unwrap(), first);
    assert!(!none.exists());
}

#[test]
fn a_thousand_openings_leave_nothing_behind() {
    let option = fresh("leak");
    // Memory that nobody else needs meanwhile: the tests of this process run at once, so this one runs apart.
    let mut apart = bench().program(std::env::current_exe().unwrap());
    apart.args(["--exact", "windows::openings", "--ignored"]);
    let done = apart.env("SKYSENSE_TEST_BENCH", bench().path("")).env("SKYSENSE_TEST_OPTION", option).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

/// What [`a_thousand_openings_leave_nothing_behind`] does in a process of its own.
#[test]
#[ignore = "run by another test"]
fn openings() {
    let name = std::env::var("SKYSENSE_TEST_BENCH").unwrap() + "/fields.skysense.yaml";
    let option = std::env::var("SKYSENSE_TEST_OPTION").unwrap();
    let held = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let once = |read: bool| {
        let map = crate::bench::try_open(&name, &[&option]).unwrap();
        if read {
            map.window(1, [0, 0, 16, 16]).unwrap();
        }
    };
    // Planned anew each time, and shared with one that stays open: what either leaves behind shows.
    let round = |planned: usize, shared: usize| {
        (0..planned).for_each(|n| once(n % 25 == 0));
        let kept = crate::bench::try_open(&name, &[&option]).unwrap();
        (0..shared).for_each(|n| once(n % 25 == 0));
        drop(kept);
    };
    round(50, 50);
    let before = (held(), files(), threads());
    round(200, 800);
    let after = (held(), files(), threads());
    assert_eq!(after.1, before.1, "open files");
    assert_eq!(after.2, before.2, "threads");
    assert!(after.0 < before.0 + (8 << 10), "{} KiB after, {} KiB before", after.0, before.0);
}
