//! The API: what it answers, and whom it does not.

use serde_json::{Value, json};

use crate::bench::{Field, item, workflow};

/// A workflow without triggers, for runs that are asked for.
const SUM: &str = "skysense: 1
name: Sum
doc: Adds up
params:
  rows: {type: integer, default: 4, min: 1, max: 10, doc: how many}
  out: {type: path, default: sum.txt}
  from: {type: uri, default: none}
  gate: {type: path, default: sum.yaml}
nodes:
  numbers: {uses: test.count, with: {rows: $rows, from: $from, gate: $gate}}
  sum: {uses: test.sum, from: numbers, with: {href: $out}}
";

fn field() -> Field {
    let field = Field::new(&workflow("", ""));
    field.bench.write("flows/sum.yaml", SUM);
    field
}

#[test]
fn what_there_is_can_be_found_from_the_first_address() {
    let field = field();
    let (_serving, client) = field.serve_api(&[]);
    for link in client.json("/api/v1")["links"].as_array().unwrap() {
        let href = link["href"].as_str().unwrap().strip_prefix(&format!("http://{}", client.address)).unwrap();
        client.get(href).is(200);
    }
    let document = client.json("/api/v1/openapi.json");
    for path in [
        "/api/v1/runs/{run}/events",
        "/stac/search",
        "/ogc/processes/{process}/execution",
        "/hooks/{workflow}/{trigger}",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    let workflows = client.json("/api/v1/workflows");
    assert_eq!(workflows["workflows"][1]["title"], "Sum");
    let sum = client.json("/api/v1/workflows/sum");
    assert_eq!(sum["params"][0]["max"], 10.0);
    assert_eq!(sum["nodes"][1]["inputs"], json!([{"port": "numbers", "from": "numbers"}]));
    assert!(client.json("/api/v1/nodes")["triggers"].to_string().contains("stac.poll"));
    assert_eq!(client.json("/api/v1/nodes/test.count")["output"], "item");
    for page in ["/", "/page.js", "/page.css", "/map.js"] {
        let reply = client.get(page).is(200);
        assert!(reply.head.contains("content-security-policy") && reply.head.contains("nosniff"), "{}", reply.head);
    }
    let metrics = client.get("/metrics").is(200).text();
    assert!(
        metrics.contains("skysense_runs{state=\"done\"} 0") && metrics.contains("# TYPE skysense_runs gauge"),
        "{metrics}"
    );
    for missing in
        ["/nothing", "/api/v1/runs/none", "/api/v1/workflows/none", "/api/v1/nodes/none", "/stac/collections/none"]
    {
        assert!(client.get(missing).is(404).json()["title"].is_string(), "{missing}");
    }
    client.send("DELETE", "/api/v1/runs", &[], b"").is(405);
}

#[test]
fn a_run_is_asked_for_followed_and_looked_at() {
    let field = field();
    let (_serving, client) = field.serve_api(&[]);
    let reply = client.post("/api/v1/workflows/sum/runs", &json!({"params": {"rows": 3}})).is(201);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert!(reply.head.contains(&format!("location: /api/v1/runs/{id}")), "{}", reply.head);
    // Following ends when the run does.
    let events = client.get(&format!("/api/v1/runs/{id}/events")).is(200).text();
    assert!(events.contains("\"event\":\"run-finished\"") && events.contains("event: end"), "{events}");
    let last: Value = serde_json::from_str(events.trim_end().rsplit("data: ").next().unwrap()).unwrap();
    assert_eq!(last["state"], "partial", "the test's node leaves one input out");
    // Who was cut off goes on behind what was heard.
    let heard = events.split("\n\n").next().unwrap().lines().next().unwrap().trim_start_matches("id: ").to_owned();
    let rest =
        client.send("GET", &format!("/api/v1/runs/{id}/events"), &[("Last-Event-ID", &heard)], b"").is(200).text();
    assert!(!rest.contains(&format!("id: {heard}\n")) && rest.contains("event: end"));
    assert_eq!(field.bench.read("flows/sum.txt"), "6");
    let log = client.get(&format!("/api/v1/runs/{id}/log")).is(200).text();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()) && log.contains("counting"), "{log}");
    assert_eq!(client.json("/api/v1/runs?workflow=sum&state=partial")["runs"][0]["id"], json!(id));
    assert_eq!(client.json("/api/v1/runs?state=dead")["runs"], json!([]));
    client.get("/api/v1/runs?state=asleep").is(400);
    client.post(&format!("/api/v1/runs/{id}/cancel"), &json!({})).is(409);
    // The same key with the same params is the same run.
    let keyed = json!({"params": {"rows": 2}, "key": "mine"});
    let one = client.post("/api/v1/workflows/sum/runs", &keyed).is(201).json();
    let two = client.post("/api/v1/workflows/sum/runs", &keyed).is(201).json();
    assert_eq!(one["id"], two["id"]);
}

#[test]
fn what_is_asked_for_twice_is_written_into_two_folders() {
    let field = field();
    field.bench.write("flows/none.json", &json!({"features": [item("a", "s2", 1)]}).to_string());
    let (_serving, client) = field.serve_api(&[]);
    for _ in 0..2 {
        client.post("/api/v1/workflows/map/runs", &json!({})).is(201);
    }
    field.wait("both", |field| field.counts().get("done") == Some(&2));
    let folders = std::fs::read_dir(field.path("state/service-results/map/~asked")).unwrap().count();
    assert_eq!((folders, field.store().result_counts().unwrap()), (2, (1, 2)), "the later one stands");
}

#[test]
fn behind_a_proxy_it_hears_to_its_public_name_and_to_no_open_webhook() {
    let field = field();
    let text = workflow("", "");
    let start = text.find("triggers:").unwrap();
    let hook =
        "triggers:\n  posted: {uses: webhook, with: {hosts: [data.example.org], run: {items: items, out: out}}}\n";
    field.bench.write("flows/open.yaml", &format!("{}{hook}", &text[..start]));
    let (_serving, client) = field.serve_api(&["--public", "https://maps.example.org"]);
    let ask = |host: &str| client.send("GET", "/api/v1", &[("Host", host)], b"");
    assert!(ask("maps.example.org").is(200).text().contains("https://maps.example.org/stac"));
    ask("MAPS.example.org:443").is(200);
    ask(&client.address).is(200);
    ask("evil.example.org").is(403);
    let posted = client.post("/hooks/open/posted", &item("a", "s2", 1)).is(403).text();
    assert!(posted.contains("neither a secret nor a token"), "{posted}");
}

#[test]
fn params_are_checked_before_a_run() {
    let field = field();
    let (_serving, client) = field.serve_api(&[]);
    for (params, status, words) in [
        (json!({"rows": 11}), 422, "params do not fit"),
        (json!({"rows": "many"}), 422, "params do not fit"),
        (json!({"lines": 3}), 422, "no param `lines`"),
        (json!({"out": "/etc/passwd"}), 400, "no file of this machine"),
        (json!({"from": "../../secret.json"}), 400, "no file of this machine"),
        (json!({"from": "file:///etc/passwd"}), 400, "no file of this machine"),
        (json!({"rows": {"a": 1}}), 400, "neither a text"),
    ] {
        let reply = client.post("/api/v1/workflows/sum/runs", &json!({"params": params})).is(status);
        assert!(reply.text().contains(words), "{params}: {}", reply.text());
    }
    client.post("/api/v1/workflows/sum/runs", &json!({"parameters": {}})).is(400);
    client.send("POST", "/api/v1/workflows/sum/runs", &[], b"{").is(400);
    client.post("/api/v1/workflows/none/runs", &json!({})).is(404);
    client.send_part("POST", "/api/v1/workflows/sum/runs", &[], (b"{}", 5 << 20)).is(413);
    assert!(field.counts().is_empty(), "nothing was queued");
}

#[test]
fn a_run_is_cancelled_and_begun_again_and_a_workflow_paused() {
    let field = field();
    field.bench.write("flows/sum.yaml", &SUM.replace("default: sum.yaml", "default: ../gate"));
    let (_serving, client) = field.serve_api(&[]);
    let run = client.post("/api/v1/workflows/sum/runs", &json!({})).is(201).json();
    let path = format!("/api/v1/runs/{}", run["id"].as_str().unwrap());
    field.wait("a run", |field| field.counts().get("running") == Some(&1));
    client.post(&format!("{path}/cancel"), &json!({})).is(200);
    field.wait("its end", |field| field.counts().get("cancelled") == Some(&1));
    client.post("/api/v1/workflows/sum/pause", &json!({})).is(200);
    field.bench.write("gate", "");
    client.post(&format!("{path}/retry"), &json!({})).is(200);
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert_eq!(client.json(&path)["state"], "queued");
    client.post("/api/v1/workflows/sum/unpause", &json!({})).is(200);
    field.wait("its end", |field| field.counts().get("partial") == Some(&1));
}

#[test]
fn others_pages_strange_names_and_floods_are_turned_away() {
    let field = field();
    let (_serving, client) = field.serve_api(&["--rate", "200"]);
    let runs = "/api/v1/workflows/sum/runs";
    let post = |headers: &[(&str, &str)]| client.send("POST", runs, headers, b"{}");
    post(&[("Origin", "https://evil.example")]).is(403);
    post(&[("Origin", "null")]).is(403);
    post(&[("Sec-Fetch-Site", "cross-site")]).is(403);
    let own = format!("http://{}", client.address);
    post(&[("Origin", &own), ("Sec-Fetch-Site", "same-origin")]).is(201);
    // A name of the web that points to this machine.
    client.send("GET", "/api/v1/runs", &[("Host", "evil.example")], b"").is(403);
    client.send("GET", "/health", &[("Host", "localhost:1")], b"").is(200);
    let statuses: Vec<u16> = (0..260).map(|_| client.get("/health").status).collect();
    assert!(statuses.contains(&429), "nobody is kept from flooding");
}

#[test]
fn a_token_and_a_service_that_is_only_read() {
    let field = field();
    field.bench.write("token", "0123456789abcdef0123\n");
    let open = field.run(&["serve", "flows", "--listen", "0.0.0.0:0"]).exits(4);
    assert!(open.stderr.contains("no token keeps them out"), "{}", open.stderr);
    let (serving, client) = field.serve_api(&["--token-file", "token"]);
    client.get("/health").is(200);
    client.get("/").is(200);
    assert!(client.get("/api/v1/runs").is(401).head.contains("www-authenticate: bearer"));
    client.send("GET", "/api/v1/runs", &[("Authorization", "Bearer 0123456789abcdef0124")], b"").is(401);
    client.send("GET", "/api/v1/runs", &[("Authorization", "Bearer 0123456789abcdef0123")], b"").is(200);
    client.send("GET", "/api/v1/runs", &[("Cookie", "a=b; skysense_token=0123456789abcdef0123")], b"").is(200);
    client.get("/stac").is(401);
    client.get("/metrics").is(401);
    drop(serving);
    let (_serving, client) = field.serve_api(&["--read-only"]);
    client.post("/api/v1/workflows/sum/runs", &json!({})).is(403);
    client.post("/stac/search", &json!({})).is(200);
}

#[test]
fn workflows_are_processes_of_ogc() {
    let field = field();
    field.arrive("a.json", &item("a", "s2", 1));
    let (_serving, client) = field.serve_api(&[]);
    let classes = client.json("/ogc/conformance")["conformsTo"].to_string();
    assert!(classes.contains("ogcapi-processes-1/1.0/conf/core"));
    let ids: Vec<Value> =
        client.json("/ogc/processes")["processes"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [json!("map"), json!("sum")]);
    let process = client.json("/ogc/processes/sum");
    assert_eq!(
        process["inputs"]["rows"]["schema"],
        json!({"type": "integer", "minimum": 1.0, "maximum": 10.0, "default": 4})
    );
    assert!(process["inputs"]["out"]["schema"]["default"].is_null(), "no place of this machine is shown");
    let reply = client.post("/ogc/processes/sum/execution", &json!({"inputs": {"rows": {"value": 2}}})).is(201);
    let job = reply.json();
    let path = format!("/ogc/jobs/{}", job["jobID"].as_str().unwrap());
    assert!(reply.head.contains(&path), "{}", reply.head);
    field.wait("the job", |_| client.json(&path)["status"] == "successful");
    assert_eq!(client.json(&format!("{path}/results"))["items"]["value"]["type"], "FeatureCollection");
    field.wait("the map", |field| field.results().len() == 1);
    let jobs = client.json("/ogc/jobs");
    let map = jobs["jobs"].as_array().unwrap().iter().find(|job| job["processID"] == "map").unwrap();
    let results = client.json(&format!("/ogc/jobs/{}/results", map["jobID"].as_str().unwrap()));
    assert_eq!(results["items"]["value"]["features"][0]["properties"]["sources"], json!(["a"]));
    client.post("/ogc/processes/none/execution", &json!({})).is(404);
    assert!(client.get("/ogc/jobs/none").is(404).text().contains("no-such-job"));
    client.post("/ogc/processes/sum/execution", &json!({"inputs": {"rows": 99}})).is(422);
    let stopped = client.send("DELETE", &path, &[], b"").is(200).json();
    assert_eq!(stopped["status"], "successful", "what has ended stays as it ended");
}
