//! Time as the state keeps it: milliseconds since 1970 in UTC.

use chrono::{DateTime, Utc};

/// Milliseconds since 1970 in UTC.
pub type Millis = i64;

/// Now.
pub fn now() -> Millis {
    Utc::now().timestamp_millis()
}

/// A moment of the state as RFC 3339; what lies outside of the calendar is empty.
pub(crate) fn text(at: Millis) -> String {
    DateTime::from_timestamp_millis(at).map(skysense_catalog::format_datetime).unwrap_or_default()
}
