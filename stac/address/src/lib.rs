//! Addresses without what opens them: user, password, token and signature.
//!
//! What is shown, stored or hashed names a place. How one gets in there is nobody's business, and changes with every
//! new token while the place stays the same. [`redact()`] leaves `***` where something was, for messages; [`unsigned()`]
//! and [`unsigned_text`] leave nothing, for outputs and hashes.

mod redact;
mod secret;
mod unsigned;

pub use redact::{redact, redact_in_place};
pub use unsigned::{unsigned, unsigned_text};

/// Where an address that stands in a text ends.
fn address_end(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|')).unwrap_or(text.len())
}

/// Host, path, query and fragment of what follows `://`; the first may begin with user and password.
fn parts(tail: &str) -> (&str, &str, Option<&str>, Option<&str>) {
    let (tail, fragment) = tail.split_once('#').map_or((tail, None), |(tail, fragment)| (tail, Some(fragment)));
    let (tail, query) = tail.split_once('?').map_or((tail, None), |(tail, query)| (tail, Some(query)));
    let (host, path) = tail.split_at(tail.find('/').unwrap_or(tail.len()));
    (host, path, query, fragment)
}
