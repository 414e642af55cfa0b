//! From the description to the folder: draws every item, writes it, and puts the catalog on top.

use std::path::Path;

use chrono::{DateTime, Duration, NaiveDate, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skysense_grid::GeoBox;
use skysense_raster::{Content, DType};

use crate::folder::Folder;
use crate::ground::{BLOCK, Looks, Spot, spots};
use crate::landscape::Landscape;
use crate::layout::{Granule, Layout, Placement, days, moisture};
use crate::noise::hash;
use crate::objects::{coco, dota, geojson, objects};
use crate::optical::AT_10_M;
use crate::signature::BANDS;
use crate::sky::{Sky, Sun, cloud_shares};
use crate::stac::{self, Place};
use crate::write::Raster;
use crate::{CLASSES, Result, SceneSpec, aerial, optical, radar};

/// Fill value of the radar rasters; no pixel of a simulated scene has it.
const RADAR_NODATA: f64 = -32_768.0;

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneReport {
    /// The catalog, inside the folder that was asked for.
    pub catalog: String,
    /// Hrefs of the items in that folder, by collection.
    pub items: std::collections::BTreeMap<String, Vec<String>>,
    /// The 10 m grid of the labels.
    pub grid: GeoBox,
    /// The 0.3125 m grid, where high resolution was asked for.
    pub hr_grid: Option<GeoBox>,
    /// West, south, east, north in degrees.
    pub bbox: [f64; 4],
    /// The same of the high-resolution image.
    pub hr_bbox: Option<[f64; 4]>,
    /// Sentinel-2 dates in order.
    pub dates: Vec<DateReport>,
    /// Classes of the true map.
    pub classes: Vec<ClassReport>,
    /// Rasters written.
    pub rasters: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// One Sentinel-2 date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DateReport {
    /// Moment of acquisition, UTC.
    pub datetime: String,
    /// Processing baseline.
    pub baseline: String,
    /// Offset of the reflectance that the items declare.
    pub offset: f64,
    /// Share of the scene under cloud in percent, as the scene classification has it.
    pub cloud_percent: f64,
}

/// One class of the true map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Pixel value.
    pub value: u8,
    /// Name.
    pub name: String,
    /// Colour as `rrggbb`.
    pub color: String,
    /// Share of the scene, 0 to 1.
    pub share: f64,
}

/// Writes the scene into `out`, which must be new or empty unless the description says `replace`.
///
/// The folder appears whole or not at all: it is written beside its place and renamed.
///
/// # Errors
/// A description out of range, a folder that holds something else, or a file that cannot be written.
pub fn simulate(spec: &SceneSpec, out: impl AsRef<Path>) -> Result<SceneReport> {
    spec.check()?;
    let layout = Layout::new(spec)?;
    let landscape = Landscape::new(spec, layout.area.bounds());
    let mut folder = Folder::begin(out.as_ref(), spec.replace)?;
    let mut studio = Studio { spec, layout: &layout, landscape: &landscape, folder: &mut folder };
    let dates = studio.optical()?;
    studio.radar()?;
    studio.aerial()?;
    let classes = studio.labels()?;
    if spec.cover {
        studio.cover()?;
    }
    if spec.changed > 0.0 {
        let built = landscape.built(spec.changed);
        // Another sky and other days than a year before.
        let later = SceneSpec { year: spec.year + 1, seed: hash(spec.seed, 0x1a7e, 1), ..spec.clone() };
        let mut studio = Studio { spec: &later, layout: &layout, landscape: &built, folder: &mut folder };
        studio.optical()?;
        studio.radar()?;
        studio.labels()?;
        studio.changes(&landscape, spec.year)?;
    }
    folder.catalog(&format!("{} x {} m, seed {}", spec.size * 10, spec.size * 10, spec.seed))?;
    let (items, rasters, bytes) = (folder.items(), folder.rasters, folder.bytes()?);
    let catalog = folder.finish()?;
    let bbox_of = |geobox| Place::of(geobox).map(|place| place.bbox());
    let (bbox, hr_bbox) = (bbox_of(&layout.area)?, layout.hr.as_ref().map(bbox_of).transpose()?);
    Ok(SceneReport {
        catalog,
        items,
        grid: layout.area,
        hr_grid: layout.hr,
        bbox,
        hr_bbox,
        dates,
        classes,
        rasters,
        bytes,
    })
}

/// Draws one scene into one folder.
struct Studio<'a> {
    spec: &'a SceneSpec,
    layout: &'a Layout,
    landscape: &'a Landscape,
    folder: &'a mut Folder,
}

impl Studio<'_> {
    fn optical(&mut self) -> Result<Vec<DateReport>> {
        let spec = self.spec;
        let shares = cloud_shares(spec.seed, spec.dates, spec.cloud);
        let mut reports = Vec::new();
        for (index, (day, share)) in days(spec, spec.dates, 2)?.into_iter().zip(shares).enumerate() {
            let when = self.moment(day, 10.5);
            let sun = Sun::new(self.layout.center.1, f64::from(day), 10.5);
            let sky = Sky::new(hash(spec.seed, 0x5c1, i64::from(day)), self.layout.area.bounds(), share, sun);
            // Every other date as the archive held it before baseline 04.00, the rest as it was reprocessed since.
            let (baseline, offset, added) = if index % 2 == 0 { ("03.01", 0.0, 0) } else { ("05.00", -0.1, 1000) };
            let (mut cloudy, mut cells) = (0, 0);
            for (position, granule) in self.layout.granules.iter().enumerate() {
                let name = format!(
                    "S2{}_SIM_{}_{}",
                    if index % 2 == 0 { 'A' } else { 'B' },
                    granule.name,
                    when.format("%Y%m%dT%H%M%S")
                );
                let acquisition = optical::Acquisition {
                    seed: spec.seed,
                    item_seed: hash(spec.seed, 0x0b71 + position as i64, i64::from(day)),
                    day: f64::from(day),
                    moisture: moisture(spec.seed, day),
                    sky: &sky,
                    added,
                };
                let coarse = GeoBox::new(
                    granule.geobox.crs.clone(),
                    granule.geobox.transform.scaled(2.0),
                    granule.geobox.width / 2,
                    granule.geobox.height / 2,
                )?;
                let counts = self.draw_optical(&name, granule, &coarse, &acquisition)?;
                (cloudy, cells) = (cloudy + counts.0, cells + counts.1);
                let about = stac::Optical {
                    id: &name,
                    granule: &granule.name,
                    datetime: &stamp(when + Duration::seconds(3 * position as i64)),
                    platform: if index % 2 == 0 { "sentinel-2a" } else { "sentinel-2b" },
                    baseline,
                    offset,
                    cloud_percent: percent(counts.0, counts.1),
                    sun,
                };
                let place = Place::of(&granule.geobox)?;
                self.folder.item(stac::SENTINEL_2_L2A, &name, &stac::optical_item(&place, &coarse, &about))?;
            }
            reports.push(DateReport {
                datetime: stamp(when),
                baseline: baseline.into(),
                offset,
                cloud_percent: percent(cloudy, cells),
            });
        }
        Ok(reports)
    }

    /// Writes the rasters of one granule and date; gives the numbers of cloudy and of all cells.
    fn draw_optical(
        &mut self,
        name: &str,
        granule: &Granule,
        coarse: &GeoBox,
        acquisition: &optical::Acquisition<'_>,
    ) -> Result<(usize, usize)> {
        let mut writers = Vec::new();
        for (band, fine) in BANDS.iter().zip(AT_10_M) {
            let path = self.folder.raster(stac::SENTINEL_2_L2A, name, band)?;
            let geobox = if fine { &granule.geobox } else { coarse };
            writers.push(Raster::create(&path, geobox, &[*band], DType::UInt16, Some(0.0), Content::Values)?);
        }
        let path = self.folder.raster(stac::SENTINEL_2_L2A, name, "SCL")?;
        let mut scl = Raster::create(&path, coarse, &["SCL"], DType::UInt8, Some(0.0), Content::Classes)?;
        let placement = Placement::new(&granule.geobox, granule.zone, self.layout.zone);
        let (mut cloudy, mut cells) = (0, 0);
        for (first, rows) in blocks(granule.geobox.height) {
            let ground = spots(self.landscape, &placement, &granule.geobox, first, rows);
            let block = acquisition.draw(&ground, granule.geobox.width, first);
            for (writer, values) in writers.iter_mut().zip(&block.bands) {
                writer.rows(&[values.as_slice()])?;
            }
            cloudy += block.scl.iter().filter(|code| matches!(code, 8..=10)).count();
            cells += block.scl.len();
            scl.rows(&[block.scl.as_slice()])?;
        }
        writers.into_iter().try_for_each(Raster::finish)?;
        scl.finish()?;
        Ok((cloudy, cells))
    }

    fn radar(&mut self) -> Result<()> {
        let spec = self.spec;
        let (zone, area) = (self.layout.zone, &self.layout.area);
        for (index, day) in days(spec, spec.radar_dates, 3)?.into_iter().enumerate() {
            let ascending = index % 2 == 0;
            let when = self.moment(day, if ascending { 17.4 } else { 5.6 });
            let name = format!("S1A_SIM_RTC_{}", when.format("%Y%m%dT%H%M%S"));
            let acquisition = radar::Acquisition {
                seed: spec.seed,
                item_seed: hash(spec.seed, 0x5a8, i64::from(day)),
                day: f64::from(day),
                moisture: moisture(spec.seed, day),
            };
            let mut writers = Vec::new();
            for band in ["VV", "VH"] {
                let path = self.folder.raster(stac::SENTINEL_1_RTC, &name, band)?;
                writers.push(Raster::create(
                    &path,
                    area,
                    &[band],
                    DType::Float32,
                    Some(RADAR_NODATA),
                    Content::Values,
                )?);
            }
            let placement = Placement::new(area, zone, zone);
            for (first, rows) in blocks(area.height) {
                let ground = spots(self.landscape, &placement, area, first, rows);
                for (writer, values) in writers.iter_mut().zip(&acquisition.draw(&ground, area.width, first)) {
                    writer.rows(&[values.as_slice()])?;
                }
            }
            writers.into_iter().try_for_each(Raster::finish)?;
            let about = stac::Radar {
                id: &name,
                datetime: &stamp(when),
                platform: "sentinel-1a",
                ascending,
                nodata: RADAR_NODATA,
            };
            self.folder.item(stac::SENTINEL_1_RTC, &name, &stac::radar_item(&Place::of(area)?, &about))?;
        }
        Ok(())
    }

    fn aerial(&mut self) -> Result<()> {
        let Some(geobox) = &self.layout.hr else { return Ok(()) };
        // Flown in early summer, when orthophotos are taken and fields differ most.
        let day = 160.clamp(self.spec.season[0], self.spec.season[1]);
        let when = self.moment(day, 11.5);
        let name = format!("AERIAL_SIM_{}", when.format("%Y%m%d"));
        let placed = objects(self.spec.objects, self.spec.seed, geobox)?;
        let flight = aerial::Flight {
            landscape: self.landscape,
            seed: self.spec.seed,
            day: f64::from(day),
            moisture: moisture(self.spec.seed, day),
            objects: &placed,
        };
        let path = self.folder.raster(stac::AERIAL, &name, "image")?;
        let mut writer = Raster::create(&path, geobox, &["red", "green", "blue"], DType::UInt8, None, Content::Values)?;
        let placement = Placement::new(geobox, self.layout.zone, self.layout.zone);
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
        for (first, rows) in blocks(geobox.height) {
            let mut lines: Vec<Option<[Vec<u8>; 3]>> = vec![None; rows];
            let share = rows.div_ceil(workers);
            std::thread::scope(|scope| {
                for (part, lines) in lines.chunks_mut(share).enumerate() {
                    let (flight, placement) = (&flight, &placement);
                    scope.spawn(move || {
                        for (offset, line) in lines.iter_mut().enumerate() {
                            *line = Some(flight.draw(placement, geobox.width, first + part * share + offset));
                        }
                    });
                }
            });
            let mut bands = [Vec::new(), Vec::new(), Vec::new()];
            for line in lines.into_iter().flatten() {
                bands.iter_mut().zip(line).for_each(|(band, values)| band.extend(values));
            }
            writer.rows(&bands.each_ref().map(Vec::as_slice))?;
        }
        writer.finish()?;
        let place = Place::of(geobox)?;
        self.folder.item(stac::AERIAL, &name, &stac::aerial_item(&place, &name, &stamp(when)))?;
        if placed.is_empty() {
            return Ok(());
        }
        let own = format!("OBJECTS_SIM_{}", self.spec.year);
        let write = |folder: &mut Folder, file: &str, text: String| folder.text(stac::OBJECTS, &own, file, &text);
        write(self.folder, "objects.geojson", format!("{:#}\n", geojson(&placed, self.layout.zone)))?;
        let coco = coco(&placed, geobox, &format!("{name}/image.tif"))?;
        write(self.folder, "coco.json", format!("{coco:#}\n"))?;
        write(self.folder, &format!("{name}.txt"), dota(&placed, geobox)?)?;
        self.folder.item(stac::OBJECTS, &own, &stac::objects_item(&place, &own, &name, &stamp(when)))
    }

    fn labels(&mut self) -> Result<Vec<ClassReport>> {
        let (zone, area) = (self.layout.zone, &self.layout.area);
        let name = format!("LABELS_SIM_{}", self.spec.year);
        let path = self.folder.raster(stac::LABELS, &name, "labels")?;
        let classes: Vec<_> = CLASSES.iter().map(|class| (class.value, class.name, class.color)).collect();
        let mut writer = Raster::create_map(&path, area, &classes)?;
        let placement = Placement::new(area, zone, zone);
        let mut counts = [0usize; 256];
        for (first, rows) in blocks(area.height) {
            let mut values = Vec::with_capacity(rows * area.width);
            for row in first..first + rows {
                let places = placement.row(row as i64);
                values.extend(
                    places[1..=area.width].iter().map(|&(x, y)| self.landscape.at(x, y).material.class_value()),
                );
            }
            values.iter().for_each(|&value| counts[usize::from(value)] += 1);
            writer.rows(&[values.as_slice()])?;
        }
        writer.finish()?;
        self.folder.item(stac::LABELS, &name, &stac::labels_item(&Place::of(area)?, &name, self.spec.year))?;
        let total = (area.width * area.height) as f64;
        let report = |class: &crate::Class| ClassReport {
            value: class.value,
            name: class.name.into(),
            color: class.color.into(),
            share: counts[usize::from(class.value)] as f64 / total,
        };
        Ok(CLASSES.iter().filter(|class| self.spec.has(class.value)).map(report).collect())
    }

    /// What is another class than it was before.
    fn changes(&mut self, before: &Landscape, year: i32) -> Result<()> {
        let (zone, area) = (self.layout.zone, &self.layout.area);
        let name = format!("CHANGES_SIM_{year}");
        let path = self.folder.raster(stac::CHANGES, &name, "changes")?;
        let mut writer = Raster::create_map(&path, area, &stac::CHANGE_CLASSES)?;
        let placement = Placement::new(area, zone, zone);
        for (first, rows) in blocks(area.height) {
            let mut values = Vec::with_capacity(rows * area.width);
            for row in first..first + rows {
                let class = |landscape: &Landscape, (x, y)| landscape.at(x, y).material.class_value();
                let places = placement.row(row as i64);
                let changed = |place: &(f64, f64)| class(before, *place) != class(self.landscape, *place);
                values.extend(places[1..=area.width].iter().map(|place| 1 + u8::from(changed(place))));
            }
            writer.rows(&[values.as_slice()])?;
        }
        writer.finish()?;
        self.folder.item(stac::CHANGES, &name, &stac::changes_item(&Place::of(area)?, &name, year))
    }

    /// The share of green ground on the first of July, of pixels as the sensors see them.
    fn cover(&mut self) -> Result<()> {
        const JULY: u32 = 182;
        let (zone, area, spec) = (self.layout.zone, &self.layout.area, self.spec);
        let name = format!("COVER_SIM_{}", spec.year);
        let path = self.folder.raster(stac::COVER, &name, "cover")?;
        let nodata = Some(RADAR_NODATA);
        let mut writer = Raster::create(&path, area, &["cover"], DType::Float32, nodata, Content::Values)?;
        let placement = Placement::new(area, zone, zone);
        let mut looks = Looks::new(f64::from(JULY), moisture(spec.seed, JULY));
        for (first, rows) in blocks(area.height) {
            let ground = spots(self.landscape, &placement, area, first, rows);
            let mut green = |spot: &Spot| (100.0 * spot.mix(&mut looks, |look| [look.green()])[0]) as f32;
            let values: Vec<f32> = ground.iter().map(&mut green).collect();
            writer.rows(&[values.as_slice()])?;
        }
        writer.finish()?;
        let when = stamp(self.moment(JULY, 12.0));
        let item = stac::cover_item(&Place::of(area)?, &name, &when, RADAR_NODATA);
        self.folder.item(stac::COVER, &name, &item)
    }

    /// A day of the scene's year at an hour of local solar time, in UTC.
    fn moment(&self, day: u32, hour: f64) -> DateTime<Utc> {
        let midnight = NaiveDate::from_yo_opt(self.spec.year, day).unwrap_or_default().and_time(chrono::NaiveTime::MIN);
        let seconds = ((hour - self.layout.center.0 / 15.0) * 3600.0).round() as i64;
        Utc.from_utc_datetime(&midnight) + Duration::seconds(seconds)
    }
}

/// First row and number of rows of each block.
fn blocks(height: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height).step_by(BLOCK).map(move |first| (first, BLOCK.min(height - first)))
}

fn percent(part: usize, whole: usize) -> f64 {
    (10_000.0 * part as f64 / whole.max(1) as f64).round() / 100.0
}

fn stamp(when: DateTime<Utc>) -> String {
    when.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Bounding box and interval of items that were written as JSON.
pub(crate) fn extent<'a>(items: impl Iterator<Item = &'a Value>) -> ([f64; 4], [String; 2]) {
    let mut bbox: Option<[f64; 4]> = None;
    let mut interval: Option<[String; 2]> = None;
    for item in items {
        let own: [f64; 4] = std::array::from_fn(|index| item["bbox"][index].as_f64().unwrap_or_default());
        bbox = Some(bbox.map_or(own, |all| union(all, own)));
        let properties = &item["properties"];
        let text =
            |key: &str| properties[key].as_str().or(properties["datetime"].as_str()).unwrap_or_default().to_owned();
        let (start, end) = (text("start_datetime"), text("end_datetime"));
        interval = Some(match interval {
            None => [start, end],
            Some([first, last]) => [first.min(start), last.max(end)],
        });
    }
    (bbox.unwrap_or_default(), interval.unwrap_or_default())
}

/// The smallest box that holds two boxes in degrees, which lie within half a globe of each other, as those of one scene
/// do; west is greater than east where it crosses the antimeridian.
fn union(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    let turned = |longitude: f64| a[0] + (longitude - a[0] + 180.0).rem_euclid(360.0) - 180.0;
    let (west, east) = (a[0].min(turned(b[0])), turned(a[2]).max(turned(b[2])));
    // Only what left the range is turned back, so that a box that touches the edge keeps it.
    let back = |longitude: f64| match longitude {
        x if x < -180.0 => x + 360.0,
        x if x > 180.0 => x - 360.0,
        x => x,
    };
    [back(west), a[1].min(b[1]), back(east), a[3].max(b[3])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_joined_across_the_antimeridian() {
        assert_eq!(union([10.0, 1.0, 11.0, 2.0], [10.5, 0.0, 12.0, 1.5]), [10.0, 0.0, 12.0, 2.0]);
        assert_eq!(union([179.0, 0.0, 179.75, 1.0], [179.5, 0.0, -179.5, 1.0]), [179.0, 0.0, -179.5, 1.0]);
        assert_eq!(union([-179.5, 0.0, -179.0, 1.0], [179.5, 0.0, -179.25, 1.0]), [179.5, 0.0, -179.0, 1.0]);
        assert_eq!(union([179.5, 0.0, 180.0, 1.0], [179.0, 0.0, 179.5, 1.0]), [179.0, 0.0, 180.0, 1.0]);
    }
}
