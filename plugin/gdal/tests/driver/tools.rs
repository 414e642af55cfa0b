//! GDAL's own programs, which know nothing of us but the folder.

use crate::bench::bench;

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
    let window = ["-q", "-srcwin", "17", "101", "90", "33"];
    for (from, to) in [(bench().name(), &cut), (bench().cog("class"), &wanted)] {
        let mut done = bench().program("gdal_translate");
        done.args(window).arg(from).arg(to);
        assert!(done.status().unwrap().success());
    }
    let sum = |file: &std::path::Path| {
        let told = bench().program("gdalinfo").args(["-checksum", "-json"]).arg(file).output().unwrap();
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        text.lines().find(|line| line.contains("\"checksum\"")).unwrap().trim().to_owned()
    };
    assert_eq!(sum(&cut), sum(&wanted));
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
