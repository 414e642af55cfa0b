//! Addresses without what opens them: user, password, token and signature.
//!
//! What is shown, stored or hashed names a place. How one gets in there is nobody's business, and changes with every
//! new token while the place stays the same. [`redact()`] leaves `***` where something was, for messages; [`unsigned()`]
//! and [`unsigned_text`] leave nothing, for outputs and hashes.

mod redact;
mod secret;
mod unsigned;

pub use redact::{redact, redact_in_place, redact_queries};
pub use unsigned::{unsigned, unsigned_text};

/// Where an address that stands in a text ends.
fn address_end(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')).unwrap_or(text.len())
}

/// Pairs of a query or fragment, each with the sign before it.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split_inclusive(['&', ';']).scan("", |before, part| {
        let pair = part.trim_end_matches(['&', ';']);
        Some((std::mem::replace(before, &part[pair.len()..]), pair))
    })
}

/// Host, path, query and fragment of what follows `://`; the first may begin with user and password.
fn parts(whole: &str) -> (&str, &str, Option<&str>, Option<&str>) {
    let tail = whole;
    // A password may hold the signs that end a host. What stands behind the colon of a host is its port.
    let first = &tail[..tail.find(['/', '?', '#']).unwrap_or(tail.len())];
    let port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let secret = !first.contains('@') && first.split_once(':').is_some_and(|(_, after)| !port(after));
    let user = if secret { tail.rfind('@').map_or(0, |at| at + 1) } else { 0 };
    let (user, tail) = tail.split_at(user);
    if !user.is_empty() {
        let host = tail.find(['/', '?', '#']).unwrap_or(tail.len());
        let (_, path, query, fragment) = parts(&tail[host..]);
        return (&whole[..user.len() + host], path, query, fragment);
    }
    let (tail, fragment) = tail.split_once('#').map_or((tail, None), |(tail, fragment)| (tail, Some(fragment)));
    let (tail, query) = tail.split_once('?').map_or((tail, None), |(tail, query)| (tail, Some(query)));
    let (host, path) = tail.split_at(tail.find('/').unwrap_or(tail.len()));
    (host, path, query, fragment)
}
