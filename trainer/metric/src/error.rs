//! What can go wrong with what is measured.

/// An error of a metric, worded for the person who gave the numbers.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A number is NaN or infinite.
    #[error(
        "{what} {at} is {found}, expected a finite number; leave out what has no value, or look for where it became so"
    )]
    NotFinite {
        /// Which number.
        what: &'static str,
        /// Its place among those given, from 0.
        at: usize,
        /// As given.
        found: f64,
    },
    /// A number is outside of what it can be.
    #[error("{what} {at} is {found}, expected {expected}")]
    Range {
        /// Which number.
        what: &'static str,
        /// Its place among those given, from 0.
        at: usize,
        /// As given.
        found: f64,
        /// What it can be.
        expected: &'static str,
    },
    /// A class that is not counted.
    #[error("{what} {at} is class {found}, expected 0 to {}; name the ignore value, or count more classes", .classes.saturating_sub(1))]
    Class {
        /// Truth or prediction.
        what: &'static str,
        /// Its place among those given, from 0.
        at: usize,
        /// As given.
        found: i64,
        /// How many classes there are.
        classes: usize,
    },
    /// Two lists that belong together differ in length.
    #[error("{found} {what}, expected {expected}: one for each {each}")]
    Length {
        /// Which list.
        what: &'static str,
        /// How long it is.
        found: usize,
        /// How long it should be.
        expected: usize,
        /// What each value belongs to.
        each: &'static str,
    },
    /// Two accumulators that count different things.
    #[error("cannot add up {what}: one has {found}, the other {expected}; use the same settings for all parts")]
    Unlike {
        /// What differs.
        what: &'static str,
        /// Of the one that is added.
        found: String,
        /// Of the one that is added to.
        expected: String,
    },
    /// A setting is out of its range.
    #[error("setting {setting} is {found}, expected {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// As given.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
}
