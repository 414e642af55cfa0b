//! What becomes of each of 93 items as published: the sensor that resolves it, or the reason that refuses it.
//!
//! The items themselves are read from the folder `items/` that `SKYSENSE_REAL_DATA` names; without it the test says so and
//! passes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::path::PathBuf;

use serde_json::Value;
use skysense_catalog::{Item, Options, Radiometry, Refusal, Root, Scene, Sensors, resolve};

use Expected::{L1c, L2a, NoSensor, Polarisation, Rgb, Rgbn, Rtc, Uncalibrated};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    L2a,
    L1c,
    Rtc,
    Rgb,
    Rgbn,
    /// Ground-range radar without calibration.
    Uncalibrated,
    /// Radar without VV and VH.
    Polarisation,
    NoSensor,
}

impl Expected {
    fn sensor(self) -> Option<&'static str> {
        Some(match self {
            L2a => "sentinel-2-l2a",
            L1c => "sentinel-2-l1c",
            Rtc => "sentinel-1-rtc",
            Rgb => "hr-rgb",
            Rgbn => "hr-rgbn",
            Uncalibrated | Polarisation | NoSensor => return None,
        })
    }
}

/// Folder and name of each item, and what becomes of it.
const ITEMS: &[(&str, Expected)] = &[
    ("aws-sentinel-s2-l2a-jp2/S2A_OPER_MSI_L2A_TL_2APS_20230602T025701_A041483_T01WCQ", L2a),
    ("aws-sentinel-s2-l2a-jp2/S2A_OPER_MSI_L2A_TL_2APS_20230602T025701_A041483_T01WCR", L2a),
    ("aws-sentinel-s2-l2a-jp2/S2A_OPER_MSI_L2A_TL_2APS_20230603T031757_A041497_T01WCQ", L2a),
    ("aws-sentinel-s2-l2a-jp2/S2A_OPER_MSI_L2A_TL_2APS_20230730T020155_A042312_T01VCC", L2a),
    ("aws-sentinel-s2-l2a-jp2/S2A_OPER_MSI_L2A_TL_2APS_20230806T022123_A042412_T60VXH", L2a),
    ("aws-sentinel-s2-l2a-jp2/S2B_OPER_MSI_L2A_TL_2BPS_20230503T100334_A030615_T60VXH", L2a),
    ("aws-sentinel1-rtc-indigo/S1B_20161121_12SYJ_ASC", Rtc),
    ("cdse-sentinel-2/S2B_MSIL2A_20200322T074609_N0500_R135_T36NYH_20230612T214223", L2a),
    ("cdse-sentinel-2/S2B_MSIL2A_20260319T084559_N0512_R107_T48XVR_20260319T110755", L2a),
    ("cdse-sentinel-2/S2C_MSIL2A_20260527T014651_N0512_R017_T55WFR_20260527T042005", L2a),
    ("cop-dem/Copernicus_DSM_COG_10_S90_00_W177_00_DEM", NoSensor),
    ("cop-dem/Copernicus_DSM_COG_10_S90_00_W179_00_DEM", NoSensor),
    ("cop-dem/Copernicus_DSM_COG_30_S90_00_W180_00_DEM", NoSensor),
    ("dea-ard/3af1acae-0255-4762-b2b2-f26034cf3ce8", NoSensor),
    ("dea-ard/e2baf679-c20a-479f-86c5-ffd98c65ff87", NoSensor),
    ("deafrica-s2-c1/S2B_T37MGP_20240710T073012_L2A", L2a),
    ("e84v0-sentinel-s2-l2a-cogs/S2A_17SPR_20221106_0_L2A", L2a),
    ("e84v0-sentinel-s2-l2a-cogs/S2A_31NBJ_20190524_0_L2A", L2a),
    ("e84v0-sentinel-s2-l2a-cogs/S2B_20EPT_20250731_0_L2A", L2a),
    ("e84v0-sentinel-s2-l2a-cogs/S2B_36MWC_20210923_0_L2A", L2a),
    ("e84v1-landsat-c2-l2/LC08_L2SP_033032_20231008_02_T1", NoSensor),
    ("e84v1-sentinel-1-grd/S1A_IW_GRDH_1SSH_20250731T135608_20250731T135637_060328_077F7E", Polarisation),
    ("e84v1-sentinel-1-grd/S1A_IW_GRDH_1SSH_20250731T135637_20250731T135702_060328_077F7E", Polarisation),
    ("e84v1-sentinel-1-grd/S1A_IW_GRDH_1SSH_20250731T135702_20250731T135722_060328_077F7E", Polarisation),
    ("e84v1-sentinel-2-c1-l2a/S2A_T13TDE_20240405T175934_L2A", L2a),
    ("e84v1-sentinel-2-c1-l2a/S2A_T13TDE_20240415T180048_L2A", L2a),
    ("e84v1-sentinel-2-c1-l2a/S2B_T13TDE_20240331T175111_L2A", L2a),
    ("e84v1-sentinel-2-c1-l2a/S2B_T13TDE_20240410T175332_L2A", L2a),
    ("e84v1-sentinel-2-c1-l2a/S2B_T20EPT_20250731T131905_L2A", L2a),
    ("e84v1-sentinel-2-c1-l2a/S2B_T24MUV_20250731T130245_L2A", L2a),
    ("e84v1-sentinel-2-l1c/S2B_24MUV_20250731_0_L1C", L1c),
    ("e84v1-sentinel-2-l1c/S2B_24MWV_20250731_0_L1C", L1c),
    ("e84v1-sentinel-2-l1c/S2B_27VWK_20240206_0_L1C", L1c),
    ("e84v1-sentinel-2-l2a/S2A_28QCH_20200714_0_L2A", L2a),
    ("e84v1-sentinel-2-l2a/S2A_29RKH_20200219_0_L2A", L2a),
    ("e84v1-sentinel-2-l2a/S2A_31UDQ_20230617_0_L2A", L2a),
    ("e84v1-sentinel-2-l2a/S2B_24MUA_20250731_0_L2A", L2a),
    ("e84v1-sentinel-2-l2a/S2B_30VVJ_20260327_0_L2A", L2a),
    ("e84v1-sentinel-2-l2a/S2B_31UDQ_20230602_0_L2A", L2a),
    ("lpcloud-hls/G1994512890-LPCLOUD", NoSensor),
    ("lpcloud-hls/G1994873826-LPCLOUD", NoSensor),
    ("lpcloud-hls/G1994877369-LPCLOUD", NoSensor),
    ("lpcloud-hls/G1996014088-LPCLOUD", NoSensor),
    ("lpcloud-hls/G1996014444-LPCLOUD", NoSensor),
    ("maxar-open-data/11_031311102221_103001010C12B000", Rgb),
    ("maxar-open-data/11_031311102230_103001010C12B000", Rgb),
    ("maxar-open-data/11_031311102302_103001010C12B000", Rgb),
    ("maxar-open-data/11_031311102320_103001010C12B000", Rgb),
    ("maxar-open-data/11_031311102322_103001010C12B000", Rgb),
    ("maxar-open-data/11_031311120101_103001010C12B000", Rgb),
    ("pc-landcover/29V-2021", NoSensor),
    ("pc-landcover/60U-2020", NoSensor),
    ("pc-landcover/60V-2020", NoSensor),
    ("pc-landcover/60W-2020", NoSensor),
    ("pc-landcover/60W-2023", NoSensor),
    ("pc-landcover/ESA_WorldCover_10m_2021_v200_S60W030", NoSensor),
    ("pc-landsat-c2-l2/LC08_L2SP_044034_20160830_02_T1", NoSensor),
    ("pc-landsat-c2-l2/LC08_L2SP_044034_20161001_02_T1", NoSensor),
    ("pc-landsat-c2-l2/LC08_L2SP_202033_20220327_02_T1", NoSensor),
    ("pc-landsat-c2-l2/LC09_L2SP_084069_20250722_02_T2", NoSensor),
    ("pc-landsat-c2-l2/LC09_L2SP_089088_20240417_02_T2", NoSensor),
    ("pc-landsat-c2-l2/LC09_L2SR_084057_20250722_02_T1", NoSensor),
    ("pc-naip/fl_m_2608004_nw_17_060_20191215_20200113", Rgbn),
    ("pc-naip/fl_m_2708063_ne_17_060_20191215_20200113", Rgbn),
    ("pc-naip/pr_m_1806544_ne_20_030_20221212_20230329", Rgbn),
    ("pc-naip/pr_m_1806544_nw_20_030_20221212_20230329", Rgbn),
    ("pc-naip/pr_m_1806550_ne_20_030_20221212_20230329", Rgbn),
    ("pc-naip/pr_m_1806551_nw_20_030_20221212_20230329", Rgbn),
    ("pc-sentinel-1-grd/S1A_EW_GRDM_1SSH_20220505T235314_20220505T235417_043082_05250D", Polarisation),
    ("pc-sentinel-1-grd/S1A_IW_GRDH_1SDV_20220428T034417_20220428T034442_042968_05213C", Uncalibrated),
    ("pc-sentinel-1-rtc/S1A_IW_GRDH_1SDV_20240419T045749_20240419T045814_053498_067DF2_rtc", Rtc),
    ("pc-sentinel-1-rtc/S1A_IW_GRDH_1SDV_20240419T045839_20240419T045904_053498_067DF2_rtc", Rtc),
    ("pc-sentinel-1-rtc/S1A_IW_GRDH_1SDV_20250311T044231_20250311T044249_058252_073302_rtc", Rtc),
    ("pc-sentinel-2-l2a/S2A_MSIL2A_20150704T101006_R022_T35XQA_20210411T133707", L2a),
    ("pc-sentinel-2-l2a/S2A_MSIL2A_20190101T000001_R116_T58UFF_20201007T214659", L2a),
    ("pc-sentinel-2-l2a/S2A_MSIL2A_20200611T080611_R078_T35MNM_20200826T230619", L2a),
    ("pc-sentinel-2-l2a/S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531", L2a),
    ("pc-sentinel-2-l2a/S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251", L2a),
    ("pc-sentinel-2-l2a/S2B_MSIL2A_20240825T173909_R098_T13TDE_20240825T215747", L2a),
    ("stactools-sentinel1/S1A_IW_GRDH_1SDV_20210809T173953_20210809T174018_039156_049F13", Uncalibrated),
    ("stactools-sentinel1/S1A_IW_GRDH_1SDV_20210809T173953_20210809T174018_039156_049F13_6FF8", Uncalibrated),
    ("stactools-sentinel2/S2A_OPER_MSI_L2A_TL_2APS_20240108T121951_A044635_T34VEL", L2a),
    ("stactools-sentinel2/S2A_OPER_MSI_L2A_TL_2APS_20240109T203651_A044654_T60CWS", L2a),
    ("stactools-sentinel2/S2A_T01LAC_20200717T221944_L1C", L1c),
    ("stactools-sentinel2/S2A_T07HFE_20190212T192646_L2A", L2a),
    ("stactools-sentinel2/S2B_OPER_MSI_L2A_TL_S2RP_20230315T224658_A018417_T01VCG", L2a),
    ("stactools-sentinel2/S2B_T22HBD_20210122T133224_L2A", L2a),
    ("usgs-landsat-c2l2/LC08_L2SP_005009_20150710_20200908_02_T2", NoSensor),
    ("usgs-landsat-c2l2/LC08_L2SP_008059_20191201_20200825_02_T1", NoSensor),
    ("usgs-landsat-c2l2/LC08_L2SR_081119_20200101_20200823_02_T2", NoSensor),
    ("usgs-landsat-c2l2/LT04_L2SP_002026_19830110_20200918_02_T1_SR", NoSensor),
    ("usgs-landsat-c2l2/LT05_L2SP_010067_19860424_20200918_02_T2_SR", NoSensor),
    ("usgs-landsat-c2l2/LT05_L2SP_010067_19860424_20200918_02_T2_ST", NoSensor),
];

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SKYSENSE_REAL_DATA").map(|folder| PathBuf::from(folder).join("items"));
    if folder.is_none() {
        eprintln!("SKIPPED: SKYSENSE_REAL_DATA is not set, so no published item was looked at");
    }
    folder
}

/// Published items as from their server: nothing in them may lead to this machine.
fn item(folder: &std::path::Path, name: &str) -> Item {
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    Item::from_json(
        value,
        &format!("https://catalog.example/{name}.json"),
        Root::Remote("https://catalog.example/".into()),
    )
    .unwrap()
}

fn resolved(item: &Item, sensors: &Sensors) -> Result<Scene, Refusal> {
    match sensors.of(item) {
        Some(sensor) => resolve(item, sensor, &Options::default()),
        None => Err(Refusal::NoSensor {
            item: item.id().into(),
            collection: item.collection().unwrap_or("none").into(),
            known: sensors.names().join(", "),
        }),
    }
}

#[test]
fn every_published_item_resolves_or_is_refused_for_the_right_reason() {
    assert_eq!(ITEMS.len(), 93);
    let Some(folder) = folder() else { return };
    let sensors = Sensors::builtin().unwrap();
    let mut wrong = Vec::new();
    for &(name, expected) in ITEMS {
        let found = resolved(&item(&folder, name), &sensors);
        let right = match (&found, expected) {
            (Ok(scene), _) => Some(scene.sensor.as_str()) == expected.sensor() && is_whole(scene),
            (Err(Refusal::NoSensor { .. }), NoSensor)
            | (Err(Refusal::Uncalibrated { .. }), Uncalibrated)
            | (Err(Refusal::Polarisation { .. }), Polarisation) => true,
            _ => false,
        };
        if !right {
            wrong.push(format!(
                "{name}: expected {expected:?}, found {}",
                found.map_or_else(
                    |r| r.to_string(),
                    |s| format!("{} {:?} missing {:?}", s.sensor, s.decision.sentence, s.missing)
                )
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ITEMS.len(), wrong.join("\n"));
}

/// All bands, each from the finest file and from a place that may be opened.
fn is_whole(scene: &Scene) -> bool {
    let fine = |name: &str| ["B02", "B03", "B04", "B08"].contains(&name);
    scene.missing.is_empty()
        && scene.bands.iter().all(|source| !fine(&source.band) || source.resolution.is_none_or(|size| size <= 10.0))
        && scene
            .bands
            .iter()
            .all(|source| skysense_catalog::Access::default().raster(&source.root, &source.href).is_ok())
}

#[test]
fn offsets_follow_the_truth_of_each_catalog() {
    let Some(folder) = folder() else { return };
    let sensors = Sensors::builtin().unwrap();
    for (name, offset, rule) in [
        ("e84v1-sentinel-2-l2a/S2A_31UDQ_20230617_0_L2A", 0.0, "applied"),
        ("e84v1-sentinel-2-l2a/S2A_28QCH_20200714_0_L2A", 0.0, "declared"),
        ("e84v1-sentinel-2-c1-l2a/S2A_T13TDE_20240405T175934_L2A", -0.1, "declared"),
        ("pc-sentinel-2-l2a/S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251", -0.1, "baseline"),
        ("pc-sentinel-2-l2a/S2A_MSIL2A_20150704T101006_R022_T35XQA_20210411T133707", 0.0, "baseline"),
        ("e84v0-sentinel-s2-l2a-cogs/S2A_17SPR_20221106_0_L2A", 0.0, "applied"),
        ("e84v0-sentinel-s2-l2a-cogs/S2A_31NBJ_20190524_0_L2A", 0.0, "baseline"),
        ("cdse-sentinel-2/S2C_MSIL2A_20260527T014651_N0512_R017_T55WFR_20260527T042005", -0.1, "declared"),
        ("cdse-sentinel-2/S2B_MSIL2A_20200322T074609_N0500_R135_T36NYH_20230612T214223", -0.1, "declared"),
        ("deafrica-s2-c1/S2B_T37MGP_20240710T073012_L2A", -0.1, "declared"),
    ] {
        let Some(&(name, _)) = ITEMS.iter().find(|(known, _)| known.starts_with(name)) else {
            panic!("{name} is not listed")
        };
        let scene = resolved(&item(&folder, name), &sensors).unwrap();
        assert_eq!(scene.decision.rule, rule, "{name}: {}", scene.decision.sentence);
        assert_eq!(
            scene.band("B04").unwrap().radiometry,
            Radiometry::Reflectance { scale: 1e-4, offset },
            "{name}: {}",
            scene.decision.sentence
        );
    }
}
