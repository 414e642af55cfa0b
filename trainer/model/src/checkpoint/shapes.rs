//! What a model looks like, from the shapes of its tensors.
//!
//! Most numbers stand in the shapes. Those that do not (heads of the plain transformers, the window, whether a class
//! token takes part) come from the settings, else from the preset of the same widths, else from the rules below; the
//! answer says for each where it is from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::error::{CheckpointError, Result};
use super::names::CALENDAR;
use crate::calendar::{Calendar, DAYS};
use crate::encoder::SkySenseConfig;
use crate::fusion::FusionConfig;
use crate::geo_context::GeoContextConfig;
use crate::position::Interpolation;
use crate::preset::{PRESETS, preset};
use crate::swin::SwinV2Config;
use crate::up_head::UpHeadConfig;
use crate::vit::VitConfig;

/// Width of a head of the plain transformers where nothing says otherwise: that of ViT-L.
const HEAD_WIDTH: usize = 64;
/// Window of the published high-resolution encoder.
const WINDOW: usize = 8;
/// Most layers, stages or blocks that are looked for.
const LAYERS: usize = 4096;

/// What shapes do not say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShapeSettings {
    /// Heads of the series encoders and the fusion, where the next three say nothing.
    pub heads: Option<usize>,
    /// Heads of the Sentinel-2 encoder.
    pub s2_heads: Option<usize>,
    /// Heads of the Sentinel-1 encoder.
    pub s1_heads: Option<usize>,
    /// Heads of the fusion.
    pub fusion_heads: Option<usize>,
    /// Side of an attention window of the high-resolution encoder.
    pub window: Option<usize>,
    /// Window of pre-training in each stage, 0 where it is the same.
    pub pretrained_windows: Option<Vec<usize>>,
    /// Whether the class token takes part in attention.
    pub class_token: Option<bool>,
    /// Rows and columns of the position table of the Sentinel-2 encoder.
    pub s2_positions: Option<[usize; 2]>,
    /// The same for Sentinel-1.
    pub s1_positions: Option<[usize; 2]>,
    /// How position tables are resized; bicubic where nothing is said.
    pub interpolation: Option<Interpolation>,
    /// Which tokens carry the calendar encoding; those of Sentinel-2 where there is a table, else none.
    pub calendar: Option<Calendar>,
    /// Pads maps that are smaller than an attention window.
    pub pad_small_map: bool,
    /// Makes a fusion that starts untrained where the files have none, and not a model of encoders alone.
    pub untrained_fusion: bool,
}

/// A configuration, and where what does not stand in shapes is from.
#[derive(Debug)]
pub(super) struct Inferred {
    pub(super) config: SkySenseConfig,
    /// The preset whose sizes these are.
    pub(super) preset: Option<&'static str>,
    pub(super) choices: BTreeMap<String, String>,
    /// The encoders, where the files hold no fusion.
    pub(super) alone: Vec<Alone>,
}

/// An encoder without a fusion behind it: what it gives is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alone {
    /// Name of the encoder in checkpoints.
    pub module: &'static str,
    /// Whether its up head is there.
    pub raised: bool,
}

impl Alone {
    /// Channels of what it gives.
    pub fn channels(self, config: &SkySenseConfig) -> usize {
        let series = |series: &Option<(VitConfig, UpHeadConfig)>| match series {
            Some((_, up)) if self.raised => up.channels_out,
            Some((vit, _)) => vit.channels,
            None => 0,
        };
        match self.module {
            "backbone_s2" => series(&config.s2),
            "backbone_s1" => series(&config.s1),
            _ => config.hr.as_ref().map_or(0, |hr| hr.stage_channels(hr.depths.len().saturating_sub(1))),
        }
    }
}

/// What the tensors of an assembly are the weights of.
pub(super) fn infer(assembly: &Assembly, settings: &ShapeSettings) -> Result<Inferred> {
    let mut shapes = Shapes { assembly, settings, choices: BTreeMap::new() };
    let hr = assembly.has("backbone_hr").then(|| shapes.hr()).transpose()?;
    let guess = shapes.guess(hr.as_ref());
    let s2 = assembly.has("backbone_s2").then(|| shapes.vit("backbone_s2", settings.s2_positions)).transpose()?;
    let s1 = assembly.has("backbone_s1").then(|| shapes.vit("backbone_s1", settings.s1_positions)).transpose()?;
    for (head, encoder, there) in [("head_s2", "backbone_s2", s2.is_some()), ("head_s1", "backbone_s1", s1.is_some())] {
        if assembly.has(head) && !there {
            let found = "an up head alone, which raises what an encoder gives";
            return Err(fault(head, found, &format!("weights of {encoder}"), "name its file as well"));
        }
    }
    if hr.is_none() && s2.is_none() && s1.is_none() {
        let hint = "name a file with --hr, --s2, --s1 or --full";
        return Err(fault(
            "the model",
            &unknown(assembly),
            "at least one of backbone_hr, backbone_s2, backbone_s1",
            hint,
        ));
    }
    let there = [("backbone_hr", hr.is_some(), ""), ("backbone_s2", s2.is_some(), "head_s2")];
    let there = there.into_iter().chain([("backbone_s1", s1.is_some(), "head_s1")]).filter(|(_, there, _)| *there);
    let one = |(module, _, head): (&'static str, bool, &str)| Alone {
        module,
        raised: !head.is_empty() && assembly.has(head),
    };
    let alone: Vec<Alone> = match assembly.has("fusion") || settings.untrained_fusion {
        true => Vec::new(),
        false => there.map(one).collect(),
    };
    // The width of the tokens: what the encoders give, for they are what a fusion must fit.
    let projected = assembly.shape("fusion.porj_linear.weight").and_then(|shape| shape.get(1).copied());
    let last = hr.as_ref().map(|hr| hr.stage_channels(hr.depths.len() - 1));
    let head = |name: &str, vit: &VitConfig| {
        let rows = assembly.shape(&format!("{name}.decoder.0.weight")).and_then(|shape| shape.first().copied())?;
        Some(rows / (vit.patch * vit.patch))
    };
    let heads = [("head_s2", &s2), ("head_s1", &s1)];
    // A fusion's tokens are the heads' where its width leaves a square of them, for a head may raise by another number
    // than the patch; else an up head undoes the patches.
    let raised = |width: usize| heads.iter().any(|(name, _)| scale(assembly, name, width).is_some());
    let heads = projected
        .filter(|width| raised(*width))
        .or_else(|| heads.iter().find_map(|(name, vit)| head(name, vit.as_ref()?)));
    let like = match alone.is_empty() {
        false => s2.as_ref().or(s1.as_ref()).map(|vit| vit.channels),
        true => guess.map(|guess| guess.fusion.channels_in),
    };
    let Some(width) = last.or(heads).or(projected).or(like).filter(|width| *width > 0) else {
        return Err(fault(
            "fusion",
            "no tensor that tells how wide its tokens are",
            "an HR encoder, an up head or a fusion",
            "name the file of the up head or of the fusion",
        ));
    };
    let up = |vit: VitConfig, name: &str| {
        // What encoders alone give need not be as wide.
        let (scale, channels_out) = match alone.is_empty() {
            true => (scale(assembly, name, width).unwrap_or(vit.patch), width),
            false => (vit.patch, head(name, &vit).unwrap_or(width)),
        };
        let up = UpHeadConfig { channels_in: vit.channels, channels_out, scale };
        (vit, up)
    };
    let channels = s2.as_ref().or(s1.as_ref()).map(|vit| vit.channels);
    let (s2, s1) = (s2.map(|vit| up(vit, "head_s2")), s1.map(|vit| up(vit, "head_s1")));
    let fusion = match alone.is_empty() {
        true => shapes.fusion(width, channels)?,
        false => shapes.no_fusion(&alone),
    };
    let geo_context = shapes.geo_context(fusion.channels, &alone)?;
    let mut config = SkySenseConfig { hr, s2, s1, fusion, geo_context };
    if !alone.is_empty() {
        // Features side by side.
        config.fusion = FusionConfig::absent(alone.iter().map(|alone| alone.channels(&config)).sum());
    }
    let preset = matching(&config);
    if let Some(name) = preset {
        rates(&mut config, name);
    }
    Ok(Inferred { config, preset, choices: shapes.choices, alone })
}

/// What was found where no encoder is: a module that cannot run by itself, or keys that nothing knows.
fn unknown(assembly: &Assembly) -> String {
    const SHOWN: usize = 6;
    if assembly.has("fusion") {
        return "a fusion alone, which reads what encoders give".into();
    }
    if assembly.unexpected.is_empty() {
        return "no encoder".into();
    }
    let keys = assembly.unexpected.iter().take(SHOWN).map(|left| left.key.as_str());
    format!("no encoder among {} keys, such as {}", assembly.unexpected.len(), keys.collect::<Vec<_>>().join(", "))
}

/// What an up head multiplies the sides by, given the width of its tokens: it has a row for each token and channel.
fn scale(assembly: &Assembly, head: &str, width: usize) -> Option<usize> {
    let rows = *assembly.shape(&format!("{head}.decoder.0.weight"))?.first()?;
    let places = (width > 0 && rows.is_multiple_of(width)).then(|| rows / width)?;
    Some(places.isqrt()).filter(|scale| *scale > 0 && scale * scale == places)
}

struct Shapes<'a> {
    assembly: &'a Assembly,
    settings: &'a ShapeSettings,
    choices: BTreeMap<String, String>,
}

impl Shapes<'_> {
    fn hr(&mut self) -> Result<SwinV2Config> {
        const NAME: &str = "backbone_hr";
        let [channels, bands, patch, _] = self.sides(NAME, "patch_embed.projection.weight")?;
        let stages = self.many(|stage| format!("{NAME}.stages.{stage}."));
        if stages == 0 || channels.checked_shl(stages as u32).is_none_or(|last| last == 0 || stages > 16) {
            return Err(fault(NAME, &format!("{stages} stages"), "1 to 16 stages", "this is no Swin V2 encoder"));
        }
        let depths: Vec<usize> =
            (0..stages).map(|stage| self.many(|block| format!("{NAME}.stages.{stage}.blocks.{block}."))).collect();
        let mut heads = Vec::new();
        for (stage, depth) in depths.iter().enumerate() {
            let scale = format!("stages.{stage}.blocks.0.attn.w_msa.logit_scale");
            if *depth == 0 {
                return Err(fault(NAME, &format!("no block in stage {stage}"), "blocks", "the file is incomplete"));
            }
            let [stage_heads, _, _] = self.sides(NAME, &scale)?;
            heads.push(stage_heads);
        }
        let first = "stages.0.blocks.0";
        let [bias_hidden, _] = self.sides(NAME, &format!("{first}.attn.w_msa.cpb_mlp.0.weight"))?;
        let [widened, _] = self.sides(NAME, &format!("{first}.ffn.layers.0.0.weight"))?;
        let window = self.window();
        Ok(SwinV2Config {
            bands,
            patch,
            channels,
            extra_norm_every: self.extra_norm(&depths),
            pretrained_windows: self.pretrained(stages, window)?,
            heads,
            window,
            windows: Vec::new(),
            pad_small_map: self.settings.pad_small_map,
            bias_hidden,
            mlp_ratio: ratio(NAME, widened, channels)?,
            epsilon: 1e-5,
            drop_path: 0.0,
            // All of them: norms that a file lacks begin as plain ones.
            out_stages: (0..stages).collect(),
            depths,
        })
    }

    /// Side of the window, from the buffers that some files have.
    fn window(&mut self) -> usize {
        let table = "backbone_hr.stages.0.blocks.0.attn.w_msa.relative_coords_table";
        let index = "backbone_hr.stages.0.blocks.0.attn.w_msa.relative_position_index";
        let buffer = |name: &str| {
            let key = name.trim_start_matches("backbone_hr.");
            self.assembly.ignored.iter().find(|left| left.key.ends_with(key)).map(|left| left.shape.clone())
        };
        let by_table = buffer(table).and_then(|shape| Some(shape.get(1)?.div_ceil(2)));
        let by_index = || buffer(index).and_then(|shape| Some(shape.first()?.isqrt()));
        let (window, from) = match (self.settings.window, by_table.or_else(by_index)) {
            (Some(window), _) => (window, "the setting"),
            (None, Some(window)) if window > 0 => (window, "buffers in the file"),
            _ => (WINDOW, "the published configuration"),
        };
        self.note("hr.window", window, from);
        window
    }

    fn pretrained(&mut self, stages: usize, window: usize) -> Result<Vec<usize>> {
        let (windows, from) = match &self.settings.pretrained_windows {
            Some(windows) => (windows.clone(), "the setting"),
            None => (vec![0; stages], "the published configuration"),
        };
        // Distances are divided by one less than the window.
        if windows.len() != stages || windows.contains(&1) || window < 2 {
            let found = format!("window {window}, windows of pre-training {windows:?}");
            let expected = format!("a window of 2 or more, and {stages} windows of 0, or 2 and more");
            return Err(fault("backbone_hr", &found, &expected, "mend the settings"));
        }
        self.note("hr.pretrained_windows", format!("{windows:?}"), from);
        Ok(windows)
    }

    /// Every how many blocks a third norm stands; 0 for none.
    fn extra_norm(&self, depths: &[usize]) -> usize {
        let has = |stage: usize, block: usize| {
            self.assembly.shape(&format!("backbone_hr.stages.{stage}.blocks.{block}.norm3.weight")).is_some()
        };
        let of = |(stage, depth): (usize, &usize)| (0..*depth).find(|block| has(stage, *block)).map(|block| block + 1);
        depths.iter().enumerate().filter_map(of).min().unwrap_or(0)
    }

    fn vit(&mut self, name: &'static str, positions: Option<[usize; 2]>) -> Result<VitConfig> {
        let [channels, bands, patch, _] = self.sides(name, "patch_embed.projection.weight")?;
        let [_, slots, _] = self.sides(name, "pos_embed")?;
        let layers = self.many(|layer| format!("{name}.layers.{layer}."));
        let mlp_ratio = self.mlp_ratio(name, channels)?;
        let (positions, position_of_class) = grid(name, slots, positions)?;
        let class_token = self.settings.class_token.unwrap_or(false);
        let from = if self.settings.class_token.is_some() { "the setting" } else { "the published configuration" };
        self.note(&format!("{name}.class_token"), class_token, from);
        let layout = if position_of_class {
            "the table, with a slot of the class token"
        } else {
            "the table, without a slot of the class token"
        };
        self.note(&format!("{name}.positions"), format!("{positions:?}"), layout);
        let like = |config: SkySenseConfig| config.s2.map(|(vit, _)| (vit.channels, vit.layers, vit.heads));
        Ok(VitConfig {
            bands,
            channels,
            layers,
            heads: self.heads(name, (channels, layers), like)?,
            mlp_ratio,
            patch,
            positions,
            position_of_class,
            class_token,
            interpolation: self.settings.interpolation.unwrap_or(Interpolation::Bicubic),
            epsilon: 1e-6,
            drop_path: 0.0,
        })
    }

    /// Tells that there is no fusion, and what the encoders give.
    fn no_fusion(&mut self, alone: &[Alone]) -> FusionConfig {
        let gives = |alone: &Alone| match alone.raised {
            true => format!("{}: features are those of its up head", alone.module),
            false => format!("{}: features are those of its last layer", alone.module),
        };
        self.note("fusion", "none", &alone.iter().map(gives).collect::<Vec<_>>().join("; "));
        FusionConfig::absent(0)
    }

    /// The fusion; where the files have none, as a preset of the same encoders has it, else as wide as these.
    fn fusion(&mut self, channels_in: usize, channels: Option<usize>) -> Result<FusionConfig> {
        const NAME: &str = "fusion";
        let (calendar, days) = self.calendar(channels_in);
        let like = |config: SkySenseConfig| Some((config.fusion.channels, config.fusion.layers, config.fusion.heads));
        let (channels, layers, mlp_ratio) = if self.assembly.has(NAME) {
            let [_, _, channels] = self.sides(NAME, "cls_token")?;
            let layers = self.many(|layer| format!("{NAME}.layers.{layer}."));
            (channels, layers, self.mlp_ratio(NAME, channels)?)
        } else {
            let guess = self.presets().find(|(_, preset)| preset.fusion.channels_in == channels_in);
            let (channels, layers) = match (guess, channels) {
                (Some((_, preset)), _) => (preset.fusion.channels, preset.fusion.layers),
                (None, Some(channels)) => (channels, 4),
                (None, None) => (channels_in.next_multiple_of(HEAD_WIDTH).min(1024), 4),
            };
            self.note("fusion", format!("{layers} layers of {channels} channels"), "no file: it starts untrained");
            (channels, layers, 4)
        };
        Ok(FusionConfig {
            channels_in,
            channels,
            layers,
            heads: self.heads(NAME, (channels, layers), like)?,
            mlp_ratio,
            epsilon: 1e-5,
            drop_path: 0.0,
            calendar,
            days,
        })
    }

    /// The prototypes, and whether they have projections from features of so many channels.
    fn geo_context(&mut self, channels: usize, alone: &[Alone]) -> Result<Option<GeoContextConfig>> {
        const NAME: &str = "geo_context";
        if !self.assembly.has(NAME) {
            return Ok(None);
        }
        if !alone.is_empty() {
            let found = "prototypes, and no fusion whose features they are of";
            return Err(fault(NAME, found, "weights of fusion", "name its file as well"));
        }
        let [regions, prototypes, width] = self.sides(NAME, "prototypes")?;
        let projected = self.assembly.shape("geo_context.query.weight").is_some();
        if !projected && width != channels {
            let found = format!("prototypes of {width} channels without projections, and fused features of {channels}");
            let hint = "the file is of another model, or lacks query.weight and context.weight";
            return Err(fault(NAME, &found, "as many channels, or projections", hint));
        }
        let told = if projected { "projections in the file" } else { "no projections in the file" };
        self.note("geo_context.width", width, told);
        Ok(Some(GeoContextConfig { regions, prototypes, channels, width: projected.then_some(width) }))
    }

    /// Which tokens carry the calendar encoding, and the rows of its table.
    fn calendar(&mut self, channels_in: usize) -> (Calendar, usize) {
        let table = self.assembly.shape(CALENDAR).and_then(|shape| match *shape {
            [1, days, width] if days > 0 && width == channels_in => Some(days),
            _ => None,
        });
        let (calendar, from) = match (self.settings.calendar, table.is_some()) {
            (Some(calendar), _) => (calendar, "the setting"),
            (None, true) => (Calendar::S2Only, "the official code, as the files have a table"),
            (None, false) => (Calendar::None, "the files, which have no table"),
        };
        self.note("fusion.calendar", format!("{calendar:?}"), from);
        (calendar, table.unwrap_or(DAYS))
    }

    fn heads(
        &mut self,
        name: &'static str,
        (channels, layers): (usize, usize),
        like: impl Fn(SkySenseConfig) -> Option<(usize, usize, usize)>,
    ) -> Result<usize> {
        let known = self.presets().find_map(|(name, preset)| {
            let (c, l, heads) = like(preset)?;
            (c == channels && l == layers).then_some((heads, name))
        });
        let (own, option) = match name {
            "backbone_s2" => (self.settings.s2_heads, "mend --s2-heads or --heads"),
            "backbone_s1" => (self.settings.s1_heads, "mend --s1-heads or --heads"),
            _ => (self.settings.fusion_heads, "mend --fusion-heads or --heads"),
        };
        let (heads, from) = match (own.or(self.settings.heads), known) {
            (Some(heads), _) => (heads, "the setting".to_string()),
            (None, Some((heads, preset))) => (heads, format!("preset {preset}")),
            (None, None) if channels > 0 && channels % HEAD_WIDTH == 0 => {
                (channels / HEAD_WIDTH, format!("heads of {HEAD_WIDTH} channels, as in ViT-L"))
            }
            (None, None) => {
                let found = format!("{channels} channels, which are of no preset and no multiple of {HEAD_WIDTH}");
                return Err(fault(
                    name,
                    &found,
                    "a known number of heads",
                    "say it with --heads, or --s2-heads, --s1-heads and --fusion-heads",
                ));
            }
        };
        if heads == 0 || channels % heads != 0 {
            let found = format!("{heads} heads for {channels} channels");
            return Err(fault(name, &found, "heads that divide the channels", option));
        }
        self.note(&format!("{name}.heads"), heads, &from);
        Ok(heads)
    }

    fn mlp_ratio(&self, name: &'static str, channels: usize) -> Result<usize> {
        let [widened, _] = self.sides(name, "layers.0.ffn.layers.0.0.weight")?;
        ratio(name, widened, channels)
    }

    /// The preset whose encoders these are.
    fn guess(&self, hr: Option<&SwinV2Config>) -> Option<SkySenseConfig> {
        let vit = ["backbone_s2", "backbone_s1"].into_iter().find_map(|name| {
            let channels = self.assembly.shape(&format!("{name}.cls_token"))?.last().copied()?;
            Some((channels, self.many(|layer| format!("{name}.layers.{layer}."))))
        });
        let fits = |preset: &SkySenseConfig| {
            let same_hr = hr.zip(preset.hr.as_ref()).is_none_or(|(own, theirs)| own.channels == theirs.channels);
            let same_vit = vit.zip(preset.s2.as_ref()).is_none_or(|(own, (vit, _))| own == (vit.channels, vit.layers));
            same_hr && same_vit
        };
        self.presets().map(|(_, preset)| preset).find(fits)
    }

    /// From the paper's downwards: where only a part is known, its sizes are the likeliest.
    fn presets(&self) -> impl Iterator<Item = (&'static str, SkySenseConfig)> + use<> {
        PRESETS.into_iter().rev().filter_map(|name| Some((name, preset(name).ok()?)))
    }

    /// How many there are of something that is numbered from 0; one more than the highest that is there, so that a
    /// gap is told as missing.
    fn many(&self, start: impl Fn(usize) -> String) -> usize {
        let zero = start(0);
        let stem = zero.trim_end_matches("0.");
        let number = |name: &String| name.strip_prefix(stem)?.split_once('.')?.0.parse::<usize>().ok();
        let highest = self.assembly.tensors.keys().filter_map(number).filter(|number| *number < LAYERS).max();
        highest.map_or(0, |highest| highest + 1)
    }

    /// The sides of a tensor that must be there.
    fn sides<const D: usize>(&self, module: &'static str, name: &str) -> Result<[usize; D]> {
        let key = format!("{module}.{name}");
        let shape = self.assembly.shape(&key).ok_or_else(|| {
            fault(
                module,
                &format!("no {key}"),
                "the tensors that tell the module's shape",
                "the file is of another module or another model: compare its keys with docs/MODEL.md",
            )
        })?;
        let sides: Option<[usize; D]> = shape.try_into().ok();
        sides.filter(|sides| sides.iter().all(|side| (1..=1 << 24).contains(side))).ok_or_else(|| {
            let found = format!("{key} of shape {shape:?}");
            fault(module, &found, &format!("{D} sides, none of them 0"), "this is another model, or a damaged file")
        })
    }

    fn note(&mut self, name: &str, value: impl std::fmt::Display, from: &str) {
        let _previous = self.choices.insert(name.into(), format!("{value} ({from})"));
    }
}

/// Rows and columns of a position table, and whether its first slot is the class token's.
fn grid(name: &'static str, slots: usize, positions: Option<[usize; 2]>) -> Result<([usize; 2], bool)> {
    if let Some([rows, columns]) = positions {
        let places = rows.checked_mul(columns).filter(|places| *places > 0);
        return match places {
            Some(places) if places == slots => Ok(([rows, columns], false)),
            Some(places) if places + 1 == slots => Ok(([rows, columns], true)),
            _ => {
                let found = format!("a position table of {slots} rows, and a setting of {rows} x {columns}");
                Err(fault(name, &found, "rows x columns, or one more", "mend the setting"))
            }
        };
    }
    let square = |places: usize| (places > 0 && places.isqrt().pow(2) == places).then(|| [places.isqrt(); 2]);
    match (square(slots), square(slots - 1)) {
        (Some(grid), _) => Ok((grid, false)),
        (None, Some(grid)) => Ok((grid, true)),
        (None, None) => Err(fault(
            name,
            &format!("a position table of {slots} rows"),
            "a square grid, or one with a slot for the class token",
            "say its rows and columns with --s2-positions or --s1-positions",
        )),
    }
}

fn ratio(module: &'static str, widened: usize, channels: usize) -> Result<usize> {
    match widened / channels {
        0 => Err(fault(module, &format!("{widened} hidden channels over {channels}"), "more", "this is another model")),
        ratio => Ok(ratio),
    }
}

/// The preset of the same sizes; modalities and bands may be others, and position tables.
fn matching(config: &SkySenseConfig) -> Option<&'static str> {
    let hr = |hr: &SwinV2Config| (hr.channels, hr.depths.clone(), hr.heads.clone(), hr.window, hr.extra_norm_every);
    let vit = |vit: &VitConfig| (vit.channels, vit.layers, vit.heads, vit.patch, vit.mlp_ratio);
    let fusion = |f: &FusionConfig| (f.channels_in, f.channels, f.layers, f.heads, f.mlp_ratio);
    PRESETS.into_iter().find(|name| {
        let Ok(preset) = preset(name) else { return false };
        let hr = config.hr.as_ref().zip(preset.hr.as_ref()).is_none_or(|(own, theirs)| hr(own) == hr(theirs));
        let series = [&config.s2, &config.s1].into_iter().flatten();
        let series = series.zip(preset.s2.iter().cycle()).all(|((own, _), (theirs, _))| vit(own) == vit(theirs));
        hr && series && fusion(&config.fusion) == fusion(&preset.fusion)
    })
}

/// Stochastic depth, which no tensor tells, from the preset of the same sizes.
fn rates(config: &mut SkySenseConfig, name: &str) {
    let Ok(preset) = preset(name) else { return };
    if let (Some(own), Some(theirs)) = (&mut config.hr, preset.hr) {
        own.drop_path = theirs.drop_path;
    }
    for (own, theirs) in [(&mut config.s2, preset.s2), (&mut config.s1, preset.s1)] {
        if let (Some((own, _)), Some((theirs, _))) = (own, theirs) {
            own.drop_path = theirs.drop_path;
        }
    }
    config.fusion.drop_path = preset.fusion.drop_path;
}

fn fault(module: &'static str, found: &str, expected: &str, hint: &'static str) -> CheckpointError {
    CheckpointError::Shape { module, found: found.into(), expected: expected.into(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_of_position_tables_are_told_apart() {
        assert_eq!(grid("s2", 256, None).unwrap(), ([16, 16], false));
        assert_eq!(grid("s2", 257, None).unwrap(), ([16, 16], true));
        assert_eq!(grid("s2", 17, None).unwrap(), ([4, 4], true));
        assert_eq!(grid("s2", 2, Some([1, 2])).unwrap(), ([1, 2], false));
        assert_eq!(grid("s2", 9, Some([2, 4])).unwrap(), ([2, 4], true));
        assert!(grid("s2", 12, None).unwrap_err().to_string().contains("--s2-positions"));
        assert!(grid("s2", 12, Some([2, 5])).is_err());
    }
}
