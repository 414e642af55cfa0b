//! Which query parameters open a door.

/// Names in lower case, with hyphens. Signed links carry a family of them (`sig`, `se`, `sp` … of Azure): all of it is
/// cut, so that nothing of a signed link can be replayed.
const NAMES: &[&str] = &[
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
    "key-pair-id",
    "awsaccesskeyid",
    "credential",
    "credentials",
    "googleaccessid",
    "passwd",
    "pwd",
    "policy",
    "expires",
    "auth",
    "authorization",
    "code",
    "session",
];
/// `header-` of GDAL's `/vsicurl?header.Authorization=…`.
const STARTS: &[&str] = &["x-amz-", "x-goog-", "x-ms-", "header-"];
const ENDS: &[&str] = &["key", "token", "signature", "secret", "password"];

/// Text without percent encoding; what is not encoded rightly stays.
pub(crate) fn decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether `name=value` of a query or fragment holds a secret.
pub(crate) fn is_secret(pair: &str) -> bool {
    let Some((name, value)) = pair.split_once('=') else { return false };
    // An address within an address, as a proxy takes it.
    let inner = decoded(value);
    if inner.contains("://") && crate::unsigned_text(&inner) != inner {
        return true;
    }
    let name = decoded(name).to_ascii_lowercase().replace(['_', '.'], "-");
    NAMES.contains(&name.as_str())
        || STARTS.iter().any(|start| name.starts_with(start))
        || ENDS.iter().any(|end| name.ends_with(end))
}
