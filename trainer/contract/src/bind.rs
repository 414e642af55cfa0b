//! Data held against a contract: which band feeds which input of the patch embedding.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Contract, ContractError, Dtype, Input, Modality, Unit};

/// What data brings for one modality, as the facts of a chip edge say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Names of the bands in the order of the data.
    pub bands: Vec<String>,
    /// Unit of the pixels.
    pub unit: Unit,
    /// Type of the pixels; another than the contract's is converted, value by value.
    pub dtype: Dtype,
    /// Most dates of one chip.
    pub dates: usize,
    /// Side of a chip in pixels of this modality's own grid.
    pub size: usize,
    /// Pixels of that grid along a pixel of the grid that maps have.
    pub scale: usize,
}

/// What to do when data lacks bands of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BandRule {
    /// Lacking bands are an error.
    #[default]
    All,
    /// The patch embedding keeps the inputs of the bands that are there, rescaled by C/k, where C counts the
    /// bands of the model and k those that are there (the official rule for four bands, for any number).
    Subset,
}

/// Where each band of the model comes from, by modality: an index into the data's bands, or `None` where the
/// data lacks the band.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding(BTreeMap<Modality, Vec<Option<usize>>>);

impl Binding {
    /// Sources of a modality's bands in the order of the contract; `None` when the data has no such modality.
    pub fn bands(&self, modality: Modality) -> Option<&[Option<usize>]> {
        self.0.get(&modality).map(Vec::as_slice)
    }

    /// Modalities that the data feeds.
    pub fn modalities(&self) -> impl Iterator<Item = Modality> + '_ {
        self.0.keys().copied()
    }

    /// Whether bands of the model are lacking.
    pub fn is_subset(&self, modality: Modality) -> bool {
        self.bands(modality).is_some_and(|bands| bands.contains(&None))
    }

    /// Whether the data's bands are the model's bands in the model's order, given how many the data has.
    pub fn is_identity(&self, modality: Modality, data_bands: usize) -> bool {
        self.bands(modality).is_some_and(|bands| {
            bands.len() == data_bands && bands.iter().enumerate().all(|(index, band)| *band == Some(index))
        })
    }
}

/// One reason why data does not fit a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misfit {
    /// The model has no such input.
    Modality {
        /// What the data has.
        offered: Modality,
        /// What the model takes.
        known: Vec<Modality>,
    },
    /// The data has none of the model's modalities.
    Nothing {
        /// What the model takes.
        known: Vec<Modality>,
    },
    /// Bands are lacking.
    Bands {
        /// Of this modality.
        modality: Modality,
        /// Bands of the model that the data lacks.
        missing: Vec<String>,
        /// Bands of the data.
        found: Vec<String>,
    },
    /// The data has none of the bands, which no rule can mend.
    NoBand {
        /// Of this modality.
        modality: Modality,
        /// Bands of the model.
        expected: Vec<String>,
        /// Bands of the data.
        found: Vec<String>,
    },
    /// Another unit.
    Unit {
        /// Of this modality.
        modality: Modality,
        /// Of the model.
        expected: Unit,
        /// Of the data.
        found: Unit,
    },
    /// Another chip size.
    Size {
        /// Of this modality.
        modality: Modality,
        /// Side in pixels that the graphs were exported for.
        expected: usize,
        /// Side in pixels of the data.
        found: usize,
    },
    /// Another grid of the maps.
    Scale {
        /// Of this modality.
        modality: Modality,
        /// Pixels of the modality along one of the model's maps.
        expected: usize,
        /// The same of the data.
        found: usize,
    },
    /// More dates than the model was trained with.
    Dates {
        /// Of this modality.
        modality: Modality,
        /// Most dates of the model.
        most: usize,
        /// Dates of the data.
        found: usize,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Modality { offered, known } => {
                write!(f, "it takes no {offered}, only {}", names(known))
            }
            Self::Nothing { known } => write!(f, "it takes {} and the data has none of them", names(known)),
            Self::Bands { modality, missing, found } => write!(
                f,
                "{modality} lacks band {} (it has {}); add the bands, or set `bands: subset`",
                missing.join(", "),
                found.join(", ")
            ),
            Self::NoBand { modality, expected, found } => {
                write!(f, "{modality} has none of the bands {} (it has {})", expected.join(", "), found.join(", "))
            }
            Self::Unit { modality, expected, found } => {
                write!(f, "{modality} pixels are in {found}, the model takes {expected}")
            }
            Self::Size { modality, expected, found } => {
                write!(f, "{modality} chips are {found} pixels wide, the model takes {expected}; set the chip size")
            }
            Self::Scale { modality, expected, found } => write!(
                f,
                "{modality} chips have {found} pixels along one of the grid, the model takes {expected}; set \
                 `hr_scale: {expected}`"
            ),
            Self::Dates { modality, most, found } => {
                write!(
                    f,
                    "{modality} has up to {found} dates a chip, the model takes {most}; set `dates: {{max: {most}}}`"
                )
            }
        }
    }
}

fn names(modalities: &[Modality]) -> String {
    modalities.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Contract {
    /// Holds data against this contract and says where each band of the model comes from.
    ///
    /// Any subset of the model's modalities fits; a modality that the model lacks does not, for it would be
    /// read for nothing.
    ///
    /// # Errors
    /// [`ContractError::Misfit`] with every misfit: modality, band, unit, chip size, dates.
    pub fn bind(&self, offers: &BTreeMap<Modality, Offer>, rule: BandRule) -> Result<Binding, ContractError> {
        let known = || self.modalities.keys().copied().collect::<Vec<_>>();
        let mut misfits = Vec::new();
        let mut binding = Binding::default();
        for (modality, offer) in offers {
            match self.modalities.get(modality) {
                Some(input) => {
                    misfits.extend(self.misfits_of(*modality, input, offer, rule));
                    let source = |band: &String| offer.bands.iter().position(|other| same_band(other, band));
                    binding.0.insert(*modality, input.bands.iter().map(source).collect());
                }
                None => misfits.push(Misfit::Modality { offered: *modality, known: known() }),
            }
        }
        if offers.is_empty() {
            misfits.push(Misfit::Nothing { known: known() });
        }
        if misfits.is_empty() { Ok(binding) } else { Err(ContractError::Misfit { model: self.name.clone(), misfits }) }
    }

    fn misfits_of(&self, modality: Modality, input: &Input, offer: &Offer, rule: BandRule) -> Vec<Misfit> {
        let mut misfits = Vec::new();
        let lacks = |band: &&String| !offer.bands.iter().any(|other| same_band(other, band));
        let missing: Vec<String> = input.bands.iter().filter(lacks).cloned().collect();
        let found = offer.bands.clone();
        if missing.len() == input.bands.len() {
            misfits.push(Misfit::NoBand { modality, expected: input.bands.clone(), found });
        } else if !missing.is_empty() && rule == BandRule::All {
            misfits.push(Misfit::Bands { modality, missing, found });
        }
        if offer.unit != input.unit {
            misfits.push(Misfit::Unit { modality, expected: input.unit, found: offer.unit });
        }
        let expected = self.chip_size * input.scale;
        if offer.scale != input.scale {
            misfits.push(Misfit::Scale { modality, expected: input.scale, found: offer.scale });
        } else if offer.size != expected {
            misfits.push(Misfit::Size { modality, expected, found: offer.size });
        }
        if offer.dates > input.dates {
            misfits.push(Misfit::Dates { modality, most: input.dates, found: offer.dates });
        }
        misfits
    }
}

/// Band names differ only in case between catalogs (`vv`, `VV`; `Red`, `red`).
fn same_band(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::tests::sample;

    fn offer(bands: &[&str]) -> BTreeMap<Modality, Offer> {
        let bands = bands.iter().map(ToString::to_string).collect();
        let offer = Offer { bands, unit: Unit::ReflectanceE4, dtype: Dtype::I16, dates: 2, size: 16, scale: 1 };
        BTreeMap::from([(Modality::S2, offer)])
    }

    #[test]
    fn bands_are_found_by_name_in_any_order() {
        let binding = sample().bind(&offer(&["b04", "B02", "B03"]), BandRule::All).unwrap();
        assert_eq!(binding.bands(Modality::S2).unwrap(), [Some(1), Some(2), Some(0)]);
        assert!(!binding.is_identity(Modality::S2, 3));
        assert!(!binding.is_subset(Modality::S2));
        assert!(binding.bands(Modality::S1).is_none());
    }

    #[test]
    fn a_missing_band_is_named_and_subset_lets_it_pass() {
        let error = sample().bind(&offer(&["B02", "B04"]), BandRule::All).unwrap_err().to_string();
        assert!(error.contains("s2 lacks band B03 (it has B02, B04)"), "{error}");
        let binding = sample().bind(&offer(&["B02", "B04"]), BandRule::Subset).unwrap();
        assert_eq!(binding.bands(Modality::S2).unwrap(), [Some(0), None, Some(1)]);
        assert!(binding.is_subset(Modality::S2));
    }

    /// One thing is wrong at a time, and the error says which, with what was found and what was expected.
    #[test]
    fn each_misfit_tells_what_was_found_and_expected() {
        type Change = fn(&mut Offer);
        let changes: [(Change, &[&str]); 5] = [
            (|offer| offer.bands.truncate(2), &["s2 lacks band B04", "it has B02, B03", "bands: subset"]),
            (|offer| offer.bands = vec!["red".into()], &["s2 has none of the bands B02, B03, B04", "it has red"]),
            (|offer| offer.unit = Unit::Decibel, &["s2 pixels are in decibel", "takes reflectance_e4"]),
            (|offer| offer.size = 32, &["s2 chips are 32 pixels wide", "takes 16"]),
            (|offer| offer.dates = 9, &["s2 has up to 9 dates", "takes 8", "max: 8"]),
        ];
        for (change, parts) in changes {
            let mut offers = offer(&["B02", "B03", "B04"]);
            change(offers.get_mut(&Modality::S2).unwrap());
            let error = sample().bind(&offers, BandRule::All).unwrap_err();
            let ContractError::Misfit { misfits, .. } = &error else { panic!("{error}") };
            assert_eq!(misfits.len(), 1, "{error}");
            for part in parts {
                assert!(error.to_string().contains(part), "{part}: {error}");
            }
        }
        let mut offers = offer(&["B02", "B03", "B04"]);
        let radar = offers[&Modality::S2].clone();
        offers.insert(Modality::S1, radar);
        let error = sample().bind(&offers, BandRule::All).unwrap_err().to_string();
        assert!(error.contains("takes no s1, only s2"), "{error}");
        let error = sample().bind(&BTreeMap::new(), BandRule::All).unwrap_err().to_string();
        assert!(error.contains("takes s2 and the data has none"), "{error}");
    }

    #[test]
    fn every_misfit_is_named() {
        let mut offers = offer(&["red"]);
        let s2 = offers.get_mut(&Modality::S2).unwrap();
        (s2.unit, s2.size, s2.dates) = (Unit::Byte, 20, 99);
        let hr = s2.clone();
        offers.insert(Modality::Hr, hr);
        let error = sample().bind(&offers, BandRule::Subset).unwrap_err().to_string();
        for part in ["takes no hr", "none of the bands B02, B03, B04", "in byte", "20 pixels wide", "99 dates"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
