//! What is posted to a webhook.

use serde_json::{Value, json};

use crate::bench::{Field, item, workflow};

const BODY: &str = r#"{"type":"Feature","stac_version":"1.1.0","id":"signed","collection":"s2","links":[],"bbox":[5.0,45.0,6.0,46.0],"geometry":{"type":"Point","coordinates":[5.5,45.5]},"properties":{"datetime":"2021-03-01T10:00:00Z"},"assets":{"B04":{"href":"https://data.example.org/B04.tif"}}}"#;
/// HMAC-SHA256 of the body with the secret of the bench, by Python's hmac.
const SIGNATURE: &str = "aed938d74bac4b0df9b73a3104831c64ec00ea476086a9832813c08abd1363a5";

fn hook(settings: &str) -> Field {
    let text = workflow("", "");
    let start = text.find("triggers:").expect("triggers");
    let run = "{items: items, out: out}";
    Field::new(&format!(
        "{}triggers:\n  posted: {{uses: webhook, with: {{{settings}hosts: [data.example.org], select: {{collections: [s2]}}, run: {run}}}}}\n",
        &text[..start]
    ))
}

#[test]
fn a_signed_item_is_run_once_however_often_it_is_sent() {
    let field = hook("secret: \"${secret:HOOK}\", ");
    let (_serving, client) = field.serve_api(&[]);
    let post = |signature: &str| {
        client.send("POST", "/hooks/map/posted", &[("X-Hub-Signature-256", signature)], BODY.as_bytes())
    };
    let signature = format!("sha256={SIGNATURE}");
    assert_eq!(post(&signature).is(200).json()["new"], 1);
    assert_eq!(post(&signature).is(200).json()["known"], 1);
    post("sha256=00").is(401);
    client.send("POST", "/hooks/map/posted", &[], BODY.as_bytes()).is(401);
    field.wait("a result", |field| field.results().len() == 1);
    assert_eq!(field.results().into_values().next().unwrap(), ["signed"]);
    let shown = client.get("/api/v1/workflows/map").is(200).text() + &client.get("/api/v1/dead").text() + &field.log();
    assert!(!shown.contains("a secret of the test"), "{shown}");
}

#[test]
fn envelopes_are_opened_and_what_they_may_not_name_is_refused() {
    let field = hook("");
    let (_serving, client) = field.serve_api(&[]);
    let one = |id: &str| item(id, "s2", 1);
    let sns = |inner: &Value| json!({"Type": "Notification", "MessageId": "1", "Message": inner.to_string()});
    for (body, new) in [
        (one("plain"), 1),
        (sns(&one("sns")), 1),
        (json!({"detail-type": "new", "source": "x", "detail": one("bridge")}), 1),
        (json!({"specversion": "1.0", "type": "x", "source": "/x", "id": "1", "data": one("cloud")}), 1),
        (json!({"type": "FeatureCollection", "features": [one("f1"), one("f2"), one("plain")]}), 2),
        // Of a collection that is not wanted.
        (item("radar", "s1", 1), 0),
    ] {
        assert_eq!(client.post("/hooks/map/posted", &body).is(200).json()["new"], new, "{body}");
    }
    for href in [
        "/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:22/",
        "http://169.254.169.254/meta",
        "https://evil.example/a.tif",
        "b04.tif",
    ] {
        let mut bad = one("bad");
        bad["assets"]["B04"]["href"] = json!(href);
        let reply = client.post("/hooks/map/posted", &bad).is(422);
        assert!(reply.text().contains("hosts") || reply.text().contains("scheme"), "{href}: {}", reply.text());
    }
    let confirm = json!({"Type": "SubscriptionConfirmation", "SubscribeURL": "http://127.0.0.1:1/never-opened"});
    client.post("/hooks/map/posted", &confirm).is(200);
    assert!(client.get("/api/v1/dead").text().contains("never-opened"), "whoever runs the service sees it");
    client.send("POST", "/hooks/map/posted", &[], b"not json").is(400);
    client.post("/hooks/map/posted", &json!({"hello": 1})).is(400);
    client.post("/hooks/map/none", &one("x")).is(404);
    client.post("/hooks/none/posted", &one("x")).is(404);
    field.wait("all results", |field| field.results().len() == 6);
}
