//! Files that a user names: in any format of this machine's GDAL, with the pixels that GDAL itself reads.

use std::path::Path;

use skysense_grid::GeoBox;
use skysense_raster::{Resampling, Source, header, read};

use crate::support::{cog, gdal, grid, noise};

const SIDE: usize = 40;
const NODATA: f64 = 9.0;

fn place() -> GeoBox {
    grid(32633, 500_000.0, 5_300_000.0, 10.0, SIDE, SIDE)
}

/// A raster of numbers from 0 to 199, of which 9 means no data.
fn plain(folder: &Path, name: &str) -> String {
    let values: Vec<u16> = noise(SIDE * SIDE, 200).into_iter().map(|value| value as u16).collect();
    cog(&folder.join(name), &place(), Some(NODATA), &values).href
}

fn named(file: &Path) -> Source {
    Source::new("item-1 / image", file.display().to_string()).in_any_format(true)
}

/// What GDAL's own program reads: numbers as they are, without any mask.
fn oracle(name: &str, band: usize, folder: &Path) -> Vec<f32> {
    let raw = folder.join("oracle.raw");
    let (band, to) = (band.to_string(), raw.display().to_string());
    gdal("gdal_translate", &["-q", "-of", "ENVI", "-ot", "Float32", "-b", &band, name, &to]);
    let bytes = std::fs::read(raw).unwrap();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}

/// Holds a band to what GDAL reads of `name`, and to the pixels that it was made of.
fn check(source: &Source, name: &str, folder: &Path) {
    let found = header(source).unwrap();
    // Some formats tell the reference system in words alone.
    let (there, made) = (found.geobox().unwrap(), place());
    assert_eq!((there.transform, there.width, there.height), (made.transform, made.width, made.height), "{name}");
    assert_eq!(found.nodata, Some(NODATA), "{name}");
    let pixels = read(source, &found, &place(), Resampling::Nearest).unwrap();
    let expected = oracle(name, source.band, folder);
    let made: Vec<f32> = noise(SIDE * SIDE, 200).into_iter().map(|value| value as f32).collect();
    assert_eq!(expected, made, "{name}");
    for (at, expected) in expected.iter().enumerate() {
        let valid = f64::from(*expected) != NODATA;
        assert_eq!(pixels.valid[at] != 0, valid, "{name}: pixel {at}");
        assert!(!valid || pixels.values[at] == *expected, "{name}: pixel {at}");
    }
}

#[test]
fn files_in_formats_of_gdal_hold_the_pixels_that_gdal_reads() {
    let folder = tempfile::tempdir().unwrap();
    let from = plain(folder.path(), "plain.tif");
    for (format, file, more) in [
        ("VRT", "a.vrt", &[][..]),
        ("ENVI", "a.dat", &[]),
        ("HFA", "a.img", &[]),
        ("netCDF", "a.nc", &[]),
        ("GPKG", "a.gpkg", &["-co", "RASTER_TABLE=pixels"]),
        ("AAIGrid", "a.asc", &[]),
        ("PCIDSK", "a.pix", &[]),
        ("SAGA", "a.sdat", &[]),
        // A folder.
        ("Zarr", "a.zarr", &[]),
    ] {
        let file = folder.path().join(file);
        let name = file.display().to_string();
        gdal("gdal_translate", &[&["-q", "-of", format], more, &[&from, &name]].concat());
        check(&named(&file), &name, folder.path());
        // What a catalog names is read in the formats that catalogs have, and no VRT leads on to other files.
        let error = header(&Source::new("item-1 / image", &name)).map(|found| found.format);
        assert!(error.is_err() || format == "netCDF", "{format}: {error:?}");
    }
}

#[test]
fn nodata_and_place_may_stand_in_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let from = plain(folder.path(), "plain.tif");
    let file = folder.path().join("a.png");
    let name = file.display().to_string();
    gdal("gdal_translate", &["-q", "-of", "PNG", "-co", "WORLDFILE=YES", &from, &name]);
    assert!(folder.path().join("a.png.aux.xml").is_file());
    check(&named(&file), &name, folder.path());
    assert!(header(&Source::new("item-1 / image", &name)).is_err(), "without them nobody knows where it lies");
    // What was allowed for one file is not for the next.
    check(&named(&file), &name, folder.path());
    assert!(header(&Source::new("item-1 / image", &name)).is_err());
}

#[test]
fn statistics_beside_a_file_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let name = plain(folder.path(), "plain.tif");
    let file = folder.path().join("plain.tif");
    let before = header(&named(&file)).unwrap();
    skysense_raster::close_idle();
    // As QGIS leaves them when it shows a raster.
    gdal("gdalinfo", &["-stats", "-hist", &name]);
    assert!(folder.path().join("plain.tif.aux.xml").is_file());
    let after = header(&named(&file)).unwrap();
    assert_eq!(after, before);
    assert_eq!(after.scale_offset, None);
    check(&named(&file), &name, folder.path());
}

#[test]
fn one_raster_of_several_in_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let from = plain(folder.path(), "plain.tif");
    let other = folder.path().join("other.tif");
    let constant = cog(&other, &place(), Some(NODATA), &[7_u16; SIDE * SIDE]).href;
    let both = folder.path().join("both.vrt").display().to_string();
    gdal("gdalbuildvrt", &["-q", "-separate", &both, &constant, &from]);
    let nc = folder.path().join("both.nc");
    gdal("gdal_translate", &["-q", "-of", "netCDF", &both, &nc.display().to_string()]);
    let gpkg = folder.path().join("both.gpkg");
    let table = |name: &str| format!("RASTER_TABLE={name}");
    let to = gpkg.display().to_string();
    gdal("gdal_translate", &["-q", "-of", "GPKG", "-co", &table("Band1"), &constant, &to]);
    let append = ["-co", "APPEND_SUBDATASET=YES"];
    gdal("gdal_translate", &[&["-q", "-of", "GPKG", "-co", &table("Band2")], &append[..], &[&from, &to]].concat());
    for (file, name) in [(&nc, format!("NETCDF:\"{}\":Band2", nc.display())), (&gpkg, format!("GPKG:{to}:Band2"))] {
        let source = named(file).with_subdataset(Some("Band2".into()));
        check(&source, &name, folder.path());
        let first = named(file).with_subdataset(Some("Band1".into()));
        let found = header(&first).unwrap();
        let pixels = read(&first, &found, &place(), Resampling::Nearest).unwrap();
        assert!(pixels.values.iter().all(|value| *value == 7.0), "{name}: one file, two rasters");
        // In full it is a name too.
        check(&named(file).with_subdataset(Some(name.clone())), &name, folder.path());
        let wrong = header(&named(file).with_subdataset(Some("Band3".into()))).unwrap_err().to_string();
        assert!(wrong.contains("\"Band3\"") && wrong.contains("Band1, Band2"), "{wrong}");
        let none = header(&named(file)).unwrap_err().to_string();
        assert!(none.contains("no raster by itself") && none.contains("Band1, Band2"), "{none}");
        assert!(none.contains("`subdataset`"), "{none}");
    }
    let lonely = named(&other).with_subdataset(Some("Band3".into()));
    assert!(header(&lonely).unwrap_err().to_string().contains("no others"));
}

#[test]
fn what_gdal_does_not_read_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a.img");
    std::fs::write(&odd, "no raster at all").unwrap();
    let told = header(&named(&odd)).unwrap_err().to_string();
    for part in ["item-1 / image", "a.img", "not recognized", "GDAL 3.", "gdalinfo --formats"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let gone = header(&named(&folder.path().join("b.img"))).unwrap_err().to_string();
    assert!(gone.contains("no such file"), "{gone}");
    // A name of GDAL's that is no file stays closed, whatever the format.
    let virtual_file = Source::new("item-1 / image", "/vsicurl/http://127.0.0.1:1/a.tif").in_any_format(true);
    assert!(header(&virtual_file).unwrap_err().to_string().contains("is not opened"));
    // A VRT that names what is gone says so when it is read.
    let from = plain(folder.path(), "plain.tif");
    let vrt = folder.path().join("c.vrt");
    gdal("gdal_translate", &["-q", "-of", "VRT", &from, &vrt.display().to_string()]);
    let found = header(&named(&vrt)).unwrap();
    skysense_raster::close_idle();
    std::fs::remove_file(&from).unwrap();
    let told = read(&named(&vrt), &found, &place(), Resampling::Nearest).unwrap_err().to_string();
    assert!(told.contains("plain.tif"), "{told}");
}
