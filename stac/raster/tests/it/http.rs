//! Rasters behind a server: ranges, faults, retries, and signatures that must not be told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use skysense_raster::{Resampling, Source, header, read};
use tempfile::tempdir;

use crate::support::{cog, grid, noise};

type Log = Arc<Mutex<Vec<(String, usize)>>>;

/// Serves one file under every path; the path says how: `/missing` 404, `/closed` 403, `/ending` 403 from the
/// first request beyond the file's begin on, `/flaky` 503 once each, else well.
fn serve(body: Vec<u8>) -> (String, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let log: Log = Arc::default();
    let seen = Arc::clone(&log);
    std::thread::spawn(move || {
        let body = Arc::new(body);
        let failed: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
        for stream in listener.incoming().map_while(Result::ok) {
            let (body, seen, failed) = (Arc::clone(&body), Arc::clone(&seen), Arc::clone(&failed));
            std::thread::spawn(move || answer(stream, &body, &seen, &failed));
        }
    });
    (address, log)
}

fn answer(stream: TcpStream, body: &[u8], log: &Log, failed: &Mutex<HashMap<String, u32>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let Some(request) = lines.first() else { return };
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
        let range = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        let (status, part, head) = if path.starts_with("/missing") {
            ("404 Not Found", &b"nothing here"[..], String::new())
        } else if path.starts_with("/closed") || path.starts_with("/ending") && has_ended(failed, range.as_deref()) {
            ("403 Forbidden", &b"no"[..], String::new())
        } else if path.starts_with("/flaky") && first_time(failed, range.as_deref().unwrap_or_default()) {
            ("503 Service Unavailable", &b"later"[..], String::new())
        } else if let Some((from, to)) = range.as_deref().and_then(|range| range.split_once('-')) {
            let from: usize = from.parse().unwrap();
            let to = to.parse().unwrap_or(usize::MAX).min(body.len() - 1);
            ("206 Partial Content", &body[from..=to], format!("Content-Range: bytes {from}-{to}/{}\r\n", body.len()))
        } else {
            ("200 OK", body, "Accept-Ranges: bytes\r\n".into())
        };
        log.lock().unwrap().push((format!("{method} {path}"), if method == "HEAD" { 0 } else { part.len() }));
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{head}\r\n", part.len());
        if stream.write_all(head.as_bytes()).is_err() || method != "HEAD" && stream.write_all(part).is_err() {
            return;
        }
    }
}

fn has_ended(failed: &Mutex<HashMap<String, u32>>, range: Option<&str>) -> bool {
    let from = range.and_then(|range| range.split_once('-')).and_then(|(from, _)| from.parse::<usize>().ok());
    let mut failed = failed.lock().unwrap();
    if from.is_some_and(|from| from > 100_000) {
        failed.insert("ended".into(), 1);
    }
    failed.contains_key("ended")
}

fn first_time(failed: &Mutex<HashMap<String, u32>>, key: &str) -> bool {
    let mut failed = failed.lock().unwrap();
    let count = failed.entry(key.to_owned()).or_default();
    *count += 1;
    *count == 1
}

fn served() -> (tempfile::TempDir, Vec<u16>, skysense_grid::GeoBox, String, Log) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let geobox = grid(32633, 500_000.0, 5_000_000.0, 10.0, 1600, 1600);
    let values: Vec<u16> = noise(1600 * 1600, 60_000).into_iter().map(|value| value as u16).collect();
    cog(&path, &geobox, None, &values);
    let (address, log) = serve(std::fs::read(&path).unwrap());
    (folder, values, geobox, address, log)
}

#[test]
fn a_window_is_read_by_ranges() {
    let (folder, values, geobox, address, log) = served();
    let source = Source::new("item-5 / B08", format!("{address}/good/a.tif?sig=SECRET"));
    let found = header(&source).unwrap();
    let size = std::fs::metadata(folder.path().join("a.tif")).unwrap().len();
    assert_eq!(found.bytes, Some(size));
    let to = geobox.window(&skysense_grid::Window { x: 600, y: 600, width: 64, height: 64 }).unwrap();
    let pixels = read(&source, &found, &to, Resampling::Nearest).unwrap();
    assert_eq!(pixels.values[0], f32::from(values[600 * 1600 + 600]));
    let sent: usize = log.lock().unwrap().iter().map(|(_, bytes)| bytes).sum();
    assert!((sent as u64) < size / 2, "{sent} of {size} bytes for one block");
    let requests = log.lock().unwrap().len();
    read(&source, &found, &to, Resampling::Nearest).unwrap();
    assert_eq!(log.lock().unwrap().len(), requests, "an open file is not asked again");
}

#[test]
fn a_server_that_stumbles_is_asked_again() {
    let (_folder, values, geobox, address, log) = served();
    let source = Source::new("item-5 / B08", format!("{address}/flaky/a.tif"));
    let found = header(&source).unwrap();
    let to = geobox.window(&skysense_grid::Window { x: 1000, y: 40, width: 32, height: 32 }).unwrap();
    let pixels = read(&source, &found, &to, Resampling::Nearest).unwrap();
    assert_eq!(pixels.values[0], f32::from(values[40 * 1600 + 1000]));
    assert!(log.lock().unwrap().iter().filter(|(_, bytes)| *bytes == 5).count() >= 1, "it did stumble");
}

#[test]
fn faults_of_a_server_name_the_item_and_no_signature() {
    let (_folder, _, _, address, _) = served();
    let told = |path: &str| header(&Source::new("item-6 / B02", format!("{address}{path}"))).unwrap_err().to_string();
    let missing = told("/missing/a.tif?sig=SECRET");
    assert!(
        missing.contains("item-6 / B02") && missing.contains("/missing/a.tif") && missing.contains("not there"),
        "{missing}"
    );
    let closed = told("/closed/a.tif?sig=SECRET");
    assert!(closed.contains("signature") && !closed.contains("SECRET") && !missing.contains("SECRET"), "{closed}");
    let dead = header(&Source::new("item-6 / B02", "http://127.0.0.1:9/a.tif")).unwrap_err().to_string();
    assert!(dead.contains("item-6 / B02"), "{dead}");
}

#[test]
fn a_signature_that_ends_is_told_from_other_faults() {
    let (_folder, _, geobox, address, _) = served();
    let fault = |path: &str| header(&Source::new("item-7 / B02", format!("{address}{path}"))).unwrap_err();
    assert!(fault("/closed/403.tif?sig=SECRET").is_refused());
    assert!(!fault("/missing/403.tif?sig=SECRET").is_refused());
    // It ends while the file is open.
    let source = Source::new("item-7 / B02", format!("{address}/ending/a.tif?sig=SECRET"));
    let found = header(&source).unwrap();
    let to = geobox.window(&skysense_grid::Window { x: 1500, y: 1500, width: 32, height: 32 }).unwrap();
    let error = read(&source, &found, &to, Resampling::Nearest).unwrap_err();
    assert!(error.is_refused() && !error.to_string().contains("SECRET"), "{error}");
    let cut = Source::new("item-7 / B02", format!("{address}/good/a.tif"));
    assert!(!read(&cut.with_band(3), &found, &to, Resampling::Nearest).unwrap_err().is_refused());
}
