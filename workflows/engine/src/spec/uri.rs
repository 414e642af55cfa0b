//! Addresses without what opens them: user, password, token and signature.
//!
//! What may be shown or stored, and what a workflow's hash is made from, names a place. How one gets in there
//! is nobody's business, and changes with every new token while the workflow stays the same.

use serde_json::Value as Json;

/// Query parameters that open a door, in lower case with hyphens.
const SECRET: &[&str] = &[
    "sig",
    "sas",
    "se",
    "sp",
    "sv",
    "sr",
    "st",
    "ske",
    "skoid",
    "sks",
    "skt",
    "sktid",
    "skv",
    "key",
    "api-key",
    "apikey",
    "subscription-key",
    "key-pair-id",
    "awsaccesskeyid",
    "googleaccessid",
    "password",
    "passwd",
    "pwd",
    "secret",
    "client-secret",
    "policy",
    "expires",
    "auth",
    "authorization",
    "code",
    "session",
];

/// Cuts credentials out of every text of a tree.
pub(super) fn close(value: &mut Json) {
    match value {
        Json::String(text) => {
            if text.contains("://") {
                *text = closed(text);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(close),
        Json::Object(fields) => fields.values_mut().for_each(close),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// A text whose addresses have no user, no password and no secret parameter of a query or fragment.
pub(super) fn closed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, after) = rest.split_at(found + 3);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|'))
            .unwrap_or(after.len());
        out.push_str(before);
        out.push_str(&without_credentials(&after[..end]));
        rest = &after[end..];
    }
    out + rest
}

/// What follows `://`: host, path, query and fragment.
fn without_credentials(tail: &str) -> String {
    let (tail, fragment) = tail.split_once('#').map_or((tail, None), |(tail, fragment)| (tail, Some(fragment)));
    let (tail, query) = tail.split_once('?').map_or((tail, None), |(tail, query)| (tail, Some(query)));
    let (host, path) = tail.split_at(tail.find('/').unwrap_or(tail.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let mut out = format!("{host}{path}");
    for (sign, pairs) in [('?', query), ('#', fragment)] {
        let Some(pairs) = pairs else { continue };
        let open: Vec<&str> = pairs.split('&').filter(|pair| !is_secret(pair)).collect();
        // A `?` that stood alone stays: only what was cut is gone.
        if !open.is_empty() {
            out.push(sign);
            out.push_str(&open.join("&"));
        }
    }
    out
}

fn is_secret(pair: &str) -> bool {
    let Some((name, _)) = pair.split_once('=') else { return false };
    let name = name.to_ascii_lowercase().replace("%2d", "-").replace(['_', '.'], "-");
    SECRET.contains(&name.as_str())
        || ["x-amz-", "x-goog-", "x-ms-"].iter().any(|start| name.starts_with(start))
        || ["token", "signature", "secret", "password"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            ("POLYGON((0 0, 1 1))", "POLYGON((0 0, 1 1))"),
            ("://", "://"),
            ("ä://ü@ö?sig=é", "ä://ö"),
        ] {
            assert_eq!(closed(text), expected);
            assert_eq!(closed(expected), expected, "twice is once");
        }
        let mut tree = json!({"a": [{"b": "http://u:p@h/"}], "n": 1});
        close(&mut tree);
        assert_eq!(tree, json!({"a": [{"b": "http://h/"}], "n": 1}));
    }
}
