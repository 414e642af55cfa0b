//! GDAL's own programs, which know nothing of us but the folder.

use std::process::Command;

use crate::bench::{Lot, SIDE, bench};

#[test]
fn gdalinfo_lists_the_driver_and_describes_a_map() {
    let formats = bench().program("gdalinfo").arg("--formats").output().unwrap();
    let formats = String::from_utf8_lossy(&formats.stdout).into_owned();
    assert!(formats.contains("SKYSENSE -raster- (ros): SkySense workflow"), "{formats}");
    let about = bench().program("gdalinfo").args(["--format", "SKYSENSE"]).output().unwrap();
    assert!(String::from_utf8_lossy(&about.stdout).contains("MAX_CHIPS"));
    let told = bench().program("gdalinfo").arg("fields.skysense.yaml").output().unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    for part in
        ["Driver: SKYSENSE/", "Size is 272, 272", "NoData Value=", "Overviews: 136x136", "Color Table", "LINEAGE="]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn gdal_translate_and_gdalwarp_take_a_workflow_for_a_file() {
    let (cut, wanted) = (bench().path("cut.tif"), bench().path("wanted.tif"));
    let sum = |file: &std::path::Path| {
        let told = bench().program("gdalinfo").args(["-checksum", "-json"]).arg(file).output().unwrap();
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        text.lines().find(|line| line.contains("\"checksum\"")).unwrap().trim().to_owned()
    };
    // Each by a process of its own, in an order of chance.
    let mut lot = Lot::new(17);
    for _ in 0..12 {
        let window = lot.window(SIDE);
        for (from, to) in [(bench().name(), &cut), (bench().cog("class"), &wanted)] {
            let mut done = bench().program("gdal_translate");
            done.args(["-q", "-srcwin"]).args(window.map(|part| part.to_string())).arg(from).arg(to);
            assert!(done.status().unwrap().success());
        }
        assert_eq!(sum(&cut), sum(&wanted), "{window:?}");
    }
    let warp = [
        "-q",
        "-overwrite",
        "-t_srs",
        "EPSG:3857",
        "-ts",
        "200",
        "0",
        "-r",
        "near",
        "--config",
        "GDAL_NUM_THREADS",
        "2",
    ];
    for (from, to) in [(bench().name(), &cut), (bench().cog("class"), &wanted)] {
        let done = bench().program("gdalwarp").args(warp).arg(from).arg(to).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert_eq!(sum(&cut), sum(&wanted));
}

#[test]
fn rasterio_reads_windows_by_eight_threads() {
    // A rasterio that was built with the GDAL of the plugin: the wheel of PyPI has one of its own.
    let system = "/usr/bin/python3";
    let probe = "import rasterio; print(rasterio.__gdal_version__)";
    let theirs = Command::new(system).args(["-c", probe]).output().ok().filter(|done| done.status.success());
    let theirs = theirs.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned());
    let ours = version_of_gdal();
    if theirs.as_deref() != Some(ours.as_str()) {
        eprintln!("NOT TESTED: rasterio, since {system} has none with GDAL {ours} (apt-get install python3-rasterio)");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/driver/by_rasterio.py");
    let mut python = bench().program(system);
    // A Python of another folder that stands in the environment is not that of the system.
    python.env_remove("PYTHONPATH").env_remove("PYTHONHOME").args([script, &bench().name(), &bench().cog("class")]);
    let done = python.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("24 windows are those of the map"), "{said}");
}

fn version_of_gdal() -> String {
    // SAFETY: a constant in, a text of GDAL's that is copied at once.
    let name = unsafe { std::ffi::CStr::from_ptr(gdal_sys::GDALVersionInfo(c"RELEASE_NAME".as_ptr())) };
    name.to_string_lossy().into_owned()
}

#[test]
fn the_command_prints_the_folder_and_says_how_to_use_it_and_to_undo_that() {
    let printed =
        bench().program(&bench().skysense).args(["gdal", "path"]).env_remove("GDAL_DRIVER_PATH").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&printed.stdout).trim(), bench().drivers.display().to_string());
    let said = String::from_utf8_lossy(&printed.stderr).into_owned();
    let export = format!("export GDAL_DRIVER_PATH={}", bench().drivers.display());
    assert!(said.contains(&export) && said.contains("unset GDAL_DRIVER_PATH"), "{said}");
    let again = bench().skysense(&["gdal", "path", "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(answer["set"], true, "{answer}");
}
