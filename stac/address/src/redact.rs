//! Texts for people and logs: `***` where something was that opens a door.

use crate::secret::is_secret;
use crate::{address_end, parts};

/// The same text without user names and passwords in URLs, without the values of secret query parameters, and without
/// those of `Authorization`; everything else stays as it is.
pub fn redact(text: &str) -> String {
    hidden(text, |_| "***".to_owned())
}

/// As [`redact`], with a `*` for each character, so that columns of the text stay where they were.
pub fn redact_in_place(text: &str) -> String {
    hidden(text, |secret| "*".repeat(secret.chars().count()))
}

/// What is shown of a secret.
type Hide = fn(&str) -> String;

fn hidden(text: &str, hide: Hide) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, after) = rest.split_at(found + 3);
        out.push_str(&headers(before, hide));
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
    let host = host.rsplit_once('@').map_or(host.to_owned(), |(user, host)| format!("{}@{host}", hide(user)));
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
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if is_secret(pair) => format!("{name}={}", hide(value)),
        _ => pair.to_owned(),
    });
    masked.collect::<Vec<_>>().join("&")
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

/// `Authorization: Bearer abc` keeps its name only.
fn headers(text: &str, hidden: Hide) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hide = 0_usize;
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if hide > 0 && !bare.is_empty() {
            let scheme = hide == 2
                && ["bearer", "basic", "digest", "negotiate", "aws4-hmac-sha256"]
                    .contains(&bare.to_ascii_lowercase().as_str());
            out.push_str(&if scheme { bare.to_owned() } else { hidden(bare) });
            out.push_str(&word[bare.len()..]);
            hide = usize::from(scheme);
            continue;
        }
        let name = bare.trim_start_matches(['"', '\'', '{', '(']).to_ascii_lowercase();
        if ["authorization:", "authorization\":", "x-api-key:", "ocp-apim-subscription-key:", "proxy-authorization:"]
            .contains(&name.as_str())
        {
            hide = 2;
        } else if name == "bearer" {
            hide = 1;
        }
        out.push_str(word);
    }
    out
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
