//! Traces as a collector of OpenTelemetry gets them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::bench::{Field, item, workflow};

/// Requests: the head in lower case, and the body.
type Taken = Arc<Mutex<Vec<(String, Value)>>>;

/// A collector that keeps what it gets: the head in lower case and the body of each request.
fn collector() -> (String, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let taken = Taken::default();
    let own = taken.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line.to_lowercase());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            own.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
        }
    });
    (address, taken)
}

#[test]
fn runs_nodes_looks_and_requests_are_traced() {
    let (address, taken) = collector();
    let field = Field::new(&workflow("", ""));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=of the test".to_owned()),
        ("OTEL_SERVICE_NAME", "maps".to_owned()),
    ];
    let (mut serving, client) = field.serve_api_with(&variables);
    field.arrive("a.json", &item("a", "s2", 1));
    field.wait("a result", |field| field.results().len() == 1);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
    client.send("GET", "/stac/collections/nothing", &parent, b"").is(404);
    // What is left is sent as it ends.
    serving.terminate();
    let taken = taken.lock().unwrap();
    let (head, body) = &taken[0];
    assert!(head.starts_with("post /v1/traces ") && head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("x-key: of the test"), "{head}");
    let resource = &body["resourceSpans"][0]["resource"]["attributes"];
    assert_eq!(resource[0], json!({"key": "service.name", "value": {"stringValue": "maps"}}));
    let spans: Vec<Value> = taken
        .iter()
        .flat_map(|(_, body)| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone())
        .collect();
    let find =
        |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    let run = find("run map");
    let id = &field.runs(skysense_serve::RunState::Done)[0].id;
    assert_eq!(&run["traceId"], id);
    let node = find("node made");
    assert_eq!((&node["traceId"], &node["parentSpanId"]), (&json!(id), &run["spanId"]));
    let moment = |span: &Value, name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
    for span in &spans {
        assert!(moment(span, "startTimeUnixNano") <= moment(span, "endTimeUnixNano"), "{span}");
    }
    assert!(moment(run, "startTimeUnixNano") > 1_600_000_000_000_000_000, "{run}");
    let look = find("trigger look");
    assert_eq!(look["traceId"].as_str().unwrap().len(), 32);
    let request = find("GET /stac/collections/{collection}");
    assert_eq!((&request["traceId"], &request["parentSpanId"]), (&json!(trace), &json!("b7ad6b7169203331")));
    assert_eq!(request["kind"], 2);
    let status = json!({"key": "http.response.status_code", "value": {"intValue": "404"}});
    assert!(request["attributes"].as_array().unwrap().contains(&status), "{request}");
}

#[test]
fn a_collector_that_is_named_wrong_is_refused() {
    let field = Field::new(&workflow("", ""));
    let mut command = field.bench.command(&["serve", "flows", "--listen", "127.0.0.1:0", "--state", "state/s.db"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318");
    let done = crate::command::Done::from(command.output().unwrap()).exits(2);
    assert!(done.stderr.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{}", done.stderr);
}
