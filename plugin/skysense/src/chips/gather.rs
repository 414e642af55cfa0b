//! From the rows of item edges to scenes with bound bands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use skysense_abi::{Fault, Host, Level, PlanInput, PlanInputs};
use skysense_catalog::{Access, Item, MaskRule, Options, Root, Scene, Sensor, Sensors, resolve};
use skysense_edges::{ItemBatch, ItemFacts, ItemRow};

use crate::credentials;
use crate::errors;
use crate::nodes::raster_chips::{BandRule, Bands, MaskSetting, ModalityName, Settings};
use crate::nodes::stac_search::sensors;
use crate::settings::{OnError, did_you_mean};

/// Snow and ice in the scene classification of Sentinel-2.
const SCL_SNOW: i64 = 11;

/// What the inputs hold.
pub(crate) struct Gathered {
    /// Scenes that can be used, in the order of the rows.
    pub(crate) scenes: Vec<Scene>,
    /// Where each item lies.
    pub(crate) hrefs: BTreeMap<String, String>,
    /// Bands of each modality, in order.
    pub(crate) bands: BTreeMap<ModalityName, Vec<String>>,
    /// Local folders that hrefs may reach.
    pub(crate) access: Access,
}

/// Resolves the items of all ports.
///
/// # Errors
/// Items that are not known while planning, or none that can be used: then every refusal is told.
pub(crate) fn gather(settings: &Settings, inputs: &PlanInputs, host: &Host) -> Result<Gathered, Vec<Fault>> {
    let (mut mapping, mut rows, mut paths) = (BTreeMap::new(), Vec::new(), Vec::new());
    for input in [Some(inputs.require("items")?), inputs.get("also")].into_iter().flatten() {
        let facts: ItemFacts = serde_json::from_value(input.facts.clone()).unwrap_or_default();
        mapping.extend(facts.sensors);
        paths.extend(facts.allow_paths.into_iter().map(Into::into));
        rows.extend(item_rows(input)?);
    }
    known_collections(settings, &mapping, &rows)?;
    mapping.extend(settings.sensors.clone());
    let sensors = sensors(&mapping, host)?;
    let (mut scenes, mut hrefs, mut refusals): (Vec<(Scene, &Sensor)>, _, _) =
        (Vec::new(), BTreeMap::new(), Vec::new());
    for row in &rows {
        match scene(row, &sensors, settings) {
            Ok(Some((scene, sensor, href))) => {
                hrefs.extend(href.map(|href| (scene.item.clone(), href)));
                scenes.push((scene, sensor));
            }
            Ok(None) => {}
            Err(reason) => refusals.push((row.id.clone(), reason)),
        }
    }
    let bands = bands(settings, &scenes)?;
    scenes.retain(|(scene, _)| match lacking(scene, &bands) {
        None => true,
        Some(lacking) => {
            refusals.push((scene.item.clone(), format!("band(s) {lacking} of {} not found", scene.sensor)));
            false
        }
    });
    for (item, reason) in &refusals {
        if settings.on_error == OnError::Fail {
            return Err(Fault::new("/on_error", "item.refused", format!("item {item}: {reason}"))
                .hint("leave the item out of the search, or set `on_error: skip`")
                .into());
        }
        host.skipped(item, None, reason);
        host.log(Level::Warn, format!("item {item} is left out: {reason}"));
    }
    if scenes.is_empty() {
        return Err(none_left(&rows, &refusals));
    }
    Ok(Gathered {
        scenes: scenes.into_iter().map(|(scene, _)| scene).collect(),
        hrefs,
        bands,
        access: Access::new(paths),
    })
}

/// Refuses `radiometry` and `sensors` of collections that no item has: a slip of the pen would go unheard, and the
/// reflectance would be wrong. What `stac.search` maps was checked there.
fn known_collections(
    settings: &Settings,
    mapped: &BTreeMap<String, String>,
    rows: &[ItemRow],
) -> Result<(), Vec<Fault>> {
    let known: BTreeSet<&str> = rows.iter().map(|row| row.collection.as_deref().unwrap_or("none")).collect();
    let keys = |field: &'static str, keys: Vec<&String>| -> Vec<Fault> {
        keys.into_iter()
            .filter(|key| !mapped.contains_key(*key))
            .filter_map(|key| unknown_collection(&format!("/{field}"), key, &known))
            .collect()
    };
    let mut faults = keys("radiometry", settings.radiometry.keys().collect());
    faults.extend(keys("sensors", settings.sensors.keys().collect()));
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The fault of a setting by collection whose key is none of those there are; `*` stands for all.
pub(crate) fn unknown_collection(field: &str, key: &str, known: &BTreeSet<&str>) -> Option<Fault> {
    if key == "*" || known.contains(key) {
        return None;
    }
    let names = known.iter().copied().collect::<Vec<_>>().join(", ");
    let message = format!("no item is of the collection `{key}`; the items are of {names}");
    let hint = did_you_mean(key, known.iter().copied()).unwrap_or_else(|| "name one of these, or leave it out".into());
    let pointer = key.replace('~', "~0").replace('/', "~1");
    Some(Fault::new(format!("{field}/{pointer}"), "collection.unknown", message).hint(hint))
}

fn none_left(rows: &[ItemRow], refusals: &[(String, String)]) -> Vec<Fault> {
    let mut message = format!("none of {} items can be used", rows.len());
    for (item, reason) in refusals.iter().take(5) {
        message.push_str(&format!("; {item}: {reason}"));
    }
    if refusals.len() > 5 {
        message.push_str(&format!("; and {} more", refusals.len() - 5));
    }
    let lacks_bands = refusals.iter().any(|(_, reason)| reason.contains("band(s)"));
    let hint = if lacks_bands {
        "set `bands: subset` to use what is there, or name the bands"
    } else {
        "map collections to sensors with `sensors: {<collection>: sentinel-2-l2a}`"
    };
    Fault::new("", "items.unusable", message).hint(hint).into()
}

/// What the items of ports may reach, as the nodes before allow it.
pub(crate) fn access<'a>(ports: impl IntoIterator<Item = &'a PlanInput>) -> Access {
    let allowed = |port: &PlanInput| {
        let facts: ItemFacts = serde_json::from_value(port.facts.clone()).unwrap_or_default();
        facts.allow_paths.into_iter().map(PathBuf::from)
    };
    Access::new(ports.into_iter().flat_map(allowed))
}

pub(crate) fn item_rows(input: &PlanInput) -> Result<Vec<ItemRow>, Vec<Fault>> {
    let unknown = || {
        Fault::new("", "items.unknown", "the items are not known while planning")
            .hint("connect stac.search, which knows them")
    };
    let mut rows = Vec::new();
    for batch in input.rows.as_ref().ok_or_else(unknown)? {
        let items = ItemBatch::try_new(batch).map_err(|error| Fault::from(errors::edge(&error)))?;
        rows.extend(items.rows());
    }
    Ok(rows)
}

/// The item of a row.
pub(crate) fn item(row: &ItemRow) -> Result<Item, String> {
    let root: Root = row
        .root
        .as_deref()
        .unwrap_or_default()
        .parse()
        .map_err(|error: skysense_catalog::CatalogError| error.to_string())?;
    let mut value = serde_json::from_str(&row.item).map_err(|error| format!("its JSON cannot be read: {error}"))?;
    credentials::restore(&mut value);
    Item::from_json(value, &root.to_string(), root).map_err(|error| error.to_string())
}

type Found<'a> = (Scene, &'a Sensor, Option<String>);

fn scene<'a>(row: &ItemRow, sensors: &'a Sensors, settings: &Settings) -> Result<Option<Found<'a>>, String> {
    let item = item(row)?;
    let Some(sensor) = sensors.of(&item) else {
        let collection = item.collection().unwrap_or("none");
        return Err(format!(
            "no sensor for collection `{collection}`; map it with `sensors: {{{collection}: <sensor>}}` (known: {})",
            sensors.names().join(", ")
        ));
    };
    let wanted =
        settings.modalities.is_empty() || settings.modalities.iter().any(|m| m.word() == sensor.modality.name());
    if !wanted {
        return Ok(None);
    }
    let options = Options { radiometry: settings.radiometry.clone(), ..Options::default() };
    let mut scene = resolve(&item, sensor, &options).map_err(|refusal| refusal.to_string())?;
    match settings.mask {
        MaskSetting::Clouds => {}
        MaskSetting::None => scene.masks.clear(),
        MaskSetting::Snow => scene.masks.iter_mut().for_each(|mask| {
            if let (MaskRule::Classes { invalid }, "scl") = (&mut mask.rule, mask.source.band.as_str()) {
                invalid.push(SCL_SNOW);
            }
        }),
    }
    Ok(Some((scene, sensor, item.self_href().map(str::to_owned))))
}

/// The bands of each modality: those named, or what the sensors' models take, or what all scenes have of that.
fn bands(settings: &Settings, scenes: &[(Scene, &Sensor)]) -> Result<BTreeMap<ModalityName, Vec<String>>, Vec<Fault>> {
    let mut all = BTreeMap::new();
    let mut faults = Vec::new();
    for modality in [ModalityName::Hr, ModalityName::S2, ModalityName::S1] {
        let of: Vec<&(Scene, &Sensor)> =
            scenes.iter().filter(|(scene, _)| scene.modality.name() == modality.word()).collect();
        let Some((_, first)) = of.first() else { continue };
        let named = match &settings.bands {
            Bands::Named(named) => named.get(&modality),
            Bands::Rule(_) => None,
        };
        if let Some(named) = named {
            let known: Vec<&str> =
                of.iter().flat_map(|(_, sensor)| &sensor.bands).map(|band| band.name.as_str()).collect();
            faults.extend(named.iter().enumerate().filter(|(_, band)| !known.contains(&band.as_str())).map(
                |(place, band)| {
                    let sensor_bands: Vec<&str> = first.bands.iter().map(|band| band.name.as_str()).collect();
                    let message = format!("{} has no band {band:?}; it has {}", first.sensor, sensor_bands.join(", "));
                    Fault::new(format!("/bands/{}/{place}", modality.word()), "settings.bands", message)
                },
            ));
            all.insert(modality, named.clone());
            continue;
        }
        let mut bands: Vec<String> = first.model_bands();
        bands.retain(|band| of.iter().all(|(_, sensor)| sensor.model_bands().contains(band)));
        if settings.bands == Bands::Rule(BandRule::Subset) {
            bands.retain(|band| of.iter().all(|(scene, _)| scene.band(band).is_some()));
        }
        if bands.is_empty() {
            let message = format!("the items of {} have no band in common", modality.word());
            faults.push(
                Fault::new("/bands", "band.none", message)
                    .hint("search fewer collections, or name modalities without it"),
            );
        }
        all.insert(modality, bands);
    }
    if faults.is_empty() { Ok(all) } else { Err(faults) }
}

fn lacking(scene: &Scene, bands: &BTreeMap<ModalityName, Vec<String>>) -> Option<String> {
    let wanted = bands.iter().find(|(modality, _)| modality.word() == scene.modality.name())?.1;
    let lacking: Vec<&str> = wanted.iter().map(String::as_str).filter(|band| scene.band(band).is_none()).collect();
    (!lacking.is_empty()).then(|| lacking.join(", "))
}
