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
