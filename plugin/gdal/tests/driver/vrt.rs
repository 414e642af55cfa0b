//! The pixel function, held against a run on the same image; and rasters by path with their bands by number.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::bench::{SIDE, bench, open, try_open};

const BANDS: [&str; 10] = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"];
const WHOLE: [usize; 4] = [0, 0, SIDE, SIDE];

/// All bands of one date at 10 m in one file, as people have them.
fn stack() -> PathBuf {
    // Made once, whichever test comes first.
    static STACK: OnceLock<PathBuf> = OnceLock::new();
    STACK.get_or_init(made).clone()
}

fn made() -> PathBuf {
    // An item of the time before offsets: its numbers are reflectance × 10000.
    let folders = std::fs::read_dir(bench().path("scene/sentinel-2-l2a")).unwrap().map(|entry| entry.unwrap().path());
    let item =
        folders.filter(|path| path.is_dir()).find(|path| path.display().to_string().contains("20210320")).unwrap();
    let bands = BANDS.map(|band| item.join(format!("{band}.tif")));
    let vrt = bench().path("stack.vrt");
    let built = bench()
        .program("gdalbuildvrt")
        .args(["-q", "-separate", "-resolution", "highest"])
        .arg(&vrt)
        .args(bands)
        .status();
    assert!(built.unwrap().success());
    let file = bench().path("stack.tif");
    assert!(
        bench().program("gdal_translate").args(["-q", "-ot", "Int16"]).arg(&vrt).arg(&file).status().unwrap().success()
    );
    file
}

/// A VRT with the function on bands of the stack.
fn vrt(name: &str, kind: &str, bands: usize, arguments: &str) -> String {
    let mut sources = String::new();
    for band in 1..=bands {
        write!(
            sources,
            "<SimpleSource><SourceFilename>{}</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource>",
            stack().display()
        )
        .unwrap();
    }
    let text = format!(
        "<VRTDataset rasterXSize=\"{SIDE}\" rasterYSize=\"{SIDE}\"><VRTRasterBand dataType=\"{kind}\" band=\"1\" \
         subClass=\"VRTDerivedRasterBand\"><PixelFunctionType>skysense</PixelFunctionType><PixelFunctionArguments \
         {arguments}/><SourceTransferType>Float32</SourceTransferType>{sources}</VRTRasterBand></VRTDataset>"
    );
    let file = bench().path(name);
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn the_function_gives_what_a_run_gives_on_the_same_window() {
    let numbered: Vec<String> =
        BANDS.iter().enumerate().map(|(place, band)| format!("{band}: {}", place + 1)).collect();
    let workflow = format!(
        "skysense: 1
nodes:
  image:
    uses: raster.files
    with: {{sensor: sentinel-2-l2a, nodata: 0, files: [{{href: {}, datetime: 2021-03-20, bands: {{{}}}}}]}}
  chips:
    uses: raster.chips
    from: image
    with: {{size: 16, overlap: 4, mask: none, min_valid: 0, radiometry: {{files: {{offset: 0}}}}}}
  classes: {{uses: skysense.segment, from: chips, with: {{model: model}}}}
  map: {{uses: stac.write, from: classes, with: {{href: by-path, collection: by-path, outputs: [class, probability]}}}}
",
        stack().display(),
        numbered.join(", ")
    );
    std::fs::write(bench().path("by-path.skysense.yaml"), workflow).unwrap();
    bench().skysense(&["run", "by-path.skysense.yaml"]);
    let written = |layer: &str| {
        open(&bench().path(&format!("by-path/by-path-all/{layer}.tif")).display().to_string(), &[])
            .window(1, WHOLE)
            .unwrap()
    };
    let model = bench().path("model");
    let arguments = format!("model=\"{}\" overlap=\"4\" datetime=\"2021-03-20\" nodata=\"0\"", model.display());
    let class = open(&vrt("class.vrt", "Byte", 10, &arguments), &[]).window(1, WHOLE).unwrap();
    assert!(class == written("class"), "classes differ");
    let arguments = format!("{arguments} output=\"probability\" channel=\"1\"");
    let probability = open(&vrt("probability.vrt", "Float32", 10, &arguments), &[]).window(1, WHOLE).unwrap();
    let stored: Vec<f32> = probability.iter().map(|p| (f64::from(*p) * 250.0).round() as f32).collect();
    assert!(stored == written("probability"), "probabilities differ");
    // The same workflow as a raster: bands by number, by path.
    let live = open(&bench().path("by-path.skysense.yaml").display().to_string(), &["CACHE=NO"]);
    assert!(live.window(1, WHOLE).unwrap() == written("class"));
}

#[test]
fn what_is_wrong_with_its_arguments_is_told() {
    let model = bench().path("model").display().to_string();
    for (bands, arguments, says) in [
        (10, String::new(), "no `model`"),
        (10, "model=\"/no/such/model\"".to_owned(), "/no/such/model"),
        (10, format!("model=\"{model}\" output=\"depth\""), "output=depth"),
        (10, format!("model=\"{model}\" channel=\"99\""), "channel=99"),
        (10, format!("model=\"{model}\" chanel=\"1\""), "no argument `chanel`"),
        (3, format!("model=\"{model}\""), "3 sources, and the model takes 10 bands of s2 in this order: B02, B03"),
    ] {
        let told = match try_open(&vrt("wrong.vrt", "Byte", bands, &arguments), &[]) {
            Ok(open) => open.window(1, [0, 0, 16, 16]).unwrap_err(),
            Err(told) => told,
        };
        assert!(told.contains(says), "{arguments}: {told}");
    }
}
