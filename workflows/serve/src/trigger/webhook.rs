//! `webhook`: items that somebody posts.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use skysense_catalog::{Item, Root};
use url::{Host, Url};

use super::{
    Found, Kind, Problem, RunRule, Source, Trigger,
    envelope::{self, Letter},
    found::hrefs,
    group::Group,
    select::Select,
    signature,
};

/// Settings of `webhook`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// What the sender signs its requests with, as `${secret:NAME}`: HMAC-SHA256 over the body, in hex, in the header
    /// `X-Hub-Signature-256`, `X-Signature-256` or `Webhook-Signature`.
    secret: Option<String>,
    /// A token that the sender gives as `Authorization: Bearer …`, as `${secret:NAME}`.
    token: Option<String>,
    /// Where assets may lie: host names, `*.example.org` for all below one, or `s3://bucket`. Everything else is refused.
    #[schemars(length(min = 1))]
    hosts: Vec<String>,
    /// Which items are wanted.
    #[serde(default)]
    select: Select,
    /// How they are gathered.
    #[serde(default)]
    group: Group,
    /// What the run is given.
    run: RunRule,
}

pub(crate) struct WebhookType;

impl Kind for WebhookType {
    const NAME: &'static str = "webhook";
    const SUMMARY: &'static str = "Takes items that are posted to the service";
    const DOC: &'static str = "\
Takes a POST at `/hooks/<workflow>/<trigger>` with an item, a feature collection, or an envelope of SNS, EventBridge or \
CloudEvents. A service that is reached from elsewhere wants `secret` or `token`. Assets have to lie at `hosts`, so a \
request cannot make the service read its own files or its own network. The address by which a topic of SNS asks for a \
confirmation is shown and never opened.";
    const EXAMPLE: &'static str = "\
posted:
  uses: webhook
  with:
    secret: ${secret:HOOK}
    hosts: [data.example.org, \"s3://scenes\"]
    run: {items: catalog, out: out}
";
    type Settings = Settings;

    fn make(settings: Settings, folder: &Path) -> Result<Trigger, Problem> {
        let select = settings.select.matcher("/select", folder)?;
        let group = settings.group.grouping(select.collections())?;
        settings.run.complete(group.rule())?;
        for (name, secret) in [("secret", &settings.secret), ("token", &settings.token)] {
            if secret.as_ref().is_some_and(|secret| secret.len() < 16) {
                let message = format!("`{name}` is short enough to be guessed");
                return Err(Problem::new(format!("/{name}"), message).expected("16 characters or more"));
            }
        }
        for (at, host) in settings.hosts.iter().enumerate() {
            let name = host.strip_prefix("s3://").or(host.strip_prefix("*.")).unwrap_or(host);
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
                let problem = Problem::new(format!("/hosts/{at}"), format!("`{host}` is no host"));
                return Err(problem.expected("`data.example.org`, `*.example.org` or `s3://bucket`"));
            }
        }
        let hosts = settings.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let source = Webhook { secret: settings.secret, token: settings.token, hosts };
        Ok(Trigger { source: Box::new(source), select, group, run: settings.run })
    }
}

/// A webhook, ready to judge requests.
pub(crate) struct Webhook {
    secret: Option<String>,
    token: Option<String>,
    hosts: Vec<String>,
}

/// What of a request matters.
pub(crate) struct Request<'a> {
    pub(crate) signature: Option<&'a str>,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// Why a request is not taken.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    /// It does not come from whom it should.
    Stranger,
    /// It cannot be understood.
    Unclear(String),
    /// It would have the service read what it may not.
    Forbidden(String),
}

/// What a request brought.
#[derive(Debug)]
pub(crate) enum Brought {
    /// Items.
    Items(Vec<Found>),
    /// An address at which a person confirms a subscription.
    Confirm(String),
}

impl Source for Webhook {
    fn webhook(&self) -> Option<&Webhook> {
        Some(self)
    }
}

impl Webhook {
    /// Whether anybody may post to it.
    pub(crate) fn is_open(&self) -> bool {
        self.secret.is_none() && self.token.is_none()
    }

    /// Judges a request and opens it.
    pub(crate) fn take(&self, request: &Request<'_>) -> Result<Brought, Refused> {
        if let Some(secret) = &self.secret
            && !request.signature.is_some_and(|given| signature::is_signed(secret, request.body, given))
        {
            return Err(Refused::Stranger);
        }
        if let Some(token) = &self.token {
            let given = request.authorization.and_then(|text| text.strip_prefix("Bearer "));
            if !given.is_some_and(|given| signature::same(given.as_bytes(), token.as_bytes())) {
                return Err(Refused::Stranger);
            }
        }
        let body: Value = serde_json::from_slice(request.body)
            .map_err(|error| Refused::Unclear(format!("the body is no JSON: {error}")))?;
        match envelope::open(&body).map_err(Refused::Unclear)? {
            Letter::Nothing => Ok(Brought::Items(Vec::new())),
            Letter::Confirm(address) => Ok(Brought::Confirm(address)),
            Letter::Items(items) => {
                let found = items.into_iter().map(|value| self.item(value));
                Ok(Brought::Items(found.collect::<Result<_, _>>()?))
            }
        }
    }

    fn item(&self, value: Value) -> Result<Found, Refused> {
        // What is relative in an item that was sent is relative to nothing: to a host that no list allows.
        let nowhere = "https://relative.invalid/item.json";
        let root = Root::Remote("https://relative.invalid/".to_owned());
        let item = Item::from_json(value, nowhere, root).map_err(|error| Refused::Unclear(error.to_string()))?;
        for href in hrefs(&item) {
            self.allows(href).map_err(|reason| Refused::Forbidden(format!("item `{}`: {reason}", item.id())))?;
        }
        Ok(Found::Item(Box::new(item)))
    }

    fn allows(&self, href: &str) -> Result<(), String> {
        let shown = skysense_address::redact(href);
        let url = Url::parse(href).map_err(|error| format!("asset `{shown}`: {error}"))?;
        let place = match (url.scheme(), url.host()) {
            ("http" | "https", Some(Host::Domain(name))) => name.trim_end_matches('.').to_ascii_lowercase(),
            // An address in numbers is allowed where it is listed so; none has a name below it.
            ("http" | "https", Some(address)) => address.to_string(),
            ("s3", Some(bucket)) => format!("s3://{}", bucket.to_string().to_ascii_lowercase()),
            (scheme, _) => return Err(format!("asset `{shown}` has the scheme `{scheme}`, and not http, https or s3")),
        };
        let fits = |host: &String| match host.strip_prefix("*.") {
            Some(domain) => place.strip_suffix(domain).is_some_and(|below| below.ends_with('.')),
            None => place == *host,
        };
        match self.hosts.iter().any(fits) {
            true => Ok(()),
            false => Err(format!("asset `{shown}` lies at none of `hosts`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hook(hosts: &[&str]) -> Webhook {
        Webhook { secret: None, token: None, hosts: hosts.iter().map(|&host| host.to_owned()).collect() }
    }

    fn post(hook: &Webhook, body: &Value) -> Result<Brought, Refused> {
        hook.take(&Request { signature: None, authorization: None, body: body.to_string().as_bytes() })
    }

    fn item(href: &str) -> Value {
        json!({"type": "Feature", "id": "a", "properties": {}, "assets": {"x": {"href": href}}})
    }

    #[test]
    fn an_item_reaches_only_the_hosts_that_are_listed() {
        let hook = hook(&["data.example.org", "*.cloud.org", "s3://scenes"]);
        for href in [
            "https://data.example.org/a.tif",
            "http://DATA.example.org:8080/a.tif",
            "https://eu.cloud.org/a.tif",
            "s3://scenes/a.tif",
        ] {
            assert!(post(&hook, &item(href)).is_ok(), "{href}");
        }
        for href in [
            "/etc/passwd",
            "file:///etc/passwd",
            "a.tif",
            "../../a.tif",
            "http://localhost/a.tif",
            "http://127.0.0.1/a.tif",
            "http://[::1]/a.tif",
            "http://169.254.169.254/latest/meta-data",
            "https://data.example.org.evil.org/a.tif",
            "https://evil.org/data.example.org/a.tif",
            "https://data.example.org@evil.org/a.tif",
            "https://cloud.org/a.tif",
            "https://evilcloud.org/a.tif",
            "s3://other/a.tif",
            "/vsicurl/http://127.0.0.1/a.tif",
            "gopher://data.example.org/a",
            "PG:host=127.0.0.1",
        ] {
            assert!(matches!(post(&hook, &item(href)), Err(Refused::Forbidden(_))), "{href}");
        }
        let mut alternate = item("https://data.example.org/a.tif");
        alternate["assets"]["x"]["alternate"] = json!({"local": {"href": "/etc/passwd"}});
        assert!(matches!(post(&hook, &alternate), Err(Refused::Forbidden(_))));
    }

    #[test]
    fn only_who_signs_or_has_the_token_is_heard() {
        let body = item("https://h/a.tif").to_string();
        let request = |signature, authorization| Request { signature, authorization, body: body.as_bytes() };
        let mut hook = hook(&["h"]);
        hook.token = Some("0123456789abcdef".into());
        assert_eq!(hook.take(&request(None, None)).unwrap_err(), Refused::Stranger);
        assert_eq!(hook.take(&request(None, Some("Bearer wrong"))).unwrap_err(), Refused::Stranger);
        assert!(hook.take(&request(None, Some("Bearer 0123456789abcdef"))).is_ok());
        hook.secret = Some("a secret of many letters".into());
        assert_eq!(
            hook.take(&request(Some("sha256=00"), Some("Bearer 0123456789abcdef"))).unwrap_err(),
            Refused::Stranger
        );
    }

    #[test]
    fn a_confirmation_is_shown_and_not_opened() {
        let confirm = json!({"Type": "SubscriptionConfirmation", "SubscribeURL": "http://127.0.0.1:1/x"});
        assert!(
            matches!(post(&hook(&["h"]), &confirm), Ok(Brought::Confirm(address)) if address == "http://127.0.0.1:1/x")
        );
    }
}
