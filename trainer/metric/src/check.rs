//! What is asked of numbers before they are counted.

use crate::MetricError;

/// All are finite.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<(), MetricError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(MetricError::NotFinite { what, at, found: values[at] }),
        None => Ok(()),
    }
}

/// All are finite and from 0 to 1.
pub(crate) fn shares(what: &'static str, values: &[f64]) -> Result<(), MetricError> {
    finite(what, values)?;
    match values.iter().position(|value| !(0.0..=1.0).contains(value)) {
        Some(at) => Err(MetricError::Range { what, at, found: values[at], expected: "0 to 1" }),
        None => Ok(()),
    }
}

/// A list is as long as another.
pub(crate) fn length(what: &'static str, found: usize, expected: usize, each: &'static str) -> Result<(), MetricError> {
    if found == expected { Ok(()) } else { Err(MetricError::Length { what, found, expected, each }) }
}

/// A class is one of those that are counted.
pub(crate) fn class(what: &'static str, at: usize, found: usize, classes: usize) -> Result<(), MetricError> {
    let number = i64::try_from(found).unwrap_or(i64::MAX);
    if found < classes { Ok(()) } else { Err(MetricError::Class { what, at, found: number, classes }) }
}

/// Two parts count the same.
pub(crate) fn alike<T: PartialEq + std::fmt::Debug>(
    what: &'static str,
    found: &T,
    expected: &T,
) -> Result<(), MetricError> {
    if found == expected {
        return Ok(());
    }
    Err(MetricError::Unlike { what, found: format!("{found:?}"), expected: format!("{expected:?}") })
}
