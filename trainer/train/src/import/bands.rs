//! Encoders for other bands than the published ones: what becomes of the patch embedding.
//!
//! The official code takes an encoder of ten Sentinel-2 bands to B02, B03, B04 and B08 by keeping their inputs of the
//! patch embedding and multiplying them by 10/4; here that goes for any bands. A near-infrared band of the
//! high-resolution encoder gets a copy of the red inputs, unscaled, as converters of the published weights do it.

use std::collections::BTreeMap;

use skysense_contract::Modality;
use skysense_model::checkpoint::Import;

use crate::TrainError;
use crate::normalise::{NIR, published_bands};

/// Names of the bands of each modality, as asked for or as published, and what was done to the weights for them.
pub(super) struct Bands {
    pub(super) names: BTreeMap<Modality, Vec<String>>,
    /// What was done, by modality.
    pub(super) conversions: BTreeMap<Modality, String>,
}

/// Brings the patch embeddings to the bands that were asked for.
pub(super) fn convert(import: &mut Import, asked: &BTreeMap<Modality, Vec<String>>) -> Result<Bands, TrainError> {
    let mut bands = Bands { names: BTreeMap::new(), conversions: BTreeMap::new() };
    let counts = [
        (Modality::Hr, "backbone_hr", import.config.hr.as_ref().map(|hr| hr.bands)),
        (Modality::S2, "backbone_s2", import.config.s2.as_ref().map(|(vit, _)| vit.bands)),
        (Modality::S1, "backbone_s1", import.config.s1.as_ref().map(|(vit, _)| vit.bands)),
    ];
    for (modality, module, count) in counts {
        let published = published_bands(modality);
        let (Some(count), asked) = (count, asked.get(&modality)) else {
            if let (None, Some(_)) = (count, asked.get(&modality)) {
                let value = format!("bands of {modality}");
                return Err(setting(modality, value, format!("an {modality} encoder in the files")));
            }
            continue;
        };
        let names = match asked {
            Some(names) => names.clone(),
            None if count == published.len() => published.clone(),
            None => {
                return Err(TrainError::Incomplete {
                    found: format!(
                        "the {modality} encoder takes {count} bands, and constants are published for {}: {}",
                        published.len(),
                        published.join(", ")
                    ),
                    hint: "name its bands in the order of its patch embedding: --hr-bands red,green,blue,nir or --s2-bands B02,B03,B04,B08",
                });
            }
        };
        check(modality, &names, &published)?;
        if asked.is_some() && count == published.len() {
            let (order, factor, told) = chosen(modality, &names, &published);
            if let Some(told) = told {
                let note = format!("{} ({told})", names.join(", "));
                import.take_inputs(module, &order, factor, note)?;
                let _new = bands.conversions.insert(modality, told);
            }
        } else if count != names.len() {
            let expected = format!("{count} bands, as the file has, or bands of {}", published.join(", "));
            return Err(setting(modality, names.join(","), expected));
        }
        let _new = bands.names.insert(modality, names);
    }
    Ok(bands)
}

/// Whether each band is known, and named once.
fn check(modality: Modality, names: &[String], published: &[String]) -> Result<(), TrainError> {
    let known = |name: &String| published.contains(name) || (modality == Modality::Hr && name == NIR);
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)).map(|(_, name)| name);
    match names.iter().find(|name| !known(name)).or(twice) {
        None if names.is_empty() => Err(setting(modality, String::new(), "one band or more".into())),
        None => Ok(()),
        Some(name) => {
            let nir = if modality == Modality::Hr { ", nir" } else { "" };
            Err(setting(modality, name.clone(), format!("bands of {}{nir}, each once", published.join(", "))))
        }
    }
}

/// Inputs to take, what they are multiplied by, and how that is told; nothing is told of what changes nothing.
fn chosen(modality: Modality, names: &[String], published: &[String]) -> (Vec<usize>, f32, Option<String>) {
    let red = published.iter().position(|name| name == "red").unwrap_or(0);
    let place = |name: &String| published.iter().position(|other| other == name).unwrap_or(red);
    let order: Vec<usize> = names.iter().map(place).collect();
    let kept = names.iter().filter(|name| published.contains(name)).count();
    // A copied input takes no share of the others: converters leave the published ones as they are.
    let factor = if kept == published.len() { 1.0 } else { published.len() as f32 / kept.max(1) as f32 };
    if order.iter().copied().eq(0..published.len()) {
        return (order, factor, None);
    }
    let mut told = format!("inputs {} of {} bands of the patch embedding", names.join(", "), published.len());
    if names.iter().any(|name| name == NIR && modality == Modality::Hr) {
        told.push_str(", nir a copy of red");
    }
    if kept < published.len() {
        told.push_str(&format!(", times {}/{kept}", published.len()));
    }
    (order, factor, Some(told))
}

fn setting(modality: Modality, value: String, expected: String) -> TrainError {
    let setting = match modality {
        Modality::Hr => "hr_bands",
        Modality::S2 => "s2_bands",
        Modality::S1 => "s1_bands",
    };
    TrainError::Setting { setting, value, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(modality: Modality, names: &[&str]) -> (Vec<usize>, f32, Option<String>) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let published = published_bands(modality);
        check(modality, &names, &published).unwrap();
        chosen(modality, &names, &published)
    }

    #[test]
    fn the_official_rules_are_these() {
        let (order, factor, told) = of(Modality::S2, &["B02", "B03", "B04", "B08"]);
        assert_eq!((order, factor), (vec![0, 1, 2, 6], 2.5));
        assert!(told.unwrap().ends_with("times 10/4"));
        let (order, factor, told) = of(Modality::Hr, &["red", "green", "blue", "nir"]);
        assert_eq!((order, factor), (vec![0, 1, 2, 0], 1.0));
        assert!(told.unwrap().ends_with("nir a copy of red"));
        assert_eq!(of(Modality::Hr, &["red", "green", "blue"]).2, None);
        assert_eq!(of(Modality::Hr, &["blue", "green", "red"]).0, [2, 1, 0], "another order, the same weights");
    }

    #[test]
    fn strange_bands_are_named() {
        let told = |modality, names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            check(modality, &names, &published_bands(modality)).unwrap_err().to_string()
        };
        assert!(told(Modality::S2, &["B02", "nir"]).contains("s2_bands is nir"));
        assert!(told(Modality::S2, &["B02", "B02"]).contains("B02, expected"));
        assert!(told(Modality::Hr, &["red", "ir"]).contains(", nir, each once"));
        assert!(told(Modality::S1, &[]).contains("one band or more"));
    }
}
