//! What the author of a broken workflow reads: the whole text, with lines, columns and hints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod edges;
mod params;
mod settings;
mod text;
#[path = "../types/mod.rs"]
mod types;

use skysense_engine::{Bindings, Faults, Source, Spec, Surroundings};

struct Nothing;

impl Surroundings for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> Option<String> {
        None
    }
}

pub(crate) fn faults(text: &str, params: &[(&str, &str)]) -> Faults {
    let params: Vec<(String, String)> =
        params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let bindings = Bindings { params: &params, folder: "/here".into(), surroundings: &Nothing, require: true };
    Spec::from_source(&Source::from_text("w.yaml", text), &types::types(), &bindings)
        .expect_err("this workflow is broken")
}

/// Compares the printed faults of a text.
#[track_caller]
pub(crate) fn expect(text: &str, expected: &str) {
    let found = faults(text, &[]).to_string();
    assert!(found.trim() == expected.trim(), "found:\n{found}\nexpected:\n{expected}");
}
