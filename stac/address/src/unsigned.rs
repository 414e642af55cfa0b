//! Addresses for outputs and hashes: nothing is left of what opens them, and what remains can be signed anew.

use crate::secret::is_secret;
use crate::{address_end, pairs, parts};

/// An href without user, password and secret parameters of its query and fragment. What is no URL stays as it is.
pub fn unsigned(href: &str) -> String {
    match href.split_once("://") {
        Some((scheme, tail)) => format!("{scheme}://{}", place(tail)),
        None => href.to_owned(),
    }
}

/// A text whose addresses are all [`unsigned`].
pub fn unsigned_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, after) = rest.split_at(found + 3);
        let (address, after) = after.split_at(address_end(after));
        out.push_str(&bare(before));
        out.push_str(&place(address));
        rest = after;
    }
    out + &bare(rest)
}

/// A text between addresses: what follows an address with a blank in it, a path of GDAL.
fn bare(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let Some((path, query)) = word.split_once('?').filter(|(_, query)| query.contains('=')) else {
            return word.to_owned();
        };
        let (query, after) = query.split_at(address_end(query));
        let open = open(query);
        let sign = if open.is_empty() { "" } else { "?" };
        format!("{path}{sign}{open}{after}")
    });
    words.collect()
}

/// A query or fragment without its secrets.
fn open(query: &str) -> String {
    let open = pairs(query).filter(|(_, pair)| !is_secret(pair));
    let joined = open.enumerate().map(|(at, (sign, pair))| format!("{}{pair}", if at == 0 { "" } else { sign }));
    joined.collect()
}

/// What follows `://`.
fn place(tail: &str) -> String {
    let (host, path, query, fragment) = parts(tail);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let mut out = format!("{host}{path}");
    for (sign, query) in [('?', query), ('#', fragment)] {
        let Some(query) = query else { continue };
        let open = open(query);
        // A `?` that stood alone stays: only what was cut is gone.
        if !open.is_empty() || query.is_empty() {
            out.push(sign);
            out.push_str(&open);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_place_and_loses_what_opens_it() {
        for (text, expected) in [
            ("http://user:PW@host:80/c.json?sig=X", "http://host:80/c.json"),
            ("https://host/c.json?v=2&sig=X&se=1", "https://host/c.json?v=2"),
            ("https://a@b:c@host?X-Amz-Signature=1#access_token=2", "https://host"),
            ("see https://u:p@a/x and 's3://k:s@b/y?token=1'", "see https://a/x and 's3://b/y'"),
            ("https://host/a@b/c?limit=10#part", "https://host/a@b/c?limit=10#part"),
            ("https://host/?", "https://host/?"),
            ("https://h/with a blank.tif?sig=S&v=1", "https://h/with a blank.tif?v=1"),
            ("http://u:p/S@host/x?a=1;token=S", "http://host/x?a=1"),
            ("POLYGON((0 0, 1 1))", "POLYGON((0 0, 1 1))"),
            ("://", "://"),
            ("ä://ü@ö?sig=é", "ä://ö"),
        ] {
            assert_eq!(unsigned_text(text), expected);
            assert_eq!(unsigned_text(expected), expected, "twice is once");
        }
    }

    #[test]
    fn outputs_name_their_sources_without_signatures() {
        assert_eq!(unsigned("https://u:p@h/a.json?sig=1&v=2&se=3"), "https://h/a.json?v=2");
        assert_eq!(unsigned("https://h/a.tif?X-Amz-Signature=1"), "https://h/a.tif");
        assert_eq!(unsigned("https://h/with a blank.tif?sig=1"), "https://h/with a blank.tif");
        assert_eq!(unsigned("/data/a?b=1"), "/data/a?b=1");
    }
}
