//! What a plan pins for the run: the scenes and how they are put together.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use skysense_abi::{Fault, Host, PlanInputs};
use skysense_catalog::{Bbox, Modality};
use skysense_edges::{LocationBatch, LocationFacts, ModalityFacts, Period, PlaceRow, SampleFacts, SampleSchema};
use skysense_grid::GeoBox;

use super::cost::costs;
use super::pairing::{Days, Pairing};
use crate::chips::{self, Candidates, ChipPlan, Costs, Inspected, block_cache, gather, modalities, select, uses};
use crate::errors;
use crate::nodes::raster_chips::Settings as Reading;

/// Everything that a run needs beside the places.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SamplePlan {
    /// How pixels are read, and every date in one period. Its grid is that of the first place; each is read on its own.
    pub(crate) chips: ChipPlan,
    pub(crate) pairing: Pairing,
    /// Most samples.
    pub(crate) samples: usize,
    pub(crate) resolution: f64,
}

impl SamplePlan {
    /// Facts of the sample edge.
    pub(crate) fn facts(&self) -> SampleFacts {
        let chips = self.chips.facts();
        let of = |(name, facts): (String, ModalityFacts)| {
            let most = if name == Modality::Hr.name() { 1 } else { self.pairing.max.min(facts.dates) };
            (name, ModalityFacts { dates: most, ..facts })
        };
        SampleFacts {
            samples: self.samples,
            size: self.chips.size,
            resolution: self.resolution,
            modalities: chips.modalities.into_iter().map(of).collect(),
            items: chips.items,
            decisions: chips.decisions,
        }
    }

    /// Columns of the sample edge.
    pub(crate) fn schema(&self) -> SampleSchema {
        SampleSchema { modalities: self.chips.schema().modalities }
    }
}

/// Plans samples at places.
///
/// # Errors
/// Places that are not known while planning, items that cannot be used, and places that no item shows.
pub(crate) fn plan(
    reading: &Reading,
    pairing: Pairing,
    inputs: &PlanInputs,
    host: &Host,
) -> Result<(SamplePlan, Costs), Vec<Fault>> {
    skysense_raster::setup(&block_cache()).map_err(|error| Fault::from(errors::raster(&error)))?;
    let (facts, places) = places(inputs)?;
    let boxes: Vec<Bbox> = places.iter().map(|place| around(&place.grid)).collect::<Result<_, _>>()?;
    let mut gathered = gather(reading, inputs, host)?;
    let days = chips::days(std::mem::take(&mut gathered.scenes), None, host);
    // Which days any place uses; files of the others are not opened.
    let choose = |days: &[Candidates]| {
        let table = Days::new(days.iter().map(|day| (day.modality, day.scenes.as_slice())));
        let mut used: BTreeMap<Modality, BTreeSet<usize>> = BTreeMap::new();
        for picked in boxes.iter().flat_map(|place| pairing.pick(place, &table)) {
            for (modality, dates) in picked.dates {
                used.entry(modality).or_default().extend(dates.into_iter().map(|(day, _)| day));
            }
        }
        if used.is_empty() {
            return Vec::new();
        }
        let moments = used.values().flatten().map(|&day| days[day].datetime());
        let ends =
            [moments.clone().min(), moments.max()].map(|at| skysense_catalog::format_datetime(at.unwrap_or_default()));
        let [start, end] = ends;
        let dates = used.into_iter().map(|(modality, days)| (modality, days.into_iter().collect())).collect();
        vec![(Period { name: "all".into(), start, end }, dates)]
    };
    if choose(&days).is_empty() {
        return Err(nowhere(&pairing));
    }
    let (periods, inspected) = select(reading.on_error, days, &gathered, host, &choose)?;
    let used: Vec<&Inspected> = inspected.values().filter(|found| uses(&periods, &found.scene.item)).collect();
    let grid = places.first().map(|place| place.grid.clone()).ok_or_else(|| nowhere(&pairing))?;
    let mut chips = ChipPlan {
        geobox: grid,
        size: facts.size,
        overlap: 0,
        modalities: modalities(&gathered.bands, &used, reading.hr_scale)?,
        periods,
        hrefs: gathered.hrefs,
        columns: 1,
        mask: reading.mask,
        min_valid: reading.min_valid,
        resampling: reading.resampling,
        on_error: reading.on_error,
        access: gathered.access,
    };
    let scenes: BTreeSet<String> = chips.scenes().map(|scene| scene.item.clone()).collect();
    chips.hrefs.retain(|item, _| scenes.contains(item));
    let mut plan = SamplePlan { chips, pairing, samples: 0, resolution: facts.resolution };
    let table = plan.days();
    let picked = boxes.iter().map(|place| plan.pairing.pick(place, &table));
    let costs = costs(&plan, picked, &inspected);
    plan.samples = costs.1;
    for scene in plan.chips.scenes() {
        host.report("decision", &serde_json::json!({"what": "radiometry", "item": scene.item, "value": scene.decision.rule, "why": scene.decision.explained()}));
    }
    Ok((plan, costs.0))
}

impl SamplePlan {
    /// The planned dates of all modalities one after the other, to be asked by place.
    pub(crate) fn days(&self) -> Days {
        Days::new(self.dates().map(|(modality, date)| (modality, date.scenes.as_slice())))
    }

    /// The planned dates in the order of [`SamplePlan::days`].
    pub(crate) fn dates(&self) -> impl Iterator<Item = (Modality, &chips::PlannedDate)> {
        let periods = self.chips.periods.iter().flat_map(|period| &period.dates);
        periods.flat_map(|(modality, dates)| dates.iter().map(|date| (*modality, date)))
    }
}

/// The places that the port gives.
fn places(inputs: &PlanInputs) -> Result<(LocationFacts, Vec<PlaceRow>), Vec<Fault>> {
    let input = inputs.require("locations")?;
    let facts = serde_json::from_value(input.facts.clone()).map_err(|error| {
        Fault::new("", "facts.invalid", format!("the facts of the places cannot be read: {error}"))
            .hint("connect sample.locations")
    })?;
    let unknown = || {
        Fault::new("", "places.unknown", "the places are not known while planning")
            .hint("connect sample.locations, which knows them")
    };
    let mut places = Vec::new();
    for batch in input.rows.as_ref().ok_or_else(unknown)? {
        let batch = LocationBatch::try_new(batch).map_err(|error| Fault::from(errors::edge(&error)))?;
        for place in batch.rows() {
            places.push(place.map_err(|error| Fault::from(errors::edge(&error)))?);
        }
    }
    Ok((facts, places))
}

/// The box around a place in degrees.
pub(crate) fn around(grid: &GeoBox) -> Result<Bbox, Fault> {
    let outline = skysense_raster::footprint(grid).map_err(|error| Fault::from(errors::raster(&error)))?;
    Ok(Bbox(outline.bbox))
}

/// No place has a sample.
fn nowhere(pairing: &Pairing) -> Vec<Fault> {
    let names: Vec<&str> = pairing.require.iter().map(|modality| modality.name()).collect();
    let window = pairing.window.map_or_else(|| "any time".to_owned(), |days| format!("{days} days"));
    let message = format!(
        "no place has a sample: none lies on items{} within {window} of each other",
        if names.is_empty() { String::new() } else { format!(" of {}", names.join(" and ")) }
    );
    Fault::new("/window", "samples.none", message)
        .hint("widen `window`, require fewer modalities, or draw places where there are items")
        .into()
}
