//! Short-lived signatures for hrefs of the Planetary Computer, taken just before reading and never written anywhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::blocking::Client;
use serde_json::Value;
use url::Url;

use crate::{CatalogError, Result, Root, parse_datetime, redact};

/// Where tokens are issued, without an account.
const ENDPOINT: &str = "https://planetarycomputer.microsoft.com/api/sas/v1/token";
/// The catalog whose hrefs need them.
const CATALOG: &str = "https://planetarycomputer.microsoft.com/";
/// Storage accounts of that catalog for the built-in sensors, so that saved copies of its items can be read too.
const ACCOUNTS: &[&str] = &["sentinel2l2a01", "sentinel1euwestrtc", "sentinel1euwest", "naipeuwest"];
/// A token with less time than this is not handed out: reading takes a while.
const SPARE: TimeDelta = TimeDelta::minutes(5);
/// Tries for one token; the service at times issues tokens that have already expired.
const TRIES: u32 = 3;

/// Signs hrefs; tokens are kept until shortly before they expire (about 45 minutes), one per storage container.
#[derive(Debug)]
pub struct Signer {
    endpoint: String,
    client: Client,
    tokens: Mutex<HashMap<(String, String), Token>>,
}

#[derive(Clone)]
struct Token {
    query: String,
    expires: DateTime<Utc>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Token(*** until {})", self.expires)
    }
}

impl Signer {
    /// A signer that asks the public token service.
    ///
    /// # Errors
    /// A system without usable TLS.
    pub fn new() -> Result<Self> {
        Self::at(ENDPOINT)
    }

    /// A signer that asks another token service of the same kind.
    ///
    /// # Errors
    /// As [`Signer::new`].
    pub fn at(endpoint: &str) -> Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(20)).build();
        let client = client.map_err(|error| fault(endpoint, &error.to_string(), 0))?;
        Ok(Self { endpoint: endpoint.trim_end_matches('/').to_owned(), client, tokens: Mutex::default() })
    }

    /// The href to open: signed where it needs a signature, else unchanged. Never log or store it; see
    /// [`redact`] and [`crate::unsigned`].
    ///
    /// # Errors
    /// A token service that does not answer, or issues expired tokens only.
    pub fn sign(&self, root: &Root, href: &str) -> Result<String> {
        let Some((mut url, account, container)) = wanting(root, href) else { return Ok(href.to_owned()) };
        let token = self.token(account, container)?;
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&{}", token.query),
            _ => token.query,
        };
        url.set_query(Some(&query));
        Ok(url.into())
    }

    fn token(&self, account: String, container: String) -> Result<Token> {
        let key = (account, container);
        // The lock is held while asking, so that many readers of one container ask once.
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get(&key).filter(|token| token.expires > Utc::now() + SPARE) {
            return Ok(token.clone());
        }
        let address = format!("{}/{}/{}", self.endpoint, key.0, key.1);
        let mut found = String::new();
        for _ in 0..TRIES {
            match self.ask(&address) {
                Ok(token) if token.expires > Utc::now() + SPARE => {
                    tokens.insert(key, token.clone());
                    return Ok(token);
                }
                Ok(token) => found = format!("a token that ends at {}", token.expires),
                Err(what) => found = what,
            }
        }
        Err(fault(&address, &found, TRIES))
    }

    fn ask(&self, address: &str) -> std::result::Result<Token, String> {
        let response = self.client.get(address).send().map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let value: Value = response.json().map_err(|error| error.to_string())?;
        let query = value.get("token").and_then(Value::as_str).ok_or("an answer without `token`")?;
        let expires = value.get("msft:expiry").and_then(Value::as_str).and_then(parse_datetime);
        Ok(Token {
            query: query.trim_start_matches('?').to_owned(),
            expires: expires.ok_or("an answer without `msft:expiry`")?,
        })
    }
}

fn fault(address: &str, found: &str, attempts: u32) -> CatalogError {
    CatalogError::Http {
        href: redact(address),
        found: redact(found),
        attempts,
        expected: "a read token of the Planetary Computer",
        hint: "try later, or use a catalog with open files",
    }
}

/// URL, account and container of an href that needs a signature and has none.
fn wanting(root: &Root, href: &str) -> Option<(Url, String, String)> {
    let url = Url::parse(href).ok().filter(|url| url.scheme() == "https")?;
    let account = url.host_str()?.strip_suffix(".blob.core.windows.net")?.to_owned();
    let container = url.path_segments()?.next().filter(|container| !container.is_empty())?.to_owned();
    let from_catalog = matches!(root, Root::Remote(origin) if origin == CATALOG);
    let signed = url.query_pairs().any(|(name, _)| name == "sig");
    ((from_catalog || ACCOUNTS.contains(&account.as_str())) && !signed).then_some((url, account, container))
}
