//! Sizes of a preset in the words of trainer/benches/peer/encoders.py.

use serde_json::{Value, json};
use skysense_model::{SkySenseConfig, UpHeadConfig, VitConfig};

/// Bands of Sentinel-2 as the model takes them.
pub(crate) const S2: [&str; 10] = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"];

/// A series encoder for chips of a side.
pub(crate) fn series(found: &Option<(VitConfig, UpHeadConfig)>, side: usize) -> Value {
    let (vit, up) = found.as_ref().expect("a preset with both");
    json!({
        "bands": vit.bands, "channels": vit.channels, "heads": vit.heads, "layers": vit.layers,
        "mlp_ratio": vit.mlp_ratio, "side": side, "out": up.channels_out,
    })
}

/// The fusion.
pub(crate) fn fusion(sizes: &SkySenseConfig) -> Value {
    let fusion = &sizes.fusion;
    json!({
        "in": fusion.channels_in, "channels": fusion.channels, "heads": fusion.heads, "layers": fusion.layers,
        "mlp_ratio": fusion.mlp_ratio,
    })
}
