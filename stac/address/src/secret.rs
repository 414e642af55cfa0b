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
    "key",
    "api-key",
    "apikey",
    "subscription-key",
    "key-pair-id",
    "awsaccesskeyid",
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
const STARTS: &[&str] = &["x-amz-", "x-goog-", "x-ms-"];
const ENDS: &[&str] = &["token", "signature", "secret", "password"];

/// Whether `name=value` of a query or fragment holds a secret.
pub(crate) fn is_secret(pair: &str) -> bool {
    let Some((name, _)) = pair.split_once('=') else { return false };
    let name = name.to_ascii_lowercase().replace("%2d", "-").replace(['_', '.'], "-");
    NAMES.contains(&name.as_str())
        || STARTS.iter().any(|start| name.starts_with(start))
        || ENDS.iter().any(|end| name.ends_with(end))
}
