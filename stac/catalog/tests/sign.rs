//! Signatures: taken when needed, kept while they last, never for other hosts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[expect(dead_code, reason = "these tests need a part of the server")]
mod server;

use serde_json::json;
use server::{Reply, Server};
use skysense_catalog::{Root, Signer};

const HREF: &str = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/35/B04.tif";

fn tokens(minutes: &'static [i64]) -> Server {
    Server::start(move |_, _, count| {
        let expiry = chrono::Utc::now() + chrono::TimeDelta::minutes(minutes[count.min(minutes.len() - 1)]);
        Reply::json(&json!({"token": "se=1&sig=geheim", "msft:expiry": expiry.to_rfc3339()}))
    })
}

fn root() -> Root {
    Root::Remote("https://planetarycomputer.microsoft.com/".into())
}

#[test]
fn a_token_is_asked_once_per_container_and_kept() {
    let server = tokens(&[45]);
    let signer = Signer::at(&server.url);
    assert_eq!(signer.sign(&root(), HREF).unwrap(), format!("{HREF}?se=1&sig=geheim"));
    assert_eq!(signer.sign(&root(), &format!("{HREF}?a=1")).unwrap(), format!("{HREF}?a=1&se=1&sig=geheim"));
    assert_eq!(
        server.asked().iter().map(|asked| asked.path.clone()).collect::<Vec<_>>(),
        ["/sentinel2l2a01/sentinel2-l2"]
    );
    assert!(!format!("{signer:?}").contains("geheim"));
}

#[test]
fn expired_tokens_are_not_handed_out() {
    let mended = tokens(&[-10, 1, 45]);
    assert!(Signer::at(&mended.url).sign(&root(), HREF).is_ok());
    let never = tokens(&[-10]);
    let message = Signer::at(&never.url).sign(&root(), HREF).unwrap_err().to_string();
    assert!(message.contains("a token that ends at") && !message.contains("geheim"), "{message}");
}

#[test]
fn other_hrefs_stay_as_they_are() {
    let server = tokens(&[45]);
    let signer = Signer::at(&server.url);
    let elsewhere = Root::Remote("https://host/".into());
    for (root, href) in [
        (root(), "https://host/x.tif".to_owned()),
        (root(), "/data/x.tif".to_owned()),
        (root(), format!("{HREF}?sig=own")),
        (root(), HREF.replace("https", "http")),
        (elsewhere, "https://other.blob.core.windows.net/c/x.tif".to_owned()),
    ] {
        assert_eq!(signer.sign(&root, &href).unwrap(), href);
    }
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn a_refused_signature_is_replaced_once_for_all_readers() {
    let server = Server::start(move |_, _, count| {
        let expiry = chrono::Utc::now() + chrono::TimeDelta::minutes(45);
        Reply::json(&json!({"token": format!("se={count}&sig=geheim{count}"), "msft:expiry": expiry.to_rfc3339()}))
    });
    let signer = Signer::at(&server.url);
    let refused = signer.sign(&root(), HREF).unwrap();
    assert!(refused.ends_with("sig=geheim0"));
    // Two readers were refused with the same signature: one new token serves both.
    for _ in 0..2 {
        assert_eq!(signer.sign_again(&root(), &refused).unwrap(), Some(format!("{HREF}?se=1&sig=geheim1")));
    }
    assert_eq!(server.asked().len(), 2);
    // An href that came signed, long ago, loses its old signature.
    let old = format!("{HREF}?a=1&se=2021&sig=alt");
    assert_eq!(signer.sign(&root(), &old).unwrap(), old);
    assert_eq!(signer.sign_again(&root(), &old).unwrap(), Some(format!("{HREF}?a=1&se=1&sig=geheim1")));
    assert_eq!(signer.sign_again(&root(), "https://host/x.tif").unwrap(), None);
}

#[test]
fn another_host_can_be_signed_for() {
    let server = tokens(&[45]);
    let signer = Signer::at(&server.url).also_for("store.example.org:8080");
    let elsewhere = Root::Remote("https://catalog.example.org/".into());
    let href = "http://store.example.org:8080/scenes/B04.tif";
    assert_eq!(signer.sign(&elsewhere, href).unwrap(), format!("{href}?se=1&sig=geheim"));
    assert_eq!(server.asked()[0].path, "/store.example.org/scenes");
    for other in ["http://store.example.org/scenes/B04.tif", "http://store.example.org:8080/"] {
        assert_eq!(signer.sign(&elsewhere, other).unwrap(), other);
    }
}
