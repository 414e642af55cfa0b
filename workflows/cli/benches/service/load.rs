//! Throughput and latency with many clients while a run works.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    CLIENTS,
    client::Client,
    example::{example, served_with, wait},
    line::Line,
    resident,
};

/// Of so many rounds of a client, one asks for a tile that nobody asked for before.
const DRAWN_EVERY: u32 = 10;
/// Zoom at which the scene has tiles enough for that.
const DEEP: u32 = 22;

/// What clients ask for.
struct Wanted {
    search: String,
    /// A tile that is kept already.
    tile: String,
    /// Folder of the tiles of a scene, first column and row, and how many columns there are.
    fresh: (String, u32, u32, u32),
    next: AtomicU32,
}

impl Wanted {
    fn fresh(&self) -> String {
        let (base, x, y, columns) = &self.fresh;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{base}/{DEEP}/{}/{}.png", x + number % columns, y + number / columns)
    }
}

pub(crate) fn measure(seconds: u32) {
    let folder = example();
    let log = folder.path().join("serve.log");
    let (_serving, client) = served_with(folder.path(), &["--rate", "100000000"], &[]);
    let runs = || client.json("/api/v1/runs?workflow=months")["runs"].as_array().expect("runs").clone();
    wait("maps", &log, || runs().len() > 1 && runs().iter().all(|run| run["state"] == "done"));
    let wanted = wanted(&client);
    for (clients, pause) in [(1, 0), (CLIENTS, 0), (CLIENTS, 500)] {
        let measured = phase(&client, &wanted, (clients, Duration::from_millis(pause)), seconds);
        println!("{measured}");
    }
}

/// What there is to ask for.
fn wanted(client: &Client) -> Wanted {
    let page = client.json("/stac/search?collections=crop-map&limit=1");
    let item = &page["features"][0];
    let side = |at: usize| item["bbox"][at].as_f64().expect("a side");
    let base = format!("/tiles/crop-map/{}/class", item["id"].as_str().expect("an id"));
    let tile = |zoom: u32, longitude: f64, latitude: f64| {
        let count = f64::from(1_u32 << zoom);
        let sine = latitude.to_radians().sin();
        let y = 0.5 - ((1.0 + sine) / (1.0 - sine)).ln() / (4.0 * std::f64::consts::PI);
        (((longitude / 360.0 + 0.5) * count) as u32, (y * count) as u32)
    };
    let (x, y) = tile(15, (side(0) + side(2)) / 2.0, (side(1) + side(3)) / 2.0);
    let kept = format!("{base}/15/{x}/{y}.png");
    client.get(&kept).is(200);
    let (first, top) = tile(DEEP, side(0), side(3));
    let columns = tile(DEEP, side(2), side(3)).0 - first;
    Wanted {
        search: json!({"collections": ["crop-map"], "limit": 10}).to_string(),
        tile: kept,
        fresh: (base, first, top, columns),
        next: AtomicU32::new(0),
    }
}

/// One measurement: so many clients that wait so long between two requests.
fn phase(client: &Client, wanted: &Wanted, (clients, pause): (u32, Duration), seconds: u32) -> Value {
    let (end, begun) = (AtomicBool::new(false), Instant::now());
    let lasts = Duration::from_secs(u64::from(seconds));
    let (mut taken, failed, runs) = std::thread::scope(|scope| {
        let work = scope.spawn(|| runs_meanwhile(client, &end));
        let ask = |number: u32| {
            let mut line = Line::open(&client.address);
            let (mut taken, mut failed) = (Vec::new(), 0_u32);
            // Those who wait do not wait for the same moment.
            std::thread::sleep(pause * number / clients);
            for round in number.. {
                let fresh = (round % DRAWN_EVERY == 0).then(|| ("tile, drawn", "GET", wanted.fresh(), ""));
                let usual = [
                    ("workflows", "GET", "/api/v1/workflows".to_owned(), ""),
                    ("runs", "GET", "/api/v1/runs?limit=50".to_owned(), ""),
                    ("search", "POST", "/stac/search".to_owned(), wanted.search.as_str()),
                    ("tile, kept", "GET", wanted.tile.clone(), ""),
                ];
                for (name, method, path, body) in usual.into_iter().chain(fresh) {
                    if begun.elapsed() > lasts {
                        return (taken, failed);
                    }
                    let asked = Instant::now();
                    let (status, _) = line.ask(method, &path, body);
                    taken.push((name, asked.elapsed()));
                    failed += u32::from(status != 200);
                    std::thread::sleep(pause);
                }
            }
            (taken, failed)
        };
        let asking: Vec<_> = (0..clients).map(|number| scope.spawn(move || ask(number))).collect();
        let mut all = (BTreeMap::<&str, Vec<Duration>>::new(), 0);
        for one in asking {
            let (taken, failed) = one.join().expect("a client");
            taken.into_iter().for_each(|(name, time)| all.0.entry(name).or_default().push(time));
            all.1 += failed;
        }
        end.store(true, Ordering::Relaxed);
        (all.0, all.1, work.join().expect("runs"))
    });
    let spent = begun.elapsed().as_secs_f64();
    let requests: usize = taken.values().map(Vec::len).sum();
    let mut answers = serde_json::Map::new();
    for (name, times) in &mut taken {
        times.sort();
        let share = |share: f64| {
            let millis = times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
            (millis * 10.0).round() / 10.0
        };
        let known =
            json!({"requests": times.len(), "p50_ms": share(0.5), "p95_ms": share(0.95), "p99_ms": share(0.99)});
        answers.insert((*name).to_owned(), known);
    }
    json!({
        "clients": clients, "pause_ms": pause.as_millis() as u64, "seconds": spent.round(), "requests": requests,
        "per_second": (requests as f64 / spent).round(), "not_answered": failed, "runs_done_meanwhile": runs,
        "resident_mib": resident(client), "answers": answers,
    })
}

/// Has one run after the other work until it is told to end; how many came to their end.
fn runs_meanwhile(client: &Client, end: &AtomicBool) -> u32 {
    let mut done = 0;
    while !end.load(Ordering::Relaxed) {
        let run = client.post("/api/v1/workflows/months/runs", &json!({})).is(201).json();
        let path = format!("/api/v1/runs/{}", run["id"].as_str().expect("an id"));
        while !end.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(200));
            let state = client.json(&path)["state"].clone();
            assert!(state != "dead", "the run failed: {}", client.json(&path));
            if state == "done" {
                done += 1;
                break;
            }
        }
    }
    done
}
