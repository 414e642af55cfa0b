//! Boxes against shapely and pycocotools: overlaps, suppression, mean average precision. Prints JSON; the ratios say how
//! many times as fast this crate is. There is no limit; that both did the same is checked.
//!
//! Recipe: 200 000 pairs of rotated boxes that overlap; 20 000 rotated boxes of one class in a scene, a fifth of them
//! twins; 500 images with 10 truths and 30 boxes of 15 classes each. Medians of 5 rounds. One thread each. The peers are in
//! Python, and their loops with them: pycocotools computes overlaps in C and matches in Python, shapely computes many
//! overlaps by one call.
//!
//! `pip install -r trainer/metric/benches/peer/requirements.txt`, then
//! `cargo bench --manifest-path trainer/metric/Cargo.toml --bench boxes -- [--python PATH]`
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests and benchmarks say what they expect by failing")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use skysense_metric::{Coco, CocoSettings, Quad, Rect, Scored, Shape, Truth, nms};

const PAIRS: usize = 200_000;
const BOXES: usize = 20_000;
const IMAGES: usize = 500;
const CLASSES: usize = 15;
const ROUNDS: usize = 5;
const THRESHOLD: f64 = 0.3;

/// Median seconds, and what came of the last round.
fn timed<T>(mut work: impl FnMut() -> T) -> (f64, T) {
    let mut result = work();
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            result = work();
            begun.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    (seconds[ROUNDS / 2], result)
}

fn quad(rng: &mut impl Rng, [x, y]: [f64; 2]) -> [[f64; 2]; 4] {
    let size = [8.0 + 30.0 * rng.random::<f64>(), 4.0 + 10.0 * rng.random::<f64>()];
    Quad::from_centre([x, y], size, 3.0 * rng.random::<f64>()).unwrap().corners()
}

fn beside(rng: &mut impl Rng, [x, y]: [f64; 2], by: f64) -> [f64; 2] {
    [x + by * (rng.random::<f64>() - 0.5), y + by * (rng.random::<f64>() - 0.5)]
}

/// A job for the peer, our seconds and our result.
struct Measured {
    job: Value,
    seconds: f64,
    result: f64,
}

fn overlaps(rng: &mut impl Rng) -> Measured {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let centre = beside(rng, [500.0, 500.0], 1000.0);
        one.push(quad(rng, centre));
        let near = beside(rng, centre, 12.0);
        other.push(quad(rng, near));
    }
    let (seconds, result) = timed(|| {
        let made = |corners: &[[f64; 2]; 4]| Quad::new(*corners).unwrap();
        one.iter().zip(&other).map(|(one, other)| made(one).iou(&made(other))).sum()
    });
    Measured { job: json!({"rounds": ROUNDS, "one": one, "other": other}), seconds, result }
}

fn suppression(rng: &mut impl Rng) -> Measured {
    let mut corners: Vec<[[f64; 2]; 4]> = Vec::new();
    for at in 0..BOXES {
        let twin = corners.len().checked_sub(1).filter(|_| at % 5 == 0);
        let moved = |corners: [[f64; 2]; 4]| corners.map(|[x, y]| [x + 1.0, y + 0.5]);
        let place = beside(rng, [2500.0, 2500.0], 5000.0);
        let fresh = quad(rng, place);
        corners.push(twin.map_or(fresh, |last| moved(corners[last])));
    }
    let scores: Vec<f64> = corners.iter().map(|_| rng.random()).collect();
    let (seconds, result) = timed(|| {
        let boxes = corners.iter().zip(&scores);
        let boxes: Vec<Scored<Quad>> = boxes
            .map(|(corners, score)| Scored { shape: Quad::new(*corners).unwrap(), class: 0, score: *score })
            .collect();
        nms(&boxes, THRESHOLD).unwrap().len() as f64
    });
    let job = json!({"rounds": ROUNDS, "threshold": THRESHOLD, "boxes": corners, "scores": scores});
    Measured { job, seconds, result }
}

/// Truths and boxes of an image.
type Image = (Vec<Truth<Rect>>, Vec<Scored<Rect>>);

fn image(rng: &mut impl Rng) -> Image {
    let size = |rng: &mut dyn FnMut() -> f64| [10.0 + 150.0 * rng(), 10.0 + 150.0 * rng()];
    let (mut truths, mut boxes) = (Vec::new(), Vec::new());
    for at in 0..30 {
        let class = rng.random_range(0..CLASSES);
        let corner = beside(rng, [400.0, 400.0], 800.0);
        let shape = Rect::new(corner, size(&mut || rng.random())).unwrap();
        if at < 10 {
            truths.push(Truth { shape, class, ignored: false, area: None });
            let near = Rect::new(beside(rng, corner, 10.0), shape.size()).unwrap();
            boxes.push(Scored { shape: near, class, score: rng.random() });
        } else {
            boxes.push(Scored { shape, class, score: rng.random() });
        }
    }
    (truths, boxes)
}

fn coco(rng: &mut impl Rng) -> Measured {
    let images: Vec<Image> = (0..IMAGES).map(|_| image(rng)).collect();
    let (seconds, result) = timed(|| {
        let mut coco = Coco::new(CLASSES, CocoSettings::default()).unwrap();
        images.iter().zip(0..).for_each(|((truths, boxes), at)| coco.add(at, truths, boxes).unwrap());
        coco.scores().map.unwrap()
    });
    let numbers = |shape: &Rect| [shape.corner(), shape.size()].concat();
    let described = images.iter().map(|(truths, boxes)| {
        let truth = |truth: &Truth<Rect>| json!([numbers(&truth.shape), vec![truth.class as f64]].concat());
        let found =
            |found: &Scored<Rect>| json!([numbers(&found.shape), vec![found.class as f64, found.score]].concat());
        let (truths, boxes): (Vec<_>, Vec<_>) = (truths.iter().map(truth).collect(), boxes.iter().map(found).collect());
        json!({"truths": truths, "boxes": boxes})
    });
    let described: Vec<_> = described.collect();
    Measured { job: json!({"rounds": ROUNDS, "classes": CLASSES, "images": described}), seconds, result }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let python = arguments.iter().position(|argument| argument == "--python").and_then(|at| arguments.get(at + 1));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let measured = [("overlaps", overlaps(&mut rng)), ("suppression", suppression(&mut rng)), ("coco", coco(&mut rng))];
    let jobs: serde_json::Map<String, Value> =
        measured.iter().map(|(name, measured)| ((*name).to_owned(), measured.job.clone())).collect();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("boxes.json");
    std::fs::write(&file, Value::Object(jobs).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer/boxes.py");
    let output = Command::new(python.map_or("python3", String::as_str)).arg(script).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut report =
        json!({"bench": "metric/boxes", "pairs": PAIRS, "boxes": BOXES, "images": IMAGES, "rounds": ROUNDS});
    for (name, ours) in &measured {
        let (seconds, result) = (theirs[name]["seconds"].as_f64().unwrap(), theirs[name]["result"].as_f64().unwrap());
        assert!((ours.result - result).abs() < 1e-6 * result.abs().max(1.0), "{name}: {} and {result}", ours.result);
        report[name] =
            json!({"seconds": ours.seconds, "peer_seconds": seconds, "times_as_fast": seconds / ours.seconds});
    }
    println!("{report}");
}
