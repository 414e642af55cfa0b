//! The whole encoder: any subset of modalities and dates to features on the 10 m grid.

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::fusion::{Fusion, FusionConfig, Tokens};
use crate::geo_context::{GeoContext, GeoContextConfig};
use crate::swin::{SwinV2, SwinV2Config};
use crate::up_head::{UpHead, UpHeadConfig};
use crate::vit::{Vit, VitConfig};
use crate::{ModelError, Result};

/// Shape of a [`SkySense`]; a modality that is left out has no encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkySenseConfig {
    /// High-resolution encoder.
    pub hr: Option<SwinV2Config>,
    /// Sentinel-2 encoder and its up head.
    pub s2: Option<(VitConfig, UpHeadConfig)>,
    /// Sentinel-1 encoder and its up head.
    pub s1: Option<(VitConfig, UpHeadConfig)>,
    /// Fusion over dates and modalities.
    pub fusion: FusionConfig,
    /// Prototypes by region.
    pub geo_context: Option<GeoContextConfig>,
}

/// The encoders of the modalities, each usable alone.
#[derive(Module, Debug)]
pub struct Encoders {
    /// High-resolution encoder.
    pub backbone_hr: Option<SwinV2>,
    /// Sentinel-2 encoder.
    pub backbone_s2: Option<Vit>,
    /// Its up head.
    pub head_s2: Option<UpHead>,
    /// Sentinel-1 encoder.
    pub backbone_s1: Option<Vit>,
    /// Its up head.
    pub head_s1: Option<UpHead>,
}

/// The factorised spatiotemporal encoder.
#[derive(Module, Debug)]
pub struct SkySense {
    /// The encoders of the modalities.
    pub encoders: Encoders,
    /// Fusion over dates and modalities.
    pub fusion: Fusion,
    /// Prototypes by region.
    pub geo_context: Option<GeoContext>,
    #[module(skip)]
    config: SkySenseConfig,
}

/// One batch; modalities that are `None` are left out of the sequence.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Normalised pixels `[batch, band, 32 · height, 32 · width]`, one date.
    pub hr: Option<Tensor<4>>,
    /// Sentinel-2.
    pub s2: Option<Series>,
    /// Sentinel-1.
    pub s1: Option<Series>,
    /// Day of the year − 1 of the HR image, `[batch]`; taken as 0 where it is not given.
    pub hr_day: Option<Tensor<1, Int>>,
    /// Region of each chip, `[batch]`; needed where the model has prototypes.
    pub region: Option<Tensor<1, Int>>,
}

/// A time series.
#[derive(Debug, Clone)]
pub struct Series {
    /// Normalised pixels `[batch, time, band, height, width]`.
    pub pixels: Tensor<5>,
    /// Day of the year − 1, `[batch, time]`.
    pub day: Tensor<2, Int>,
    /// Whether there is such a date, `[batch, time]`; `None` where all are there.
    pub present: Option<Tensor<2, Bool>>,
}

impl SkySenseConfig {
    /// A model with fresh weights.
    ///
    /// # Errors
    /// Parts whose widths do not fit each other.
    pub fn init(&self, device: &Device) -> Result<SkySense> {
        self.check()?;
        Ok(SkySense {
            encoders: Encoders {
                backbone_hr: self.hr.as_ref().map(|config| config.init(device)).transpose()?,
                backbone_s2: self.s2.as_ref().map(|(vit, _)| vit.init(device)),
                head_s2: self.s2.as_ref().map(|(_, up)| up.init(device)),
                backbone_s1: self.s1.as_ref().map(|(vit, _)| vit.init(device)),
                head_s1: self.s1.as_ref().map(|(_, up)| up.init(device)),
            },
            fusion: self.fusion.init(device),
            geo_context: self.geo_context.as_ref().map(|config| config.init(device)),
            config: self.clone(),
        })
    }

    /// Channels of what [`SkySense::forward`] gives.
    pub fn channels(&self) -> usize {
        self.fusion.channels + self.geo_context.as_ref().map_or(0, |context| context.channels)
    }

    /// The same with position tables of `side` × `side` tokens in the series encoders, and a slot for the class token or
    /// none.
    ///
    /// A published file brings the size of its table: the official configuration makes 4 × 4, the released files have
    /// 16 × 16 by all that is known of them.
    #[must_use]
    pub fn with_positions(mut self, side: usize, of_class: bool) -> Self {
        for (vit, _) in [&mut self.s2, &mut self.s1].into_iter().flatten() {
            vit.positions = [side; 2];
            vit.position_of_class = of_class;
        }
        self
    }

    /// Whether the parts fit each other.
    ///
    /// # Errors
    /// Names the parts whose widths differ.
    pub fn check(&self) -> Result<()> {
        let wanted = self.fusion.channels_in;
        let fits = |name: &str, channels: usize| match channels == wanted {
            true => Ok(()),
            false => Err(ModelError::Config(format!("{name} gives {channels} channels, the fusion takes {wanted}"))),
        };
        self.fusion.check()?;
        if let Some(hr) = &self.hr {
            hr.check()?;
            let last = hr.depths.len().saturating_sub(1);
            if !hr.out_stages.contains(&last) {
                return Err(ModelError::Config(format!(
                    "hr has {} stages and gives {:?}: the fusion reads the last one",
                    hr.depths.len(),
                    hr.out_stages
                )));
            }
            fits("hr", hr.stage_channels(last))?;
        }
        for (name, series) in [("s2", &self.s2), ("s1", &self.s1)] {
            if let Some((vit, up)) = series {
                vit.check(name)?;
                up.check(name)?;
                fits(name, up.channels_out)?;
                if vit.channels != up.channels_in {
                    return Err(ModelError::Config(format!(
                        "{name}: the encoder gives {} channels, its up head takes {}",
                        vit.channels, up.channels_in
                    )));
                }
            }
        }
        match &self.geo_context {
            Some(context) if context.channels != self.fusion.channels => Err(ModelError::Config(format!(
                "prototypes have {} channels, the fused features {}",
                context.channels, self.fusion.channels
            ))),
            Some(context) => context.check(),
            None => Ok(()),
        }
    }
}

impl SkySense {
    /// The shape it was made with.
    pub fn config(&self) -> &SkySenseConfig {
        &self.config
    }

    /// Inputs → features `[batch, channel, height, width]` on the 10 m grid.
    ///
    /// # Errors
    /// No modality at all, one that the model has no encoder for, or no region where the model has prototypes.
    pub fn forward(&self, inputs: Inputs) -> Result<Tensor<4>> {
        let fused = self.fusion.forward(self.tokens(&inputs)?);
        match (&self.geo_context, inputs.region) {
            (None, _) => Ok(fused),
            (Some(context), Some(region)) => Ok(context.forward(fused, region)),
            (Some(_), None) => {
                Err(ModelError::Config("the model has prototypes by region, and no region was given".into()))
            }
        }
    }

    /// Inputs → the tokens that the fusion reads, HR, S2 and S1 in turn.
    ///
    /// # Errors
    /// As [`SkySense::forward`].
    pub fn tokens(&self, inputs: &Inputs) -> Result<Tokens> {
        let calendar = self.fusion.config().calendar;
        let mut parts = Vec::new();
        if let Some(pixels) = &inputs.hr {
            parts.push(self.hr_part(pixels.clone(), inputs.hr_day.clone())?);
        }
        let encoders = &self.encoders;
        for (name, series, backbone, head, takes_calendar) in [
            ("s2", &inputs.s2, &encoders.backbone_s2, &encoders.head_s2, calendar != Calendar::None),
            ("s1", &inputs.s1, &encoders.backbone_s1, &encoders.head_s1, calendar == Calendar::All),
        ] {
            let Some(series) = series else { continue };
            let (Some(backbone), Some(head)) = (backbone, head) else { return Err(no_encoder(name)) };
            parts.push(series_part(series, backbone, head, takes_calendar));
        }
        join(parts)
    }

    fn hr_part(&self, pixels: Tensor<4>, day: Option<Tensor<1, Int>>) -> Result<Part> {
        let backbone = self.encoders.backbone_hr.as_ref().ok_or_else(|| no_encoder("hr"))?;
        let [_, _, height, width] = pixels.dims();
        backbone.config().check_size([height, width])?;
        let features = backbone.forward(pixels).pop().ok_or_else(|| no_encoder("hr"))?;
        let (batch, device) = (features.dims()[0], features.device());
        let calendar = if self.fusion.config().calendar == Calendar::All { 1.0 } else { 0.0 };
        Ok(Part {
            features: features.unsqueeze_dim(1),
            day: day.map_or_else(|| Tensor::zeros([batch, 1], &device), |day| day.reshape([batch, 1])),
            calendar: Tensor::full([batch, 1], calendar, &device),
            present: None,
        })
    }
}

/// The tokens of one modality.
struct Part {
    features: Tensor<5>,
    day: Tensor<2, Int>,
    calendar: Tensor<2>,
    present: Option<Tensor<2, Bool>>,
}

fn series_part(series: &Series, backbone: &Vit, head: &UpHead, takes_calendar: bool) -> Part {
    let [batch, time, band, height, width] = series.pixels.dims();
    let pixels = series.pixels.clone().reshape([batch * time, band, height, width]);
    let maps = head.forward(backbone.forward(pixels));
    let [_, channel, rows, columns] = maps.dims();
    Part {
        features: maps.reshape([batch, time, channel, rows, columns]),
        day: series.day.clone(),
        calendar: Tensor::full([batch, time], if takes_calendar { 1.0 } else { 0.0 }, &series.pixels.device()),
        present: series.present.clone(),
    }
}

fn join(parts: Vec<Part>) -> Result<Tokens> {
    if parts.is_empty() {
        return Err(ModelError::Config("no modality was given: at least one of hr, s2 and s1 is needed".into()));
    }
    let sizes: Vec<_> = parts
        .iter()
        .map(|part| {
            let [_, _, _, height, width] = part.features.dims();
            [height, width]
        })
        .collect();
    if sizes.iter().any(|size| *size != sizes[0]) {
        return Err(ModelError::Config(format!(
            "modalities give maps of different sizes: {sizes:?}; they must share a footprint"
        )));
    }
    let masked = parts.iter().any(|part| part.present.is_some());
    let present = masked.then(|| {
        let masks = parts.iter().map(|part| match &part.present {
            Some(present) => present.clone(),
            None => part.day.clone().equal(part.day.clone()),
        });
        Tensor::cat(masks.collect(), 1)
    });
    let (mut features, mut days, mut calendars) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        features.push(part.features);
        days.push(part.day);
        calendars.push(part.calendar);
    }
    Ok(Tokens {
        features: Tensor::cat(features, 1),
        day: Tensor::cat(days, 1),
        calendar: Tensor::cat(calendars, 1),
        present,
    })
}

fn no_encoder(modality: &str) -> ModelError {
    ModelError::Config(format!("{modality} was given, and the model has no encoder for it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_make_no_model_are_refused_by_name() {
        type Change = fn(&mut SkySenseConfig);
        let changes: [(&str, Change); 11] = [
            ("the fusion reads the last one", |c| c.hr.as_mut().unwrap().out_stages = vec![0, 1]),
            ("hr: the number of stages is 0", |c| c.hr.as_mut().unwrap().depths.clear()),
            ("hr: patch is 0", |c| c.hr.as_mut().unwrap().patch = 0),
            ("hr: window is 0", |c| c.hr.as_mut().unwrap().window = 0),
            ("s2: 0 heads", |c| c.s2.as_mut().unwrap().0.heads = 0),
            ("s1: rows of positions is 0", |c| c.s1.as_mut().unwrap().0.positions[0] = 0),
            ("hr: the number of stages is 17", |c| c.hr.as_mut().unwrap().depths = vec![1; 17]),
            ("hr: mlp_ratio is 0", |c| c.hr.as_mut().unwrap().mlp_ratio = 0),
            ("scale of the up head is 4294967296", |c| c.s2.as_mut().unwrap().1.scale = 1 << 32),
            ("fusion: days is 0", |c| c.fusion.days = 0),
            ("fusion: 5 heads do not divide 64 channels", |c| c.fusion.heads = 5),
        ];
        for (told, change) in changes {
            let mut config = crate::preset("tiny").unwrap();
            change(&mut config);
            let error = config.init(&burn::tensor::Device::flex()).unwrap_err().to_string();
            assert!(error.contains(told), "{told}: {error}");
        }
    }
}
