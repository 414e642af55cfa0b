//! Texts for people and logs: `***` where something was that opens a door.

use crate::secret::is_secret;
use crate::{address_end, pairs, parts};

/// The same text without user names and passwords in URLs, without the values of secret query parameters, and without
/// those of `Authorization`; everything else stays as it is.
pub fn redact(text: &str) -> String {
    hidden(text, Hide { shown: stars, all: false })
}

/// As [`redact`], and without the values of any query parameter: for messages of others, of whose addresses nothing is
/// needed beyond the place.
pub fn redact_queries(text: &str) -> String {
    hidden(text, Hide { shown: stars, all: true })
}

/// As [`redact`], with a `*` for each character, so that columns of the text stay where they were.
pub fn redact_in_place(text: &str) -> String {
    hidden(text, Hide { shown: |secret| "*".repeat(secret.chars().count()), all: false })
}

/// What is hidden, and what is shown instead.
#[derive(Clone, Copy)]
struct Hide {
    shown: fn(&str) -> String,
    /// Every parameter of a query, not the secret ones alone.
    all: bool,
}

fn stars(_: &str) -> String {
    "***".to_owned()
}

fn hidden(text: &str, hide: Hide) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, after) = rest.split_at(found + 3);
        out.push_str(&bare_queries(&headers(before, hide), hide));
        let (address, after) = after.split_at(address_end(after));
        out.push_str(&masked(address, hide));
        rest = after;
    }
    // A bare query (a path of GDAL, a fragment of a message) can hold a signature without a scheme before it.
    out.push_str(&bare_queries(&headers(rest, hide), hide));
    out
}

/// What follows `://`.
fn masked(tail: &str, hide: Hide) -> String {
    let (host, path, query, fragment) = parts(tail);
    let host = host.rsplit_once('@').map_or(host.to_owned(), |(user, host)| format!("{}@{host}", (hide.shown)(user)));
    let mut out = host + path;
    for (sign, pairs) in [('?', query), ('#', fragment)] {
        if let Some(pairs) = pairs {
            out.push(sign);
            out.push_str(&parameters(pairs, hide));
        }
    }
    out
}

fn parameters(query: &str, hide: Hide) -> String {
    let masked = pairs(query).map(|(sign, pair)| match pair.split_once('=') {
        Some((name, value)) if hide.all || is_secret(pair) => format!("{sign}{name}={}", (hide.shown)(value)),
        _ => format!("{sign}{pair}"),
    });
    masked.collect()
}

/// `?a=b&sig=c` outside of a URL.
fn bare_queries(text: &str, hide: Hide) -> String {
    let words = text.split_inclusive(char::is_whitespace).map(|word| match word.split_once('?') {
        Some((path, query)) if query.contains('=') => {
            let (query, after) = query.split_at(address_end(query));
            format!("{path}?{}{after}", parameters(query, hide))
        }
        _ => word.to_owned(),
    });
    words.collect()
}

/// Words that a secret follows, in lower case.
const HEADERS: [&str; 5] = ["proxy-authorization", "authorization", "x-api-key", "ocp-apim-subscription-key", "bearer"];
/// Words of a header before its secret.
const SCHEMES: [&str; 5] = ["bearer", "basic", "digest", "negotiate", "aws4-hmac-sha256"];

/// `Authorization: Bearer abc` keeps its name and scheme only, wherever in a text it stands.
fn headers(text: &str, hide: Hide) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    let next = |at: usize| {
        let found = HEADERS.iter().filter_map(|name| Some((at + lower[at..].find(name)?, *name)));
        found.min_by_key(|(start, _)| *start)
    };
    while let Some((start, name)) = next(at) {
        let end = start + name.len();
        let signs = &text[end..end + signs(&text[end..])];
        out.push_str(&text[at..end]);
        at = end;
        // A word in a sentence is no header: `Authorization` needs a colon or so, `Bearer` a blank.
        if signs.is_empty() || name != "bearer" && !signs.contains([':', '=']) {
            continue;
        }
        out.push_str(signs);
        at += signs.len();
        let mut length = word(&text[at..], signs);
        if SCHEMES.contains(&&lower[at..at + length]) {
            let scheme = length + self::signs(&text[at + length..]);
            out.push_str(&text[at..at + scheme]);
            at += scheme;
            length = word(&text[at..], signs);
        }
        if length > 0 {
            out.push_str(&(hide.shown)(&text[at..at + length]));
        }
        at += length;
    }
    out.push_str(&text[at..]);
    out
}

/// Bytes between a header's name and what it holds.
fn signs(text: &str) -> usize {
    text.find(|c: char| !(c.is_whitespace() || matches!(c, '"' | '\'' | ':' | '='))).unwrap_or(text.len())
}

/// Bytes of what a header holds; as a parameter of a query it ends with it.
fn word(text: &str, signs: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'') || c == '&' && signs.contains('=');
    text.find(ends).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_and_passwords_are_cut_and_the_rest_stays() {
        let azure = redact("https://a.blob.core.windows.net/c/B04.tif?st=2024&se=2025&sig=abc%2Bdef&sv=1 failed");
        assert_eq!(azure, "https://a.blob.core.windows.net/c/B04.tif?st=***&se=***&sig=***&sv=*** failed");
        assert_eq!(
            redact("https://user:secret@host/x?limit=10&X-Amz-Signature=1"),
            "https://***@host/x?limit=10&X-Amz-Signature=***"
        );
        assert_eq!(redact("GET /vsicurl/host/x.tif?sig=abc: 403"), "GET /vsicurl/host/x.tif?sig=*** 403");
        assert_eq!(redact("Authorization: Bearer abc.def sent"), "Authorization: Bearer *** sent");
        assert_eq!(redact("https://host/#access_token=x"), "https://host/#access_token=***");
        for (text, shown) in [
            (r#"{"Authorization":"Bearer SECRET"}"#, r#"{"Authorization":"Bearer ***"}"#),
            ("Authorization:Bearer SECRET", "Authorization:Bearer ***"),
            ("Authorization=Basic SECRET end", "Authorization=Basic *** end"),
            ("Authorization: abc and Bearer xyz", "Authorization: *** and Bearer ***"),
            ("X-Api-Key: SECRET", "X-Api-Key: ***"),
            ("no authorization was given", "no authorization was given"),
            (
                "/vsicurl?header.Authorization=Bearer%20S&url=https://h/x",
                "/vsicurl?header.Authorization=***&url=https://h/x",
            ),
            ("/vsicurl/h/x.tif?sig=S: 403, see https://docs/a", "/vsicurl/h/x.tif?sig=*** 403, see https://docs/a"),
            (
                "https://h/?access_key=S&x-api-key=S&credential=S&v=1",
                "https://h/?access_key=***&x-api-key=***&credential=***&v=1",
            ),
            ("https://h/?a=b;token=S&%73ig=S", "https://h/?a=b;token=***&%73ig=***"),
            ("https://h/?url=https%3A%2F%2Fme%3AS%40h%2Fx&n=1", "https://h/?url=***&n=1"),
            ("http://u:p/S@host/x?v=1", "http://***@host/x?v=1"),
            ("http://host:8080/a@b?v=1", "http://host:8080/a@b?v=1"),
            ("https://h/?sig=x|S", "https://h/?sig=***"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn columns_stay_where_they_were() {
        let line = r#"  with: {href: "https://me:pässword@h/c.json?v=2&sig=abc", wrong: 1}"#;
        let shown = r#"  with: {href: "https://***********@h/c.json?v=2&sig=***", wrong: 1}"#;
        assert_eq!(redact_in_place(line), shown);
    }

    #[test]
    fn messages_of_gdal_lose_what_opens_a_door() {
        let text =
            "`/vsicurl/https://me:pw@host.org/a/b.tif?sig=SECRET&se=1' does not exist (https://x.org/c.tif?token=T)";
        let clean = redact(text);
        assert_eq!(
            clean,
            "`/vsicurl/https://***@host.org/a/b.tif?sig=***&se=***' does not exist (https://x.org/c.tif?token=***"
        );
    }

    #[test]
    fn plain_text_is_untouched() {
        for text in ["", "what? a=b no", "https://host/a?bbox=1,2,3,4&limit=5", "B04 of `x` at 10 m"] {
            assert_eq!(redact(text), text);
        }
    }
}
