//! Names, options, and what a dataset says about itself.

use std::ffi::{CStr, c_int};

use crate::bench::{SIDE, bench, open};

#[test]
fn a_map_says_what_the_cog_says_and_what_it_is_made_of() {
    let (map, cog) = (open(&bench().name(), &[]), open(&bench().cog("class"), &[]));
    let (mut ours, mut theirs) = ([0.0; 6], [0.0; 6]);
    unsafe {
        gdal_sys::GDALGetGeoTransform(map.0, ours.as_mut_ptr());
        gdal_sys::GDALGetGeoTransform(cog.0, theirs.as_mut_ptr());
        let same = gdal_sys::OSRIsSame(gdal_sys::GDALGetSpatialRef(map.0), gdal_sys::GDALGetSpatialRef(cog.0));
        assert_eq!((ours, same), (theirs, 1));
        let (mut ok, mut wanted) = (0, 0);
        let nodata = gdal_sys::GDALGetRasterNoDataValue(map.band(1), &mut ok);
        assert_eq!((nodata, ok), (gdal_sys::GDALGetRasterNoDataValue(cog.band(1), &mut wanted), wanted));
        let (table, theirs) =
            (gdal_sys::GDALGetRasterColorTable(map.band(1)), gdal_sys::GDALGetRasterColorTable(cog.band(1)));
        let names = gdal_sys::GDALGetRasterCategoryNames(map.band(1));
        let mut named = 0;
        for value in 0..c_int::from(u8::MAX) {
            let key = std::ffi::CString::new(format!("CLASS_{value}")).unwrap();
            let class = |band| gdal_sys::GDALGetMetadataItem(band, key.as_ptr(), std::ptr::null());
            let (class, expected) = (class(map.band(1)), class(cog.band(1)));
            assert_eq!(class.is_null(), expected.is_null(), "class {value}");
            if class.is_null() {
                continue;
            }
            named += 1;
            assert_eq!(CStr::from_ptr(class), CStr::from_ptr(expected));
            let category = *names.add(usize::try_from(value).unwrap());
            assert_eq!(CStr::from_ptr(category), CStr::from_ptr(expected), "category {value}");
            let colour = |table| *gdal_sys::GDALGetColorEntry(table, value);
            let parts = |entry: gdal_sys::GDALColorEntry| (entry.c1, entry.c2, entry.c3, entry.c4);
            assert_eq!(parts(colour(table)), parts(colour(theirs)), "colour {value}");
        }
        assert!(named > 1, "{named} classes");
    }
    for (key, part) in [
        ("WORKFLOW", "fields"),
        ("NODE", "map"),
        ("LAYER", "class"),
        ("PERIOD", "all"),
        ("MODEL", "skysense-finetuned"),
        ("LINEAGE", "cut into chips of 16 px that overlap by 4 px"),
        ("CHIPS", "529 of 16 px"),
    ] {
        assert!(map.metadata(key).contains(part), "{key} is {:?}", map.metadata(key));
    }
    for key in ["WORKFLOW_SHA256", "MODEL_WEIGHTS_SHA256"] {
        assert_eq!(map.metadata(key).len(), 64, "{key}");
    }
    assert!(!map.metadata("MODEL_LICENCE").is_empty() && !map.metadata("SOURCES").is_empty());
}

#[test]
fn params_come_in_the_name_or_as_an_option() {
    let plain = bench().path("plain.yaml");
    let text = std::fs::read_to_string(bench().name()).unwrap();
    let text = text.replace(", default: scene/catalog.json", "").replace(", default: model", "");
    std::fs::write(&plain, text).unwrap();
    let (catalog, model) = (bench().path("scene/catalog.json"), bench().path("model"));
    let params = format!("catalog={}&model={}", catalog.display(), model.display());
    let window = [100, 7, 9, 9];
    let wanted = open(&bench().name(), &[]).window(1, window).unwrap();
    let file = plain.display();
    assert_eq!(open(&format!("SKYSENSE:{file}?{params}"), &[]).window(1, window).unwrap(), wanted);
    assert_eq!(open(&format!("skysense:{file}"), &[&format!("PARAMS={params}")]).window(1, window).unwrap(), wanted);
}

#[test]
fn every_raster_of_a_workflow_has_a_name_of_its_own() {
    let map = open(&bench().name(), &[]);
    let list = unsafe { gdal_sys::GDALGetMetadata(map.0, c"SUBDATASETS".as_ptr()) };
    let mut names = Vec::new();
    let mut at = list;
    while !at.is_null() && !unsafe { *at }.is_null() {
        let text = unsafe { CStr::from_ptr(*at) }.to_string_lossy().into_owned();
        if let Some((key, name)) = text.split_once('=')
            && key.ends_with("_NAME")
        {
            names.push(name.to_owned());
        }
        at = unsafe { at.add(1) };
    }
    // Three layers of one writer, and the other writer.
    assert_eq!(names.len(), 4, "{names:?}");
    for name in &names {
        let found = open(name, &[]);
        assert_eq!((found.shape().0, found.shape().1), (SIDE, SIDE), "{name}");
    }
    assert_eq!(open(&names[3], &[]).metadata("LAYER"), "features");
}

#[test]
fn a_workflow_that_writes_nowhere_new_can_be_read_all_the_same() {
    // The run's output is there, and `exists: fail` would refuse to write it again.
    let name = format!("SKYSENSE:{}?out={}", bench().name(), bench().path("out").display());
    assert_eq!(open(&name, &[]).window(1, [0, 0, 4, 4]).unwrap().len(), 16);
}
