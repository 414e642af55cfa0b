//! What is asked of an import.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use skysense_contract::{Division, Modality};
use skysense_model::checkpoint::{Part, ShapeSettings};

use crate::graphs::{INSIDE, SHARD};

/// Files of weights by module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportFiles {
    /// All modules in one file.
    pub full: Option<PathBuf>,
    /// High-resolution encoder.
    pub hr: Option<PathBuf>,
    /// Sentinel-2 encoder.
    pub s2: Option<PathBuf>,
    /// Sentinel-1 encoder.
    pub s1: Option<PathBuf>,
    /// Up head of Sentinel-2.
    pub head_s2: Option<PathBuf>,
    /// Up head of Sentinel-1.
    pub head_s1: Option<PathBuf>,
    /// Fusion.
    pub fusion: Option<PathBuf>,
    /// Prototypes by region, under the keys that [`crate::export_files`] writes.
    pub geo_context: Option<PathBuf>,
}

/// Which regions the prototypes of a file are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regions {
    /// How the Earth is divided.
    pub division: Division,
    /// The cells in the order of the table; all of the division where there are none.
    #[serde(default)]
    pub cells: Vec<usize>,
}

/// What is asked of an import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportConfig {
    /// The files.
    pub files: ImportFiles,
    /// Version of the weights in files that hold several.
    pub variant: Option<String>,
    /// What the shapes do not say.
    pub shapes: ShapeSettings,
    /// Bands of the encoders, where they are to be others than the published ones, or where the files have others.
    pub bands: BTreeMap<Modality, Vec<String>>,
    /// Goes on where weights lack or do not fit: they start untrained, from the seed.
    pub allow_missing: bool,
    /// Which regions the prototypes are of, where a file holds some.
    pub regions: Option<Regions>,
    /// Seed of what starts untrained.
    pub seed: u64,
    /// Name of the model; that of the folder where there is none.
    pub name: Option<String>,
    /// Licence of the weights as an SPDX expression, or `proprietary`.
    pub licence: String,
    /// Side of a chip in pixels of the 10 m grid.
    pub chip_size: usize,
    /// Most dates of a chip, of Sentinel-2 and of Sentinel-1.
    pub dates: [usize; 2],
    /// Bytes of weights up to which a graph holds them; beyond, they lie beside it.
    pub graph_limit: u64,
    /// Bytes of weights in one file.
    pub shard_limit: u64,
}

impl Default for ImportConfig {
    /// Chips of 16 pixels, which are 512 of the high-resolution image, and 20 and 10 dates: those of the paper's
    /// pre-training.
    fn default() -> Self {
        Self {
            files: ImportFiles::default(),
            variant: None,
            shapes: ShapeSettings::default(),
            bands: BTreeMap::new(),
            allow_missing: false,
            regions: None,
            seed: 0,
            name: None,
            licence: "proprietary".into(),
            chip_size: 16,
            dates: [20, 10],
            graph_limit: INSIDE,
            shard_limit: SHARD,
        }
    }
}

impl ImportFiles {
    /// The files that were named, the combined one first.
    pub(super) fn listed(&self) -> Vec<(Part, PathBuf)> {
        let all = [
            (Part::Full, &self.full),
            (Part::Hr, &self.hr),
            (Part::S2, &self.s2),
            (Part::S1, &self.s1),
            (Part::HeadS2, &self.head_s2),
            (Part::HeadS1, &self.head_s1),
            (Part::Fusion, &self.fusion),
            (Part::GeoContext, &self.geo_context),
        ];
        all.into_iter().filter_map(|(part, path)| Some((part, path.clone()?))).collect()
    }
}
