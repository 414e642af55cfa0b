//! PyTorch beside us: where it is, and how its scripts are asked.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What stands behind an argument.
pub(crate) fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// Threads of either side: two where none are asked for.
pub(crate) fn threads() -> usize {
    argument("--threads").map_or(2, |threads| threads.parse().expect("a number of threads"))
}

/// The Python that is compared with; `None` where none is wanted.
#[allow(dead_code, reason = "each benchmark uses its own part")]
pub(crate) fn python() -> Option<PathBuf> {
    match argument("--python").as_deref() {
        Some("none") => None,
        Some(path) => Some(path.into()),
        None => Some(environment()),
    }
}

/// What a script of trainer/benches/peer answers.
pub(crate) fn run(python: &Path, script: &str, asked: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../trainer/benches/peer").join(script);
    let mut child = Command::new(python)
        .arg(script)
        .arg(threads().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    child.stdin.take().expect("piped").write_all(asked.to_string().as_bytes()).expect("the peer reads");
    let output = child.wait_with_output().expect("the peer ends");
    assert!(output.status.success(), "the peer failed");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A Python with PyTorch.
pub(crate) fn environment() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("torch");
    let python = folder.join("bin/python");
    let run = |program: &Path, arguments: &[&str]| {
        Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
    };
    if !run(&python, &["-c", "import torch"]) {
        let requirements = concat!(env!("CARGO_MANIFEST_DIR"), "/../../trainer/benches/peer/requirements.txt");
        let made = run(Path::new("python3"), &["-m", "venv", &folder.to_string_lossy()])
            && run(&python, &["-m", "pip", "install", "--quiet", "-r", requirements]);
        assert!(made, "no PyTorch to compare with: pass --python");
    }
    python
}
