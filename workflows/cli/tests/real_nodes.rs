//! The real nodes through the real binary, on a small simulated scene: what a run holds in memory, what it tells and
//! keeps, and what its bytes hang on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]
#![cfg(unix)]

mod command;

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use command::Done;
use serde_json::Value;
use tempfile::TempDir;

/// The binary beside its plugin, in a folder.
fn skysense(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skysense"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("SKYSENSE_PLUGIN_PATH").env_remove("SKYSENSE_RUNS").env("XDG_DATA_HOME", folder.join("data"));
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Done {
    Done::from(skysense(folder, arguments).output().expect("the binary starts"))
}

/// A scene, and a model that was trained on it for two steps: not to be good, to be there.
struct Ground {
    folder: TempDir,
}

impl Ground {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn catalog(&self) -> String {
        self.path("scene/catalog.json").display().to_string()
    }

    fn model(&self) -> String {
        self.path("model").display().to_string()
    }
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let scene = ["simulate", "scene", "--out", "scene", "--size", "64", "--dates", "3", "--cloud", "0.05"];
        run(folder.path(), &[&scene[..], &["--season", "120,240", "--year", "2021"]].concat()).exits(0);
        let train = "skysense: 1
nodes:
  scenes: {uses: stac.search, with: {href: scene/catalog.json, collections: [sentinel-2-l2a]}}
  truth: {uses: stac.search, with: {href: scene/catalog.json, collections: [labels]}}
  chips: {uses: raster.chips, from: scenes, with: {size: 16, overlap: 4}}
  model:
    uses: skysense.finetune
    from: {chips: chips, labels: truth}
    with: {preset: tiny, steps: 2, out: model}
";
        std::fs::write(folder.path().join("train.yaml"), train).expect("a file");
        run(folder.path(), &["run", "train.yaml"]).exits(0);
        Ground { folder }
    })
}

/// A map of the scene; `batch` is one of the settings that change no pixel.
fn map(folder: &Path, batch: usize) {
    let text = format!(
        "skysense: 1
name: map
params:
  catalog: {{type: uri}}
  model: {{type: model}}
nodes:
  scenes: {{uses: stac.search, with: {{href: $catalog, collections: [sentinel-2-l2a]}}}}
  chips: {{uses: raster.chips, from: scenes, with: {{size: 16, overlap: 4}}}}
  classes: {{uses: skysense.segment, from: chips, with: {{model: $model, batch: {batch}}}}}
  map: {{uses: stac.write, from: classes, with: {{href: out, collection: map}}}}
"
    );
    std::fs::write(folder.join("map.yaml"), text).expect("a file");
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[test]
fn a_batch_of_another_size_gives_the_same_bytes() {
    let ground = ground();
    let folder = tempfile::tempdir().expect("a folder");
    let mut outputs: Vec<Vec<(PathBuf, Vec<u8>)>> = Vec::new();
    for batch in [1, 5] {
        map(folder.path(), batch);
        let (catalog, model) = (format!("catalog={}", ground.catalog()), format!("model={}", ground.model()));
        run(folder.path(), &["run", "map.yaml", "-p", &catalog, "-p", &model]).exits(0);
        let out = folder.path().join("out");
        outputs
            .push(files(&out).into_iter().map(|file| (file.clone(), std::fs::read(file).expect("a file"))).collect());
        std::fs::remove_dir_all(out).expect("it is there");
    }
    let names = |all: &[(PathBuf, Vec<u8>)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&outputs[0]), names(&outputs[1]));
    assert!(outputs[0].iter().any(|(name, _)| name.extension().is_some_and(|end| end == "tif")));
    for (one, five) in outputs[0].iter().zip(&outputs[1]) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(4000).collect::<String>();
        assert!(one.1 == five.1, "{} differs:\n{}\n{}", one.0.display(), text(&one.1), text(&five.1));
    }
}

/// A number of `/proc/<pid>/status`, in bytes.
fn status(pid: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[test]
#[cfg(target_os = "linux")]
fn from_catalog_to_map_within_the_least_memory_that_a_plan_names() {
    let ground = ground();
    let folder = tempfile::tempdir().expect("a folder");
    map(folder.path(), 4);
    let (catalog, model) = (format!("catalog={}", ground.catalog()), format!("model={}", ground.model()));
    let base = ["map.yaml", "--json", "--threads", "2", "-p", &catalog, "-p", &model];
    let plan = |memory: &str| run(folder.path(), &[&["plan"], &base[..], &["--memory", memory]].concat());
    let refused = plan("16MiB").exits(4).json();
    // What the refusal names is what is tried next, by a process that holds somewhat more or less.
    let hint = refused["faults"][0]["hint"].as_str().expect("a hint").to_owned();
    let least = hint.split('`').nth(1).and_then(|words| words.split(' ').nth(1)).expect("`--memory …`").to_owned();
    for _ in 0..3 {
        plan(&least).exits(0);
    }
    let budget = least.trim_end_matches("MiB").parse::<u64>().expect("a number of MiB") << 20;
    let arguments = [&["run"], &base[..], &["--memory", &least]].concat();
    let mut child = skysense(folder.path(), &arguments).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut peak, mut anonymous, mut samples) = (0, 0, 0);
    while child.try_wait().expect("it is our child").is_none() {
        let pid = child.id();
        if let (Some(most), Some(mapped), Some(own)) =
            (status(pid, "VmHWM"), status(pid, "RssFile"), status(pid, "RssAnon"))
        {
            // The kernel's own peak counts mapped files, which the limit does not; they only grow.
            (peak, anonymous, samples) = (most.saturating_sub(mapped), anonymous.max(own), samples + 1);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let report = Done::from(child.wait_with_output().expect("it ended")).exits(0).json();
    eprintln!(
        "limit {least}, peak {} MiB, seen {} MiB of {samples} looks, told {} MiB",
        peak >> 20,
        anonymous >> 20,
        report["memory"]["peak"].as_u64().unwrap_or_default() >> 20
    );
    assert!(samples > 10 && peak > 0, "{samples} looks");
    assert!(peak <= budget && anonymous <= budget, "{peak} and {anonymous} bytes, {budget} allowed: {report}");
    assert!(report["memory"]["peak"].as_u64().is_some_and(|told| told > 0 && told <= budget), "{report}");
}

/// Serves a folder to whoever knows the password.
fn serve(folder: PathBuf) -> String {
    fn answer(folder: &Path, mut stream: &TcpStream) -> Option<()> {
        let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let lines: Vec<String> = lines.collect();
        let mut words = lines.first()?.split(' ');
        let (method, path) = (words.next()?, words.next()?.split('?').next()?);
        let header = |name: &str| {
            let mut all = lines.iter().filter_map(|line| line.split_once(": "));
            all.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        // `user:geheim` in base64.
        let known = header("authorization").is_some_and(|value| value == "Basic dXNlcjpnZWhlaW0=");
        let file = std::fs::read(folder.join(path.trim_start_matches('/')));
        let (status, more, body) = match (known, file) {
            (false, _) => ("401 Unauthorized", "www-authenticate: Basic realm=\"x\"\r\n".to_owned(), Vec::new()),
            (_, Err(_)) => ("404 Not Found", String::new(), Vec::new()),
            (_, Ok(file)) => {
                match header("range").as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
                    Some((from, to)) if from.parse::<usize>().is_ok_and(|from| from < file.len()) => {
                        let (from, last) = (from.parse::<usize>().ok()?, file.len() - 1);
                        let to = to.parse().unwrap_or(last).min(last);
                        let more = format!("content-range: bytes {from}-{to}/{}\r\n", file.len());
                        ("206 Partial Content", more, file[from..=to].to_vec())
                    }
                    _ => ("200 OK", "accept-ranges: bytes\r\n".to_owned(), file),
                }
            }
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        if method == "HEAD" { Some(()) } else { stream.write_all(&body).ok() }
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let folder = folder.clone();
            std::thread::spawn(move || answer(&folder, &stream));
        }
    });
    host
}

#[test]
fn a_password_opens_the_catalog_and_its_files_and_is_written_nowhere() {
    let ground = ground();
    let host = serve(ground.path("scene"));
    let folder = tempfile::tempdir().expect("a folder");
    map(folder.path(), 4);
    let (catalog, model) =
        (format!("catalog=http://user:geheim@{host}/catalog.json?sig=geheim"), format!("model={}", ground.model()));
    let mut told = Vec::new();
    for command in [&["plan"][..], &["run", "--progress", "json", "-vv"]] {
        let arguments = [command, &["map.yaml", "--json", "-p", &catalog, "-p", &model]].concat();
        let done = run(folder.path(), &arguments).exits(0);
        assert!(done.stdout.contains(&host), "the catalog's place is told: {}", done.stdout);
        told.extend([done.stdout, done.stderr]);
    }
    let hash = |catalog: &str| {
        let answer =
            run(folder.path(), &["check", "map.yaml", "--json", "-p", &format!("catalog={catalog}"), "-p", &model]);
        answer.exits(0).json()["files"][0]["hash"].clone()
    };
    assert_eq!(hash(&catalog["catalog=".len()..]), hash(&format!("http://{host}/catalog.json")));
    for text in &told {
        assert!(!text.contains("geheim") && !text.contains("dXNlcjpnZWhlaW0"), "{text}");
    }
    let (mut rows, mut items) = (0, 0);
    for file in files(folder.path()) {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(!holds(&bytes, "geheim"), "{} holds the password", file.display());
        rows += usize::from(holds(&bytes, &host) && file.extension().is_some_and(|end| end == "arrow"));
        items += usize::from(holds(&bytes, &host) && file.starts_with(folder.path().join("out")));
    }
    assert!(rows > 0 && items > 0, "rows and items that name the source were looked at");
}

#[test]
fn what_the_author_can_mend_ends_with_1_and_what_the_data_lack_with_3() {
    let ground = ground();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("w.yaml");
    let scenes = |with: &str| {
        format!(
            "scenes: {{uses: stac.search, with: {{href: {}, collections: [sentinel-2-l2a]{with}}}}}",
            ground.catalog()
        )
    };
    let chips = |with: &str| {
        format!("{}\n  chips: {{uses: raster.chips, from: scenes, with: {{size: 16, overlap: 4{with}}}}}", scenes(""))
    };
    for (command, nodes, code) in [
        // What the text alone shows is found without a look at any catalog.
        ("check", scenes(", datetime: foo"), 1),
        ("check", chips(", period: P1X"), 1),
        ("check", chips(", crs: foo"), 1),
        ("check", scenes(", datetime: 2021-03-01/.."), 0),
        ("check", chips(", period: P10D, crs: 'EPSG:32633'"), 0),
        ("plan", scenes(", datetime: 2021-99-01"), 1),
        ("plan", scenes(", bbox: [14, 49, 15, 48]"), 1),
        ("plan", scenes(", area: 'POLYGON((1 1'"), 1),
        ("plan", scenes(", sensors: {mine: no-such-sensor}"), 1),
        ("plan", chips(", bands: {s2: [B99]}"), 1),
        ("plan", chips(", crs: 'EPSG:999999'"), 1),
        ("plan", chips(", bbox: [14, 49, 15, 48]"), 1),
        ("plan", scenes(", area: none.geojson"), 3),
        ("plan", scenes(", datetime: 1999-01-01"), 3),
        ("plan", scenes("").replace("catalog.json", "none.json"), 3),
    ] {
        std::fs::write(&file, format!("skysense: 1\nnodes:\n  {nodes}\n")).expect("a file");
        let done = run(folder.path(), &[command, "w.yaml"]);
        assert_eq!(done.code, Some(code), "{command} {nodes}\n{}", done.stderr);
        assert!(code == 0 || done.stderr.contains("w.yaml:"), "no line: {}", done.stderr);
    }
    map(folder.path(), 4);
    std::fs::create_dir(folder.path().join("out")).expect("a folder");
    std::fs::write(folder.path().join("out/collection.json"), "{}").expect("a file");
    let (catalog, model) = (format!("catalog={}", ground.catalog()), format!("model={}", ground.model()));
    let done = run(folder.path(), &["run", "map.yaml", "--json", "-p", &catalog, "-p", &model]).exits(1);
    let answer: Value = done.json();
    assert_eq!(answer["outcome"], "failed");
    assert!(done.stderr.contains("exists: replace"), "{}", done.stderr);
}
