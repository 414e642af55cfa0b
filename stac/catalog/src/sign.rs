//! Short-lived signatures for hrefs of the Planetary Computer, taken just before reading and never written anywhere.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::blocking::Client;
use serde_json::Value;
use url::Url;

use crate::{CatalogError, Result, Root, parse_datetime};
use skysense_address::{redact, unsigned};

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
///
/// Nothing is asked before the first href that needs a signature.
#[derive(Debug)]
pub struct Signer {
    endpoint: String,
    /// A host beside those of the catalog, with its port where it has one.
    host: Option<String>,
    client: OnceLock<Client>,
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

impl Default for Signer {
    /// A signer that asks the public token service.
    fn default() -> Self {
        Self::at(ENDPOINT)
    }
}

impl Signer {
    /// A signer that asks another token service of the same kind.
    pub fn at(endpoint: &str) -> Self {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Self { endpoint, host: None, client: OnceLock::new(), tokens: Mutex::default() }
    }

    /// Signs the hrefs of one more host (`store.example.org` or `127.0.0.1:8080`) too, whatever catalog they come
    /// from: the host is the account, and the first part of the path is the container.
    #[must_use]
    pub fn also_for(mut self, host: &str) -> Self {
        self.host = Some(host.to_ascii_lowercase());
        self
    }

    /// The href to open: signed where it needs a signature, else unchanged. Never log or store it; see
    /// [`redact()`] and [`skysense_address::unsigned`].
    ///
    /// # Errors
    /// A token service that does not answer, or issues expired tokens only.
    pub fn sign(&self, root: &Root, href: &str) -> Result<String> {
        match self.wanting(root, href) {
            Some(wanting) if !is_signed(&wanting.url) => self.signed(wanting, None),
            _ => Ok(href.to_owned()),
        }
    }

    /// The href to open after a server refused `refused`, which this signed or which came with a signature of its
    /// own; `None` for hrefs that need no signature.
    ///
    /// A new token is asked only where nobody asked for one meanwhile.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn sign_again(&self, root: &Root, refused: &str) -> Result<Option<String>> {
        let Some(wanting) = self.wanting(root, &unsigned(refused)) else { return Ok(None) };
        self.signed(wanting, Some(refused)).map(Some)
    }

    fn signed(&self, wanting: Wanting, refused: Option<&str>) -> Result<String> {
        let key = (wanting.account.clone(), wanting.container.clone());
        let token = self.token(key, |token| refused != Some(wanting.with(token).as_str()))?;
        Ok(wanting.with(&token).into())
    }

    /// A token that is good for a while: one that is kept, if it is `wanted`, else a new one.
    fn token(&self, key: (String, String), wanted: impl Fn(&Token) -> bool) -> Result<Token> {
        // The lock is held while asking, so that many readers of one container ask once.
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = tokens.get(&key).filter(|token| token.expires > Utc::now() + SPARE && wanted(token));
        if let Some(token) = kept {
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

    fn client(&self) -> std::result::Result<&Client, String> {
        if self.client.get().is_none() {
            let made = Client::builder().timeout(Duration::from_secs(20)).build().map_err(|error| error.to_string())?;
            // Another thread may have been quicker; either client will do.
            let _kept = self.client.set(made);
        }
        self.client.get().ok_or_else(|| "no client".to_owned())
    }

    fn ask(&self, address: &str) -> std::result::Result<Token, String> {
        let response = self.client()?.get(address).send().map_err(|error| error.to_string())?;
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

    /// URL, account and container of an href that can be signed.
    fn wanting(&self, root: &Root, href: &str) -> Option<Wanting> {
        let url = Url::parse(href).ok()?;
        let container = url.path_segments()?.next().filter(|container| !container.is_empty())?.to_owned();
        let host = url.host_str()?;
        let with_port = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if self.host.as_ref().is_some_and(|own| *own == with_port) {
            let account = host.to_owned();
            return Some(Wanting { url, account, container });
        }
        let account = host.strip_suffix(".blob.core.windows.net").filter(|_| url.scheme() == "https")?.to_owned();
        let from_catalog = matches!(root, Root::Remote(origin) if origin == CATALOG);
        (from_catalog || ACCOUNTS.contains(&account.as_str())).then_some(Wanting { url, account, container })
    }
}

/// An href that can be signed.
struct Wanting {
    url: Url,
    account: String,
    container: String,
}

impl Wanting {
    fn with(&self, token: &Token) -> Url {
        let mut url = self.url.clone();
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&{}", token.query),
            _ => token.query.clone(),
        };
        url.set_query(Some(&query));
        url
    }
}

fn is_signed(url: &Url) -> bool {
    url.query_pairs().any(|(name, _)| name == "sig")
}

fn fault(address: &str, found: &str, attempts: u32) -> CatalogError {
    CatalogError::Http {
        href: redact(address),
        status: None,
        found: redact(found),
        attempts,
        expected: "a read token of the Planetary Computer",
        hint: "try later, or use a catalog with open files",
    }
}
