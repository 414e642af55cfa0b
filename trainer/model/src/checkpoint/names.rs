//! Names of parameters: ours, the published ones, and what files of different age and origin make of those.
//!
//! Every rule about names is a row of a table here, and nowhere else.

/// Ours and theirs; applied in this order to the dotted path of a parameter.
const RENAMED: &[(&str, &str)] = &[
    ("encoders.", ""),
    ("fusion.ctpe", "ctpe"),
    (".attn.logit_scale", ".attn.w_msa.logit_scale"),
    (".attn.q_bias", ".attn.w_msa.q_bias"),
    (".attn.v_bias", ".attn.w_msa.v_bias"),
    (".attn.cpb_first.", ".attn.w_msa.cpb_mlp.0."),
    (".attn.cpb_second.", ".attn.w_msa.cpb_mlp.2."),
    (".attn.qkv.", ".attn.w_msa.qkv."),
    (".attn.proj.", ".attn.w_msa.proj."),
    (".attn.in_proj.", ".attn.attn.in_proj_"),
    (".attn.out_proj.", ".attn.attn.out_proj."),
    (".ffn.expand.", ".ffn.layers.0.0."),
    (".ffn.contract.", ".ffn.layers.1."),
    ("patch_embed.weight", "patch_embed.projection.weight"),
    ("patch_embed.bias", "patch_embed.projection.bias"),
    ("head_s2.", "head_s2.decoder.0."),
    ("head_s1.", "head_s1.decoder.0."),
];

/// Spellings of files, and the published one.
const ALIASES: &[(&str, &str)] = &[
    (".Wqkv.", ".in_proj_"),
    ("fa_history", "fa_context"),
    ("backbone_gep.", "backbone_hr."),
    ("fusion.ctpe", "ctpe"),
];

/// Parts of names that say that a tensor is not a parameter of ours, and why.
const IGNORED: &[(&str, &str)] = &[
    ("relative_position_index", "computed from the window"),
    ("relative_coords_table", "computed from the window"),
    ("mask_token", "pre-training by masks only"),
    ("vocabulary_token", "annotation tokens of SkySense++"),
    ("vocabulary_weight", "annotation tokens of SkySense++"),
    ("attn1", "annotation branch of SkySense++"),
    ("attn2", "annotation branch of SkySense++"),
    ("attn3", "annotation branch of SkySense++"),
    ("norm_attn", "annotation branch of SkySense++"),
    ("modality_vae", "completion of modalities of SkySense++"),
    ("head_rec_hr", "pre-training head of SkySense++"),
];

/// Names from the start that are not parameters of ours, and why.
const IGNORED_STARTS: &[(&str, &str)] = &[
    ("backbone_s2.ln1.", "a final norm, which this encoder does not apply"),
    ("backbone_s1.ln1.", "a final norm, which this encoder does not apply"),
];

/// Modules as the published whole model names them; it has no prototypes, whose keys are ours.
pub(super) const MODULES: &[&str] =
    &["backbone_hr", "backbone_s2", "backbone_s1", "head_s2", "head_s1", "fusion", "geo_context"];

/// The calendar table of the fusion.
pub(super) const CALENDAR: &str = "ctpe";

/// What files of one module have before their keys.
pub(super) const BACKBONE: &str = "backbone.";

/// The published name of a parameter, from its path in a [`crate::SkySense`].
pub(super) fn published(path: &str) -> String {
    let name = RENAMED.iter().fold(path.to_string(), |name, (ours, theirs)| name.replace(ours, theirs));
    // `norms.2.` is `norm2.`: the outer norms of the high-resolution encoder.
    match name.split_once("norms.") {
        Some((before, after)) => format!("{before}norm{after}"),
        None => name,
    }
}

/// The published spelling of a key.
pub(super) fn spelled(key: &str) -> String {
    ALIASES.iter().fold(key.to_string(), |key, (theirs, published)| key.replace(theirs, published))
}

/// Why a tensor is left out, if it is; `name` is published and whole.
pub(super) fn ignored(name: &str) -> Option<&'static str> {
    let part = |(part, why): &(&str, &'static str)| name.split('.').any(|own| own == *part).then_some(*why);
    let start = |(start, why): &(&str, &'static str)| name.starts_with(start).then_some(*why);
    IGNORED.iter().find_map(part).or_else(|| IGNORED_STARTS.iter().find_map(start))
}

/// The module of a whole name, or `None` where it names none.
pub(super) fn module(name: &str) -> Option<&'static str> {
    let (first, _) = name.split_once('.')?;
    MODULES.iter().find(|module| **module == first).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_become_theirs() {
        for (ours, theirs) in [
            ("encoders.backbone_hr.norms.3.weight", "backbone_hr.norm3.weight"),
            ("encoders.backbone_hr.stages.2.blocks.5.norm3.weight", "backbone_hr.stages.2.blocks.5.norm3.weight"),
            ("fusion.layers.0.attn.in_proj.weight", "fusion.layers.0.attn.attn.in_proj_weight"),
            ("head_s2.weight", "head_s2.decoder.0.weight"),
            ("fusion.ctpe", "ctpe"),
        ] {
            assert_eq!(published(ours), theirs);
        }
    }

    #[test]
    fn spellings_of_files_become_the_published_ones() {
        assert_eq!(spelled("layers.3.attn.attn.Wqkv.weight"), "layers.3.attn.attn.in_proj_weight");
        assert_eq!(spelled("layers.3.attn.attn.Wqkv.bias"), "layers.3.attn.attn.in_proj_bias");
        assert_eq!(spelled("backbone_gep.norm3.weight"), "backbone_hr.norm3.weight");
    }

    #[test]
    fn buffers_are_ignored_and_weights_are_not() {
        assert!(ignored("backbone_hr.stages.0.blocks.1.attn.w_msa.relative_coords_table").is_some());
        assert!(ignored("backbone_hr.attn1.proj_in.weight").is_some());
        assert!(ignored("backbone_s2.ln1.weight").is_some());
        for name in
            ["backbone_s2.layers.0.ln1.weight", "backbone_hr.norm3.weight", "fusion.layers.0.attn.attn.in_proj_bias"]
        {
            assert_eq!(ignored(name), None, "{name}");
        }
    }
}
