//! Cutting credentials and signatures out of hrefs and messages.

/// Query parameters whose value is a secret, in lower case.
const SECRET: &[&str] = &[
    "sig",
    "signature",
    "token",
    "access_token",
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
    "api_key",
    "apikey",
    "api-key",
    "key",
    "password",
    "secret",
    "subscription-key",
    "awsaccesskeyid",
    "policy",
    "key-pair-id",
    "expires",
    "auth",
    "authorization",
    "client_secret",
    "code",
    "session",
    "googleaccessid",
];

/// The same text without user names and passwords in URLs, without secret query parameters, and without
/// `Authorization` values; everything else stays as it is.
///
/// Signed links carry their signature in the query (`sig=` of Azure, `X-Amz-Signature` of AWS); the whole
/// family of such parameters is cut, so that nothing of a signed link can be replayed.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, after) = rest.split_at(found + 3);
        out.push_str(&headers(before));
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|'))
            .unwrap_or(after.len());
        out.push_str(&url_tail(&after[..end]));
        rest = &after[end..];
    }
    // A bare query (a path of GDAL, a fragment of a message) can hold a signature without a scheme before it.
    out.push_str(&bare_queries(&headers(rest)));
    out
}

/// An href without user, password and secret query parameters, for outputs: what remains can be signed anew.
pub fn unsigned(href: &str) -> String {
    let Some((scheme, rest)) = href.split_once("://") else { return href.to_owned() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(authority);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let Some((path, query)) = path.split_once('?') else { return format!("{scheme}://{host}{path}") };
    let open: Vec<&str> =
        query.split('&').filter(|pair| pair.split_once('=').is_none_or(|(name, _)| !is_secret(name))).collect();
    if open.is_empty() {
        format!("{scheme}://{host}{path}")
    } else {
        format!("{scheme}://{host}{path}?{}", open.join("&"))
    }
}

/// What follows `://`: user, host, path, query, fragment.
fn url_tail(tail: &str) -> String {
    let authority = tail.find(['/', '?', '#']).unwrap_or(tail.len());
    let (host, path) = tail.split_at(authority);
    let host = host.rsplit_once('@').map_or(host.to_owned(), |(_, host)| format!("***@{host}"));
    let (path, fragment) = path.split_once('#').map_or((path, None), |(path, fragment)| (path, Some(fragment)));
    let mut out = match path.split_once('?') {
        Some((path, query)) => format!("{host}{path}?{}", parameters(query)),
        None => host + path,
    };
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(&parameters(fragment));
    }
    out
}

fn parameters(query: &str) -> String {
    query.split('&').map(parameter).collect::<Vec<_>>().join("&")
}

fn parameter(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace("%2d", "-");
    SECRET.contains(&name.as_str())
        || name.starts_with("x-amz-")
        || name.starts_with("x-goog-")
        || name.ends_with("token")
        || name.ends_with("signature")
}

/// `?a=b&sig=c` outside of a URL.
fn bare_queries(text: &str) -> String {
    text.split_inclusive(char::is_whitespace)
        .map(|word| match word.split_once('?') {
            Some((path, query)) if query.contains('=') => {
                let end = query
                    .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>'))
                    .unwrap_or(query.len());
                format!("{path}?{}{}", parameters(&query[..end]), &query[end..])
            }
            _ => word.to_owned(),
        })
        .collect()
}

/// `Authorization: Bearer abc` keeps its name only.
fn headers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hide = 0_usize;
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if hide > 0 && !bare.is_empty() {
            let scheme = hide == 2
                && ["bearer", "basic", "digest", "negotiate", "aws4-hmac-sha256"]
                    .contains(&bare.to_ascii_lowercase().as_str());
            out.push_str(if scheme { bare } else { "***" });
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
    fn outputs_name_their_sources_without_signatures() {
        assert_eq!(unsigned("https://u:p@h/a.json?sig=1&v=2&se=3"), "https://h/a.json?v=2");
        assert_eq!(unsigned("https://h/a.tif?X-Amz-Signature=1"), "https://h/a.tif");
        assert_eq!(unsigned("/data/a?b=1"), "/data/a?b=1");
    }

    #[test]
    fn plain_text_is_untouched() {
        for text in ["", "what? a=b no", "https://host/a?bbox=1,2,3,4&limit=5", "B04 of `x` at 10 m"] {
            assert_eq!(redact(text), text);
        }
    }
}
