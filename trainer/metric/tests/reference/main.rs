//! Every metric against the numbers of a well-known implementation. `fixtures/regenerate.py` says which, and makes them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod boxes;
mod calibration;
mod classes;
mod coco;
mod dota;
mod intervals;
mod maps;
mod numbers;

use std::path::Path;

use serde_json::Value;
use skysense_metric::Accumulator;

/// The cases of a file, at least so many.
fn cases(name: &str, least: usize) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() >= least, "{name} has {} cases, expected {least}", cases.len());
    cases
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn wholes(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(whole).collect()
}

fn whole(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn flags(value: &Value) -> Vec<bool> {
    value.as_array().unwrap().iter().map(|flag| flag.as_bool().unwrap()).collect()
}

fn rows<T>(value: &Value, row: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(row).collect()
}

/// The same rule: the same number.
#[track_caller]
fn same(found: Option<f64>, expected: &Value, what: &str) {
    near(found, expected, 1e-9, what);
}

#[track_caller]
fn near(found: Option<f64>, expected: &Value, within: f64, what: &str) {
    let agree = match (found, expected.as_f64()) {
        (None, None) => expected.is_null(),
        (Some(found), Some(expected)) => (found - expected).abs() <= within * expected.abs().max(1.0),
        _ => false,
    };
    assert!(agree, "{what}: {found:?}, expected {expected}");
}

#[track_caller]
fn all_same(found: &[Option<f64>], expected: &Value, what: &str) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    found
        .iter()
        .zip(expected)
        .enumerate()
        .for_each(|(at, (found, expected))| same(*found, expected, &format!("{what} {at}")));
}

/// Parts that were counted apart, put together from the last to the first.
fn together<A: Accumulator>(parts: Vec<A>) -> A {
    let mut parts = parts.into_iter().rev();
    let mut sum = parts.next().unwrap();
    parts.for_each(|part| sum.merge(&part).unwrap());
    sum
}
