//! A poll of a STAC API that does not answer, sends nonsense, pages in circles, and lists items late and twice.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    bench::{Field, item, workflow},
    kills::survives,
};

/// A server whose items grow, and which misbehaves in turns.
#[derive(Clone)]
struct Server {
    url: String,
    items: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Self { url, items: Arc::default(), asked: Arc::default(), bodies: Arc::default() };
        let own = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                std::thread::spawn(move || own.answer(stream));
            }
        });
        server
    }

    fn list(&self, mut one: Value, updated: &str) {
        one["properties"]["updated"] = json!(updated);
        self.items.lock().unwrap().push(one);
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first).ok()?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let path = first.split(' ').nth(1)?.to_owned();
        let send = |stream: &mut TcpStream, status: &str, body: &str| {
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()
        };
        if path == "/" {
            // Each look begins here: in turns it is well, silent, broken, failing.
            return match self.asked.fetch_add(1, Ordering::SeqCst) % 5 {
                1 => {
                    std::thread::sleep(Duration::from_secs(3));
                    None
                }
                2 => send(&mut stream, "200 OK", "{\"type\": \"Catalog\", \"links\": [{"),
                3 => send(&mut stream, "503 Service Unavailable", "later"),
                _ => send(&mut stream, "200 OK", &self.landing().to_string()),
            };
        }
        if let Ok(body) = serde_json::from_slice::<Value>(&body) {
            let moment = body["filter"].to_string().contains("timestamp");
            self.bodies.lock().unwrap().push(body);
            if moment {
                // As servers do for which `updated` is a text.
                return send(&mut stream, "500 Internal Server Error", "operator does not exist: text >= timestamp");
            }
        }
        send(&mut stream, "200 OK", &self.page(path.contains("page=2")).to_string())
    }

    fn landing(&self) -> Value {
        json!({
            "type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "a test",
            "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search", "https://api.stacspec.org/v1.0.0/item-search#filter",
                "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json"],
            "links": [{"rel": "search", "method": "POST", "href": format!("{}/search", self.url)}],
        })
    }

    /// Two pages: the second repeats an item, holds a broken one, and leads back to itself.
    fn page(&self, second: bool) -> Value {
        let items = self.items.lock().unwrap();
        let half = items.len() / 2;
        let mut features = if second { items[half..].to_vec() } else { items[..half.max(1).min(items.len())].to_vec() };
        if second {
            features.extend(items.first().cloned());
            features.push(json!({"type": "Feature", "id": 5, "assets": null}));
        }
        let next = json!({"rel": "next", "method": "GET", "href": format!("{}/search?page=2", self.url)});
        json!({"type": "FeatureCollection", "features": features, "links": [next]})
    }
}

/// A workflow that looks at a server.
pub(crate) fn polled(url: &str, overlap: &str) -> String {
    let text = workflow("", "");
    let start = text.find("triggers:").unwrap();
    format!(
        "{}triggers:
  api:
    uses: stac.poll
    with:
      href: {url}
      every: 150ms
      by: updated
      overlap: {overlap}
      http: {{timeout_seconds: 1, retries: 0}}
      run: {{items: items, out: out}}
",
        &text[..start]
    )
}

#[test]
fn whatever_a_server_does_each_item_runs_once() {
    let server = Server::start();
    for number in 0..6 {
        let one = item(&format!("i{number}"), "s2", number + 1);
        server.list(one, &format!("2021-06-0{}T00:00:00Z", number + 1));
    }
    let field = Field::new(&polled(&server.url, "10d"));
    let (_serving, client) = field.serve_api(&["--concurrency", "3"]);
    field.wait("the first items", |field| field.results().len() == 6);
    // One that is listed late, with an older time than the latest known one; one that changed; one that is new.
    server.list(item("late", "s2", 9), "2021-06-02T12:00:00Z");
    server.list(item("new", "s2", 10), "2021-06-20T00:00:00Z");
    {
        let mut items = server.items.lock().unwrap();
        items[0]["properties"]["updated"] = json!("2021-06-21T00:00:00Z");
        items[0]["properties"]["eo:cloud_cover"] = json!(3);
    }
    field.wait("all items", |field| field.results().len() == 8 && field.counts().get("done") == Some(&9));
    let before = server.asked.load(Ordering::SeqCst);
    field.wait("more looks", |_| server.asked.load(Ordering::SeqCst) > before + 5);
    assert_eq!((field.counts().get("done"), field.counts().len()), (Some(&9), 1), "nothing ran twice");
    assert_eq!(field.store().result_counts().unwrap(), (8, 9), "and one took the place of an older one");
    // What could not be read is told, and so is the trouble of the trigger.
    let dead = client.json("/api/v1/dead");
    assert!(dead["skipped"].as_array().is_some_and(|skipped| !skipped.is_empty()), "{dead}");
    assert!(field.log().contains("trigger"), "{}", field.log());
    // In the end the server is asked for what is new, although something of it can never be read.
    field.wait("a look that asks for news", |_| {
        let text = |filter: String| filter.contains("updated") && !filter.contains("timestamp");
        server.bodies.lock().unwrap().iter().any(|body| text(body["filter"].to_string()))
    });
    field.wait("a look that did well so", |_| {
        client.json("/api/v1/workflows/map")["triggers"][0]["state"]["cursor"]["way"] == 1
    });
    assert_eq!(field.counts().get("done"), Some(&9));
}

#[test]
fn a_server_that_misbehaves_and_kills_at_random_moments_lose_nothing_and_double_nothing() {
    let server = Server::start();
    let field = Field::new(&polled(&server.url, "400d"));
    survives(&field, |_, one| {
        // Touched when it was taken: most are listed later than others with a later time.
        let updated = one["properties"]["datetime"].as_str().unwrap().to_owned();
        server.list(one.clone(), &updated);
    });
}
