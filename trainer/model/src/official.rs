//! Configurations in the words of the official family's code.

use serde_json::Value;

use crate::calendar::Calendar;
use crate::encoder::SkySenseConfig;
use crate::fusion::FusionConfig;
use crate::position::Interpolation;
use crate::swin::SwinV2Config;
use crate::up_head::UpHeadConfig;
use crate::vit::VitConfig;
use crate::{ModelError, Result};

/// The configuration of a high-resolution encoder.
///
/// # Errors
/// A setting that is missing or of another type.
pub fn swin_v2(config: &Value) -> Result<SwinV2Config> {
    let depths = list(config, "depths")?;
    let windows = config.get("pretrained_window_sizes").and_then(Value::as_array);
    Ok(SwinV2Config {
        bands: number_or(config, "in_channels", 3)?,
        patch: number_or(config, "patch_size", 4)?,
        channels: number(config, "embed_dims")?,
        heads: list(config, "num_heads")?,
        window: number_or(config, "window_size", 8)?,
        pretrained_windows: match windows {
            Some(_) => list(config, "pretrained_window_sizes")?,
            None => vec![0; depths.len()],
        },
        extra_norm_every: number_or(config, "extra_norm_every_n_blocks", 0)?,
        pad_small_map: flag(config, "pad_small_map"),
        bias_hidden: number_or(config, "cpb_hidden", 512)?,
        mlp_ratio: number_or(config, "mlp_ratio", 4)?,
        epsilon: float_or(config, "ln_eps", 1e-5),
        drop_path: 0.0,
        out_stages: match config.get("out_indices") {
            Some(_) => list(config, "out_indices")?,
            None => vec![depths.len() - 1],
        },
        depths,
    })
}

/// The configuration of a series encoder.
///
/// # Errors
/// As [`swin_v2`].
pub fn vit(config: &Value) -> Result<VitConfig> {
    let patch = number_or(config, "patch_size", 4)?;
    let image = match config.get("img_size") {
        Some(Value::Array(_)) => list(config, "img_size")?,
        _ => vec![number(config, "img_size")?; 2],
    };
    let class_token = flag(config, "with_cls_token");
    Ok(VitConfig {
        bands: number(config, "in_channels")?,
        channels: number(config, "embed_dims")?,
        layers: number(config, "num_layers")?,
        heads: number(config, "num_heads")?,
        mlp_ratio: number_or(config, "mlp_ratio", 4)?,
        patch,
        positions: match image[..] {
            [height, width] => [height / patch, width / patch],
            _ => return Err(wrong("img_size", "one or two numbers")),
        },
        position_of_class: match config.get("pos_has_cls") {
            Some(value) => value.as_bool().unwrap_or(class_token),
            None => class_token,
        },
        class_token,
        interpolation: match config.get("interpolate_mode").and_then(Value::as_str) {
            None | Some("bicubic") => Interpolation::Bicubic,
            Some("bilinear") => Interpolation::Bilinear,
            Some("nearest") => Interpolation::Nearest,
            Some(_) => return Err(wrong("interpolate_mode", "bicubic, bilinear or nearest")),
        },
        epsilon: float_or(config, "ln_eps", 1e-6),
        drop_path: 0.0,
    })
}

/// The configuration of an up head.
///
/// # Errors
/// As [`swin_v2`].
pub fn up_head(config: &Value) -> Result<UpHeadConfig> {
    Ok(UpHeadConfig {
        channels_in: number(config, "in_dim")?,
        channels_out: number(config, "out_dim")?,
        scale: number_or(config, "up_scale", 4)?,
    })
}

/// The configuration of a fusion, without the calendar encoding.
///
/// # Errors
/// As [`swin_v2`].
pub fn fusion(config: &Value) -> Result<FusionConfig> {
    Ok(FusionConfig {
        channels_in: number(config, "input_dims")?,
        channels: number(config, "embed_dims")?,
        layers: number(config, "num_layers")?,
        heads: number(config, "num_heads")?,
        mlp_ratio: number_or(config, "mlp_ratio", 4)?,
        epsilon: float_or(config, "ln_eps", 1e-5),
        drop_path: 0.0,
        calendar: Calendar::None,
    })
}

/// The configuration of a whole encoder; modalities that it does not name are left out.
///
/// # Errors
/// As [`swin_v2`].
pub fn encoder(config: &Value) -> Result<SkySenseConfig> {
    let part = |name: &str| config.get(name).filter(|part| !part.is_null());
    let series = |backbone: &str, head: &str| match (part(backbone), part(head)) {
        (Some(backbone), Some(head)) => Ok::<_, ModelError>(Some((vit(backbone)?, up_head(head)?))),
        _ => Ok(None),
    };
    let mut fusion_config = fusion(part("fusion").ok_or_else(|| wrong("fusion", "a configuration"))?)?;
    fusion_config.epsilon = float_or(config, "ln_eps_fusion", fusion_config.epsilon);
    if config.get("calendar_time").is_some() && config.get("use_ctpe").and_then(Value::as_bool) != Some(false) {
        fusion_config.calendar = Calendar::S2Only;
    }
    Ok(SkySenseConfig {
        hr: part("backbone_hr").map(swin_v2).transpose()?,
        s2: series("backbone_s2", "head_s2")?,
        s1: series("backbone_s1", "head_s1")?,
        fusion: fusion_config,
        geo_context: None,
    })
}

fn wrong(name: &str, expected: &str) -> ModelError {
    ModelError::Config(format!("{name} of the official configuration: expected {expected}"))
}

fn number(config: &Value, name: &str) -> Result<usize> {
    config.get(name).and_then(Value::as_u64).map(|number| number as usize).ok_or_else(|| wrong(name, "a number"))
}

fn number_or(config: &Value, name: &str, default: usize) -> Result<usize> {
    if config.get(name).is_some_and(|value| !value.is_null()) { number(config, name) } else { Ok(default) }
}

fn float_or(config: &Value, name: &str, default: f64) -> f64 {
    config.get(name).and_then(Value::as_f64).unwrap_or(default)
}

fn flag(config: &Value, name: &str) -> bool {
    config.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn list(config: &Value, name: &str) -> Result<Vec<usize>> {
    let values = config.get(name).and_then(Value::as_array).ok_or_else(|| wrong(name, "a list of numbers"))?;
    values
        .iter()
        .map(|value| value.as_u64().map(|number| number as usize).ok_or_else(|| wrong(name, "numbers")))
        .collect()
}
