//! How a map was made, in words.

use skysense_edges::{MapFacts, ValueDecision};

/// How a map was made, in words: from `items` items, with what was decided about them.
pub fn lineage(facts: &MapFacts, items: usize, decisions: &[ValueDecision]) -> String {
    let chips = &facts.chips;
    let modalities: Vec<String> =
        chips.modalities.iter().map(|(name, m)| format!("{name} ({}) bands {}", m.sensor, m.bands.join(" "))).collect();
    let mut text = format!(
        "{items} items, brought onto one grid and cut into chips of {} px that overlap by {} px: {}. Model {} ({}), maps blended over the overlap.",
        chips.chip_size,
        chips.overlap,
        modalities.join("; "),
        facts.model.name,
        facts.model.preset
    );
    for (modality, bands) in &facts.absent_bands {
        text.push_str(&format!(
            " The model ran without its {modality} bands {}; its patch embedding was rescaled.",
            bands.join(" ")
        ));
    }
    for ValueDecision { what, decision, items, .. } in decisions {
        text.push_str(&format!(" {what}: {decision} ({} items).", items.len()));
    }
    text
}
