//! What sizes make a module. A package states the sizes of its model, so they are as good as whoever wrote them: zeros,
//! heads that do not divide, and numbers whose products leave the machine's are refused here, by name.

use crate::{FusionConfig, GeoContextConfig, ModelError, Result, SwinV2Config, UpHeadConfig, VitConfig};

/// Channels, bands, layers, rows of tables.
const LARGEST: usize = 1 << 16;
/// Sides of patches and windows, and factors.
const LARGEST_SIDE: usize = 1 << 10;
/// Regions and prototypes.
const MOST_PROTOTYPES: usize = 1 << 20;
/// Stages of an encoder, each of twice the channels.
const MOST_STAGES: usize = 16;

/// Refuses sizes of zero, and above a largest.
fn within(part: &str, largest: usize, sizes: &[(&str, usize)]) -> Result<()> {
    match sizes.iter().find(|(_, size)| !(1..=largest).contains(size)) {
        None => Ok(()),
        Some((name, size)) => Err(ModelError::Config(format!("{part}: {name} is {size}, expected 1 to {largest}"))),
    }
}

/// Refuses attention heads that do not share the channels evenly.
fn divides(part: &str, heads: usize, channels: usize) -> Result<()> {
    if heads > 0 && channels.is_multiple_of(heads) {
        return Ok(());
    }
    Err(ModelError::Config(format!("{part}: {heads} heads do not divide {channels} channels")))
}

impl SwinV2Config {
    /// Whether these sizes make a model.
    ///
    /// # Errors
    /// Names the size that does not.
    pub fn check(&self) -> Result<()> {
        let stages = self.depths.len();
        within("hr", MOST_STAGES, &[("the number of stages", stages)])?;
        let channels = [("bands", self.bands), ("channels", self.channels), ("bias_hidden", self.bias_hidden)];
        within("hr", LARGEST, &channels)?;
        within("hr", LARGEST_SIDE, &[("patch", self.patch), ("window", self.window), ("mlp_ratio", self.mlp_ratio)])?;
        let depths: Vec<(&str, usize)> = self.depths.iter().map(|depth| ("depth of a stage", *depth)).collect();
        within("hr", LARGEST, &depths)?;
        let windows = self.windows.iter().chain(&self.pretrained_windows).copied().max().unwrap_or_default();
        within("hr", LARGEST_SIDE, &[("window of a stage", windows.max(1))])?;
        if self.heads.len() != stages || self.pretrained_windows.len() != stages {
            return Err(ModelError::Config(format!(
                "depths, heads and pretrained_windows must have one entry for each stage: {stages}, {} and {}",
                self.heads.len(),
                self.pretrained_windows.len()
            )));
        }
        if !self.windows.is_empty() && self.windows.len() != stages {
            return Err(ModelError::Config(format!(
                "windows must be empty or have one entry for each of {stages} stages, found {}",
                self.windows.len()
            )));
        }
        // Distances are divided by one less than the window.
        if (0..stages).any(|stage| self.stage_window(stage) < 2) || self.pretrained_windows.contains(&1) {
            return Err(ModelError::Config(format!(
                "windows {:?} of stages and {:?} of pre-training must be 2 or more (pre-training: or 0)",
                (0..stages).map(|stage| self.stage_window(stage)).collect::<Vec<_>>(),
                self.pretrained_windows
            )));
        }
        let heads = self.heads.iter().enumerate();
        heads
            .into_iter()
            .try_for_each(|(stage, &heads)| divides(&format!("stage {stage}"), heads, self.stage_channels(stage)))
    }
}

impl VitConfig {
    /// Whether these sizes make a model; `name` is that of the module.
    ///
    /// # Errors
    /// Names the size that does not.
    pub fn check(&self, name: &str) -> Result<()> {
        let [rows, columns] = self.positions;
        let tables = [("rows of positions", rows), ("columns of positions", columns)];
        within(name, LARGEST_SIDE, &tables)?;
        within(name, LARGEST, &[("bands", self.bands), ("channels", self.channels)])?;
        within(name, LARGEST_SIDE, &[("patch", self.patch), ("mlp_ratio", self.mlp_ratio)])?;
        within(name, LARGEST, &[("layers", self.layers.max(1))])?;
        divides(name, self.heads, self.channels)
    }
}

impl UpHeadConfig {
    /// Whether these sizes make a head; `name` is that of its encoder.
    ///
    /// # Errors
    /// Names the size that does not.
    pub fn check(&self, name: &str) -> Result<()> {
        within(name, LARGEST_SIDE, &[("scale of the up head", self.scale)])?;
        let channels =
            [("channels that the up head takes", self.channels_in), ("channels of the up head", self.channels_out)];
        within(name, LARGEST, &channels)
    }
}

impl FusionConfig {
    /// Whether these sizes make a fusion.
    ///
    /// # Errors
    /// Names the size that does not.
    pub fn check(&self) -> Result<()> {
        let channels = [("channels that go in", self.channels_in), ("channels", self.channels), ("days", self.days)];
        within("fusion", LARGEST, &channels)?;
        within("fusion", LARGEST_SIDE, &[("mlp_ratio", self.mlp_ratio)])?;
        within("fusion", LARGEST, &[("layers", self.layers.max(1))])?;
        divides("fusion", self.heads, self.channels)
    }
}

impl GeoContextConfig {
    /// Whether these sizes make a table of prototypes.
    ///
    /// # Errors
    /// Names the size that does not.
    pub fn check(&self) -> Result<()> {
        within("prototypes", LARGEST, &[("channels", self.channels), ("width", self.table_width())])?;
        within("prototypes", MOST_PROTOTYPES, &[("regions", self.regions), ("prototypes of a region", self.prototypes)])
    }
}
