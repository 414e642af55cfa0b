//! Configurations in the words of the official family's code.

use serde_json::Value;

use crate::calendar::{Calendar, DAYS};
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
    refuse(config, &["use_abs_pos_embed", "with_attn"], &["patch_norm", "qkv_bias"])?;
    // The sizes may stand in a dict of their own.
    let arch = config.get("arch").filter(|arch| arch.is_object());
    let sizes = |name: &str| arch.filter(|arch| arch.get(name).is_some()).unwrap_or(config);
    let depths = list(sizes("depths"), "depths")?;
    let stages = depths.len();
    let mut windows = per_stage(config, "window_size", stages, 8)?;
    let window = windows.first().copied().unwrap_or(8);
    if windows.iter().all(|own| *own == window) {
        windows.clear();
    }
    Ok(SwinV2Config {
        bands: number_or(config, "in_channels", 3)?,
        patch: number_or(config, "patch_size", 4)?,
        channels: number(sizes("embed_dims"), "embed_dims")?,
        heads: list(sizes("num_heads"), "num_heads")?,
        window,
        windows,
        pretrained_windows: per_stage(config, "pretrained_window_sizes", stages, 0)?,
        extra_norm_every: number_or(sizes("extra_norm_every_n_blocks"), "extra_norm_every_n_blocks", 0)?,
        pad_small_map: flag(config, "pad_small_map"),
        bias_hidden: number_or(config, "cpb_hidden", 512)?,
        mlp_ratio: number_or(config, "mlp_ratio", 4)?,
        epsilon: epsilon(config, 1e-5),
        drop_path: 0.0,
        out_stages: out_levels(config, stages)?,
        depths,
    })
}

/// The configuration of a series encoder.
///
/// # Errors
/// As [`swin_v2`].
pub fn vit(config: &Value) -> Result<VitConfig> {
    refuse(config, &["final_norm", "patch_norm", "output_cls_token"], &["qkv_bias"])?;
    let patch = number_or(config, "patch_size", 4)?;
    if patch == 0 {
        return Err(wrong("patch_size", "1 or more"));
    }
    let image = match config.get("img_size") {
        Some(Value::Array(sides)) if sides.len() == 2 => list(config, "img_size")?,
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
        epsilon: epsilon(config, 1e-6),
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
    refuse(config, &[], &["qkv_bias"])?;
    Ok(FusionConfig {
        channels_in: number(config, "input_dims")?,
        channels: number(config, "embed_dims")?,
        layers: number(config, "num_layers")?,
        heads: number(config, "num_heads")?,
        mlp_ratio: number_or(config, "mlp_ratio", 4)?,
        epsilon: epsilon(config, 1e-5),
        drop_path: 0.0,
        calendar: Calendar::None,
        days: number_or(config, "calendar_time", DAYS)?,
    })
}

/// The configuration of a whole encoder; modalities that it does not name are left out.
///
/// # Errors
/// As [`swin_v2`].
pub fn encoder(config: &Value) -> Result<SkySenseConfig> {
    let part = |name: &str| config.get(name).filter(|part| !part.is_null());
    let series = |backbone: &str, head: &str| match (part(backbone), part(head)) {
        (Some(backbone), Some(head)) => {
            let mut vit = vit(backbone)?;
            // What goes on is the last of the layers that are given.
            vit.layers = out_levels(backbone, vit.layers)?.last().map_or(vit.layers, |last| last + 1);
            Ok::<_, ModelError>(Some((vit, up_head(head)?)))
        }
        _ => Ok(None),
    };
    let hr = part("backbone_hr").map(swin_v2).transpose()?.map(|mut hr| {
        let stages = hr.out_stages.last().map_or(hr.depths.len(), |last| last + 1);
        hr.depths.truncate(stages);
        hr.heads.truncate(stages);
        hr.windows.truncate(stages);
        hr.pretrained_windows.truncate(stages);
        hr
    });
    let neck = part("fusion").or_else(|| part("necks")).ok_or_else(|| wrong("fusion", "a configuration"))?;
    let mut fusion_config = fusion(neck)?;
    fusion_config.epsilon = float_or(config, "ln_eps_fusion", fusion_config.epsilon);
    let used = config.get("use_ctpe").and_then(Value::as_bool);
    if used != Some(false) && (part("calendar_time").is_some() || used == Some(true)) {
        fusion_config.calendar = Calendar::S2Only;
        fusion_config.days = number_or(config, "calendar_time", DAYS)?;
        if fusion_config.days == 0 {
            return Err(wrong("calendar_time", "1 or more"));
        }
    }
    Ok(SkySenseConfig {
        hr,
        s2: series("backbone_s2", "head_s2")?,
        s1: series("backbone_s1", "head_s1")?,
        fusion: fusion_config,
        geo_context: None,
    })
}

/// The layers or stages, of `count`, whose output is given: ascending, each once. `out_indices` may be one number or a
/// list, and count from the end; the last one where it is not there.
///
/// # Errors
/// A level that is not there, or something else than numbers.
pub fn out_levels(config: &Value, count: usize) -> Result<Vec<usize>> {
    const NAME: &str = "out_indices";
    let last = count.checked_sub(1).ok_or_else(|| wrong(NAME, "at least one layer or stage"))?;
    let given = match config.get(NAME) {
        None | Some(Value::Null) => return Ok(vec![last]),
        Some(Value::Array(given)) => given.clone(),
        Some(one) => vec![one.clone()],
    };
    let level = |value: &Value| {
        let level = signed(value).ok_or_else(|| wrong(NAME, "whole numbers"))?;
        let level = if level < 0 { level + count as i64 } else { level };
        let level = usize::try_from(level).ok().filter(|level| *level < count);
        level.ok_or_else(|| wrong(NAME, &format!("{} to {last}, found {value}", -(count as i64))))
    };
    let mut levels = given.iter().map(level).collect::<Result<Vec<usize>>>()?;
    levels.sort_unstable();
    levels.dedup();
    if levels.is_empty() { Err(wrong(NAME, "at least one")) } else { Ok(levels) }
}

/// Refuses switches that are on, or off, where there is no such code here.
fn refuse(config: &Value, on: &[&str], off: &[&str]) -> Result<()> {
    for (names, refused) in [(on, true), (off, false)] {
        let is = |name: &&&str| config.get(**name).and_then(Value::as_bool) == Some(refused);
        if let Some(name) = names.iter().find(is) {
            return Err(wrong(name, &format!("{}, which alone is supported", !refused)));
        }
    }
    let act = config.get("act_cfg").and_then(|act| act.get("type")).and_then(Value::as_str);
    if act.is_some_and(|act| act != "GELU") {
        return Err(wrong("act_cfg", "GELU, which alone is supported"));
    }
    Ok(())
}

fn wrong(name: &str, expected: &str) -> ModelError {
    ModelError::Config(format!("{name} of the official configuration: expected {expected}"))
}

/// A whole number, also where it is written as 4.0.
fn signed(value: &Value) -> Option<i64> {
    let float = || value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 2_f64.powi(53));
    value.as_i64().or_else(|| float().map(|float| float as i64))
}

fn whole(value: &Value) -> Option<usize> {
    usize::try_from(signed(value)?).ok()
}

/// A number; a list of equal numbers counts as one, as sides of a square are written.
fn number(config: &Value, name: &str) -> Result<usize> {
    let value = config.get(name).ok_or_else(|| wrong(name, "a number, found none"))?;
    let found = match value {
        Value::Array(sides) if sides.windows(2).all(|pair| pair[0] == pair[1]) => sides.first().and_then(whole),
        other => whole(other),
    };
    found.ok_or_else(|| wrong(name, &format!("a whole number, found {value}")))
}

fn number_or(config: &Value, name: &str, default: usize) -> Result<usize> {
    if config.get(name).is_some_and(|value| !value.is_null()) { number(config, name) } else { Ok(default) }
}

fn float_or(config: &Value, name: &str, default: f64) -> f64 {
    config.get(name).and_then(Value::as_f64).unwrap_or(default)
}

/// Epsilon of the layer norms, which may stand in `norm_cfg`.
fn epsilon(config: &Value, default: f64) -> f64 {
    let norm = config.get("norm_cfg").and_then(|norm| norm.get("eps")).and_then(Value::as_f64);
    float_or(config, "ln_eps", norm.unwrap_or(default))
}

fn flag(config: &Value, name: &str) -> bool {
    config.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn list(config: &Value, name: &str) -> Result<Vec<usize>> {
    let values = config.get(name).and_then(Value::as_array).ok_or_else(|| wrong(name, "a list of numbers"))?;
    values.iter().map(|value| whole(value).ok_or_else(|| wrong(name, "whole numbers"))).collect()
}

/// One number for each stage, given as such or once for all.
fn per_stage(config: &Value, name: &str, stages: usize, default: usize) -> Result<Vec<usize>> {
    let values = match config.get(name) {
        Some(Value::Array(_)) => list(config, name)?,
        _ => vec![number_or(config, name, default)?; stages],
    };
    if values.len() == stages {
        return Ok(values);
    }
    Err(wrong(name, &format!("one number, or one for each of {stages} stages")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hr() -> Value {
        json!({"embed_dims": 12, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4})
    }

    fn series() -> Value {
        json!({"in_channels": 10, "embed_dims": 32, "num_layers": 3, "num_heads": 4, "img_size": 16})
    }

    fn with(mut config: Value, name: &str, value: Value) -> Value {
        config[name] = value;
        config
    }

    #[test]
    fn numbers_may_be_written_in_every_way_that_python_takes() {
        assert_eq!(vit(&with(series(), "mlp_ratio", json!(4.0))).unwrap(), vit(&series()).unwrap());
        assert_eq!(vit(&with(series(), "img_size", json!([16, 16]))).unwrap(), vit(&series()).unwrap());
        assert_eq!(swin_v2(&with(hr(), "window_size", json!([4, 4]))).unwrap(), swin_v2(&hr()).unwrap());
        let each = swin_v2(&with(hr(), "window_size", json!([4, 2]))).unwrap();
        assert_eq!([each.stage_window(0), each.stage_window(1)], [4, 2]);
        let error = vit(&with(series(), "mlp_ratio", json!(2.5))).unwrap_err().to_string();
        assert!(error.contains("mlp_ratio") && error.contains("2.5"), "{error}");
    }

    #[test]
    fn levels_are_ascending_whatever_is_written() {
        for (given, expected) in [
            (json!(1), vec![1]),
            (json!(-1), vec![2]),
            (json!([2, 0]), vec![0, 2]),
            (json!([0, -1, 2]), vec![0, 2]),
            (Value::Null, vec![2]),
        ] {
            assert_eq!(out_levels(&with(series(), "out_indices", given.clone()), 3).unwrap(), expected, "{given}");
        }
        for given in [json!(3), json!(-4), json!([]), json!("all")] {
            assert!(out_levels(&with(series(), "out_indices", given), 3).is_err());
        }
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        for (name, value) in [("final_norm", json!(true)), ("qkv_bias", json!(false)), ("patch_size", json!(0))] {
            let error = vit(&with(series(), name, value)).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
        let error = vit(&with(series(), "act_cfg", json!({"type": "ReLU"}))).unwrap_err().to_string();
        assert!(error.contains("act_cfg"), "{error}");
        let error = swin_v2(&with(hr(), "window_size", json!([4, 4, 4]))).unwrap_err().to_string();
        assert!(error.contains("window_size"), "{error}");
    }

    #[test]
    fn the_calendar_is_as_long_as_the_configuration_says() {
        let neck = json!({"input_dims": 24, "embed_dims": 32, "num_layers": 1, "num_heads": 4});
        let config = json!({"backbone_hr": hr(), "fusion": neck, "calendar_time": 366});
        let read = encoder(&config).unwrap();
        assert_eq!((read.fusion.calendar, read.fusion.days), (Calendar::S2Only, 366));
        let made = read.init(&burn::tensor::Device::flex()).unwrap();
        let table = crate::checkpoint::parameters(&made, "").into_iter().find(|(name, _)| name == "ctpe");
        assert_eq!(table.unwrap().1, [1, 366, 24]);
        assert_eq!(encoder(&with(config, "use_ctpe", json!(false))).unwrap().fusion.calendar, Calendar::None);
    }
}
