//! Planning: which dates of which scenes are read, onto which grid.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rayon::prelude::*;
use skysense_abi::{Fault, Host, Level, PlanInputs};
use skysense_catalog::{Area, Bbox, Modality, Scene, by_solar_day, deduplicate};

use super::chip_plan::{ChipPlan, PlannedDate, PlannedModality, PlannedPeriod};
use super::cost::{Costs, columns, costs, unit};
use super::dates::{Candidate, choose};
use super::gather::{Gathered, gather};
use super::inspect::{Inspected, inspect};
use super::opener::Opener;
use super::period::Length;
use super::segment::block_cache;
use super::target::{mostly_empty, target};
use crate::errors;
use crate::nodes::raster_chips::{ModalityName, Settings};
use crate::settings::OnError;

/// Threads that open files while planning: they wait for disks and servers.
const OPENERS: usize = 8;

/// Plans the chips.
///
/// # Errors
/// Every fault of the settings at once, then those of the items.
pub(crate) fn plan(settings: &Settings, inputs: &PlanInputs, host: &Host) -> Result<(ChipPlan, Costs), Vec<Fault>> {
    let (length, area) = check(settings, host)?;
    skysense_raster::setup(&block_cache()).map_err(|error| Fault::from(errors::raster(&error)))?;
    let mut gathered = gather(settings, inputs, host)?;
    let wanted = settings.bbox.map(Bbox).or_else(|| area.as_ref().map(Area::bbox));
    let field = if settings.area.is_some() { "/area" } else { "/bbox" };
    inside(&mut gathered.scenes, wanted.as_ref(), field)?;
    let days = days(std::mem::take(&mut gathered.scenes), wanted.as_ref(), host);
    let choose = |days: &[Candidates]| chosen(settings, length, days);
    let (periods, inspected) = select(settings.on_error, days, &gathered, host, &choose)?;
    let used: Vec<&Inspected> = inspected.values().filter(|found| uses(&periods, &found.scene.item)).collect();
    let geobox = target(settings, area.as_ref(), &used)?;
    let mut plan = ChipPlan {
        geobox,
        size: settings.size,
        overlap: settings.shared_pixels(),
        modalities: modalities(&gathered.bands, &used, settings.hr_scale)?,
        periods,
        hrefs: gathered.hrefs,
        columns: 1,
        mask: settings.mask,
        min_valid: settings.min_valid,
        resampling: settings.resampling,
        on_error: settings.on_error,
        access: gathered.access,
    };
    let scenes: BTreeSet<String> = plan.scenes().map(|scene| scene.item.clone()).collect();
    plan.hrefs.retain(|item, _| scenes.contains(item));
    let grid = plan.grid().map_err(|error| Fault::new("/overlap", "settings.invalid", error.to_string()))?;
    if wanted.is_some() {
        mostly_empty(&grid, &used, field)?;
    }
    plan.columns = columns(&plan, grid.columns());
    let probe_bytes = inspected.values().map(|found| found.probe_bytes).sum();
    let by_item = inspected.iter().map(|(item, found)| (item.clone(), found)).collect();
    let costs = costs(&plan, &by_item, probe_bytes);
    for scene in plan.scenes() {
        host.report("decision", &serde_json::json!({"what": "radiometry", "item": scene.item, "value": scene.decision.rule, "why": scene.decision.explained()}));
    }
    Ok((plan, costs))
}

/// Checks all that can be judged by the settings alone.
fn check(settings: &Settings, host: &Host) -> Result<(Length, Option<Area>), Vec<Fault>> {
    let mut faults = Vec::new();
    let mut wrong = |field: &str, message: String| faults.push(Fault::new(field, "settings.invalid", message));
    if !(settings.resolution.is_finite() && settings.resolution > 0.0) {
        wrong("/resolution", format!("resolution is {}, expected a positive number", settings.resolution));
    }
    if ![1, 32].contains(&settings.hr_scale) {
        wrong("/hr_scale", format!("hr_scale is {}, expected 1 or 32", settings.hr_scale));
    }
    if settings.size < 4 || settings.size > 4096 {
        wrong("/size", format!("size is {} px, expected 4 to 4096", settings.size));
    } else if 2 * settings.shared_pixels() >= settings.size {
        wrong(
            "/overlap",
            format!(
                "overlap is {} px, expected less than half of the size {}",
                settings.shared_pixels(),
                settings.size
            ),
        );
    }
    if !(0.0..=1.0).contains(&settings.min_valid) {
        wrong("/min_valid", format!("min_valid is {}, expected 0 to 1", settings.min_valid));
    }
    if settings.dates.max == 0 || settings.dates.hr == 0 {
        wrong("/dates", "a chip needs at least one date: max and hr are 1 or more".into());
    }
    if settings.bbox.is_some_and(|bbox| Bbox::from_slice(&bbox).is_none()) {
        wrong(
            "/bbox",
            format!("bbox is {:?}, expected [west, south, east, north] in degrees", settings.bbox.unwrap_or_default()),
        );
    }
    if settings.bbox.is_some() && settings.area.is_some() {
        wrong("/area", "bbox and area are both given: keep one".into());
    }
    let length = Length::parse(&settings.period);
    if let Err(message) = &length {
        wrong("/period", message.clone());
    }
    let area = settings.area.as_ref().map(|area| area.read("/area", &host.about().base)).transpose();
    match (length, area, faults.is_empty()) {
        (Ok(length), Ok(area), true) => Ok((length, area)),
        (_, Err(fault), _) => {
            faults.push(fault);
            Err(faults)
        }
        _ => Err(faults),
    }
}

/// Keeps the scenes that touch the wanted area.
fn inside(scenes: &mut Vec<Scene>, wanted: Option<&Bbox>, field: &str) -> Result<(), Vec<Fault>> {
    let Some(wanted) = wanted else { return Ok(()) };
    let covers: Vec<String> = scenes.iter().take(3).map(|scene| format!("{} {:?}", scene.item, scene.bbox.0)).collect();
    let count = scenes.len();
    scenes.retain(|scene| scene.bbox.intersects(wanted));
    if scenes.is_empty() {
        let message =
            format!("the area {:?} lies outside of all {count} items, such as {}", wanted.0, covers.join("; "));
        return Err(Fault::new(field, "area.outside", message)
            .hint("longitude comes first: [west, south, east, north]; or search items of this area")
            .into());
    }
    Ok(())
}

/// One date of one modality that may be used.
pub(crate) struct Candidates {
    pub(crate) modality: Modality,
    pub(crate) scenes: Vec<Scene>,
    coverage: f64,
}

impl Candidates {
    pub(crate) fn datetime(&self) -> DateTime<Utc> {
        self.scenes.iter().map(|scene| scene.datetime).min().unwrap_or_default()
    }

    fn candidate(&self) -> Candidate {
        let covers: Vec<f64> = self.scenes.iter().filter_map(|scene| scene.cloud_cover).collect();
        let cloud_cover = (!covers.is_empty()).then(|| covers.iter().sum::<f64>() / covers.len() as f64);
        Candidate { datetime: self.datetime(), cloud_cover, coverage: self.coverage }
    }
}

/// Scenes without duplicates, by solar day.
pub(crate) fn days(scenes: Vec<Scene>, wanted: Option<&Bbox>, host: &Host) -> Vec<Candidates> {
    let found = deduplicate(scenes);
    for (item, kept, reason) in &found.dropped {
        host.skipped(item, None, &format!("{reason}; {kept} is used"));
    }
    let mut days: Vec<Candidates> = by_solar_day(&found.kept)
        .into_iter()
        .map(|day| {
            let scenes: Vec<Scene> = day.scenes.iter().map(|&place| found.kept[place].clone()).collect();
            let coverage = scenes
                .iter()
                .map(|scene| wanted.map_or_else(|| size(&scene.bbox), |wanted| shared(&scene.bbox, wanted)))
                .sum();
            Candidates { modality: day.modality, scenes, coverage }
        })
        .collect();
    let whole = wanted.map(size).unwrap_or_else(|| days.iter().map(|day| day.coverage).fold(0.0, f64::max));
    for day in &mut days {
        day.coverage = if whole > 0.0 { (day.coverage / whole).min(1.0) } else { 1.0 };
    }
    days.sort_by_key(|day| (day.modality, day.datetime(), day.scenes.first().map(|scene| scene.item.clone())));
    days
}

fn size(bbox: &Bbox) -> f64 {
    shared(bbox, bbox)
}

/// Square degrees that two boxes share.
pub(crate) fn shared(a: &Bbox, b: &Bbox) -> f64 {
    let unwrap =
        |[west, south, east, north]: [f64; 4]| [west, south, if east < west { east + 360.0 } else { east }, north];
    let (a, b) = (unwrap(a.0), unwrap(b.0));
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let width = |shift: f64| ((a[2] + shift).min(b[2]) - (a[0] + shift).max(b[0])).max(0.0);
    height * [-360.0, 0.0, 360.0].into_iter().map(width).fold(0.0, f64::max)
}

/// What was chosen, and what was found in its files.
type Selected = (Vec<PlannedPeriod>, BTreeMap<String, Inspected>);

/// Chooses dates, opens their files, leaves out what cannot be used, and chooses again until all are good.
///
/// # Errors
/// A file that cannot be used, under `on_error: fail`; none that can be.
pub(crate) fn select(
    on_error: OnError,
    mut days: Vec<Candidates>,
    gathered: &Gathered,
    host: &Host,
    choose: &dyn Fn(&[Candidates]) -> Chosen,
) -> Result<Selected, Vec<Fault>> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(OPENERS)
        .build()
        .map_err(|error| Fault::new("", "runtime.threads", error.to_string()))?;
    let opener = Opener::new(gathered.access.clone());
    let mut inspected: BTreeMap<String, Inspected> = BTreeMap::new();
    let mut refusals = Vec::new();
    loop {
        let chosen = choose(&days);
        let used: BTreeSet<usize> = chosen.iter().flat_map(|(_, places)| places.values().flatten().copied()).collect();
        let open: Vec<&Scene> = used
            .iter()
            .flat_map(|&day| &days[day].scenes)
            .filter(|scene| !inspected.contains_key(&scene.item))
            .collect();
        if open.is_empty() {
            let periods = planned(&chosen, &days, &inspected);
            return if periods.is_empty() { Err(nothing_left(&refusals)) } else { Ok((periods, inspected)) };
        }
        let found: Vec<_> = pool.install(|| {
            open.par_iter().map(|scene| (scene.item.clone(), inspect((*scene).clone(), &opener, host))).collect()
        });
        let mut refused = BTreeSet::new();
        for (item, result) in found {
            match result {
                Ok(found) => {
                    inspected.insert(item, found);
                }
                Err(error) if on_error == OnError::Fail => return Err(Fault::from(error).into()),
                Err(error) => {
                    host.skipped_for(&item, error.place.get("asset").map(String::as_str), &error);
                    host.log(Level::Warn, format!("item {item} is left out: {}", error.message));
                    refusals.push(format!("item {item}: {}", error.message));
                    refused.insert(item);
                }
            }
        }
        for day in &mut days {
            day.scenes.retain(|scene| !refused.contains(&scene.item));
        }
        days.retain(|day| !day.scenes.is_empty());
    }
}

fn nothing_left(refusals: &[String]) -> Vec<Fault> {
    let told: Vec<&str> = refusals.iter().take(3).map(String::as_str).collect();
    let message = format!("no item is left that can be read: {}", told.join("; "));
    Fault::new("", "items.unreadable", message).hint("check the files that the catalog names").into()
}

/// Periods, each with the days of each modality, by number.
pub(crate) type Chosen = Vec<(skysense_edges::Period, BTreeMap<Modality, Vec<usize>>)>;

/// The days of each period. High-resolution images are few: each period takes those nearest to it.
fn chosen(settings: &Settings, length: Length, days: &[Candidates]) -> Chosen {
    let series: Vec<usize> = (0..days.len()).filter(|&day| days[day].modality != Modality::Hr).collect();
    let alone = series.is_empty();
    let moments: Vec<usize> = if alone { (0..days.len()).collect() } else { series };
    let datetimes: Vec<DateTime<Utc>> = moments.iter().map(|&day| days[day].datetime()).collect();
    let mut periods = Vec::new();
    for (period, places) in length.split(&datetimes) {
        let mut dates: BTreeMap<Modality, Vec<usize>> = BTreeMap::new();
        for place in places {
            dates.entry(days[moments[place]].modality).or_default().push(moments[place]);
        }
        if !alone {
            let middle = dates.values().flatten().map(|&day| days[day].datetime().timestamp()).sum::<i64>()
                / dates.values().map(Vec::len).sum::<usize>().max(1) as i64;
            let mut images: Vec<usize> = (0..days.len()).filter(|&day| days[day].modality == Modality::Hr).collect();
            if length != Length::All {
                images.sort_by_key(|&day| (days[day].datetime().timestamp().abs_diff(middle), day));
                images.truncate(settings.dates.hr);
            }
            if !images.is_empty() {
                dates.insert(Modality::Hr, images);
            }
        }
        for (modality, places) in &mut dates {
            let candidates: Vec<Candidate> = places.iter().map(|&day| days[day].candidate()).collect();
            let most = if *modality == Modality::Hr { settings.dates.hr } else { settings.dates.max };
            *places = choose(&candidates, most, settings.dates.prefer).into_iter().map(|place| places[place]).collect();
        }
        periods.push((period, dates));
    }
    periods
}

fn planned(chosen: &Chosen, days: &[Candidates], inspected: &BTreeMap<String, Inspected>) -> Vec<PlannedPeriod> {
    let date = |&day: &usize| PlannedDate {
        datetime: days[day].datetime().timestamp_millis(),
        scenes: days[day]
            .scenes
            .iter()
            .filter_map(|scene| inspected.get(&scene.item))
            .map(|found| found.scene.clone())
            .collect(),
    };
    let period = |(period, dates): &(skysense_edges::Period, BTreeMap<Modality, Vec<usize>>)| PlannedPeriod {
        period: period.clone(),
        dates: dates.iter().map(|(modality, days)| (*modality, days.iter().map(date).collect())).collect(),
    };
    chosen.iter().map(period).collect()
}

pub(crate) fn uses(periods: &[PlannedPeriod], item: &str) -> bool {
    periods
        .iter()
        .flat_map(|period| period.dates.values().flatten())
        .flat_map(|date| &date.scenes)
        .any(|scene| scene.item == item)
}

/// The modalities that are left, in the order of the columns.
pub(crate) fn modalities(
    bands: &BTreeMap<ModalityName, Vec<String>>,
    used: &[&Inspected],
    hr_scale: usize,
) -> Result<Vec<PlannedModality>, Vec<Fault>> {
    let mut all = Vec::new();
    for (setting, modality) in
        [(ModalityName::Hr, Modality::Hr), (ModalityName::S2, Modality::S2), (ModalityName::S1, Modality::S1)]
    {
        let of: Vec<&&Inspected> = used.iter().filter(|found| found.scene.modality == modality).collect();
        let (Some(bands), false) = (bands.get(&setting), of.is_empty()) else { continue };
        let sensors: BTreeSet<&str> = of.iter().map(|found| found.scene.sensor.as_str()).collect();
        let (dtype, unit) = unit(modality);
        all.push(PlannedModality {
            modality,
            sensor: sensors.into_iter().collect::<Vec<_>>().join(", "),
            bands: bands.clone(),
            dtype,
            unit: unit.into(),
            scale: if modality == Modality::Hr { hr_scale } else { 1 },
            stretch: stretch(bands, &of)?,
        });
    }
    Ok(all)
}

/// One range for all images of a run: bytes as they are, wider values from the lowest percentile 1 to the
/// highest percentile 99.
fn stretch(bands: &[String], used: &[&&Inspected]) -> Result<Option<Vec<(f64, f64)>>, Vec<Fault>> {
    let wide = used.iter().filter(|found| !found.ranges.is_empty()).count();
    if wide == 0 {
        return Ok(None);
    }
    if wide < used.len() {
        let names: Vec<&str> = used
            .iter()
            .filter(|found| found.ranges.is_empty())
            .map(|found| found.scene.item.as_str())
            .take(3)
            .collect();
        let message = format!(
            "some high-resolution images hold bytes ({}) and others wider values: they cannot be brought to one range",
            names.join(", ")
        );
        return Err(Fault::new("", "items.mixed", message)
            .hint("search one collection of high-resolution images at a time")
            .into());
    }
    let range = |band: &String| {
        let ranges = used.iter().filter_map(|found| found.ranges.get(band));
        ranges.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), range| (low.min(range.0), high.max(range.1)))
    };
    Ok(Some(bands.iter().map(range).map(|(low, high)| if low < high { (low, high) } else { (0.0, 255.0) }).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_share_area_across_the_antimeridian() {
        assert_eq!(shared(&Bbox([0.0, 0.0, 2.0, 1.0]), &Bbox([1.0, 0.0, 5.0, 1.0])), 1.0);
        assert_eq!(shared(&Bbox([179.0, 0.0, -179.0, 1.0]), &Bbox([-180.0, 0.0, -170.0, 1.0])), 1.0);
        assert_eq!(shared(&Bbox([0.0, 0.0, 1.0, 1.0]), &Bbox([5.0, 0.0, 6.0, 1.0])), 0.0);
    }
}
