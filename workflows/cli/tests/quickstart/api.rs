//! A STAC API with its files on this machine: a simulated scene as the Planetary Computer would serve it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// A running server; its threads end with the test process.
pub(crate) struct Api {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// Serves the items of a scene; its labels as the collection and the asset that hold them in ESA WorldCover.
    pub(crate) fn serve(scene: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (own, log) = (url.clone(), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (scene, url, log) = (scene.clone(), own.clone(), Arc::clone(&log));
                std::thread::spawn(move || answer(stream, &scene, &url, &log));
            }
        });
        Self { url, asked }
    }

    /// Method and path of everything asked so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no thread panicked").clone()
    }
}

fn answer(mut stream: TcpStream, scene: &Path, url: &str, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        let found = head.iter().filter_map(|line| line.split_once(": "));
        found.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    let mut words = head.first()?.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    log.lock().ok()?.push(format!("{method} {path}"));
    let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let (status, more, bytes) = match path.strip_prefix("/files/") {
        Some(file) => ranged(std::fs::read(scene.join(file)).ok(), header("range").as_deref()),
        None if path == "/" => ("200 OK", String::new(), landing(url).to_string().into_bytes()),
        None if path == "/search" => {
            let wanted: Value = serde_json::from_slice(&body).unwrap_or_default();
            ("200 OK", String::new(), found(scene, url, &wanted).to_string().into_bytes())
        }
        None => ("404 Not Found", String::new(), Vec::new()),
    };
    let length = bytes.len();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    if method == "HEAD" { Some(()) } else { stream.write_all(&bytes).ok() }
}

/// A file, or the part of it that was asked for.
fn ranged(file: Option<Vec<u8>>, range: Option<&str>) -> (&'static str, String, Vec<u8>) {
    let Some(file) = file else { return ("404 Not Found", String::new(), Vec::new()) };
    match range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
        Some((from, to)) => {
            let last = file.len() - 1;
            let from = from.parse().unwrap_or(0).min(last);
            let to = to.parse().unwrap_or(last).min(last);
            let more = format!("content-range: bytes {from}-{to}/{}\r\n", file.len());
            ("206 Partial Content", more, file[from..=to].to_vec())
        }
        None => ("200 OK", "accept-ranges: bytes\r\n".into(), file),
    }
}

fn landing(url: &str) -> Value {
    json!({
        "type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "a test",
        "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search"],
        "links": [{"rel": "search", "method": "POST", "href": format!("{url}/search"), "type": "application/geo+json"}]
    })
}

/// The items of the collections that are asked for; like many a server it does not filter by anything else.
fn found(scene: &Path, url: &str, wanted: &Value) -> Value {
    let mut features = Vec::new();
    for collection in wanted["collections"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let folder = if collection == "esa-worldcover" { "labels" } else { collection };
        for entry in std::fs::read_dir(scene.join(folder)).into_iter().flatten().filter_map(Result::ok) {
            let id = entry.file_name().to_string_lossy().into_owned();
            let Ok(text) = std::fs::read_to_string(entry.path().join(format!("{id}.json"))) else { continue };
            let mut item: Value = serde_json::from_str(&text).expect("an item");
            item["collection"] = json!(collection);
            item["links"] = json!([]);
            for asset in item["assets"].as_object_mut().expect("assets").values_mut() {
                let name = asset["href"].as_str().expect("a href").trim_start_matches("./").to_owned();
                asset["href"] = json!(format!("{url}/files/{folder}/{id}/{name}"));
            }
            if folder == "labels" {
                let map = item["assets"]["labels"].take();
                item["assets"] = json!({"map": map});
                item["assets"]["map"]["roles"] = json!(["data"]);
            }
            features.push(item);
        }
    }
    json!({"type": "FeatureCollection", "features": features, "links": []})
}
