//! Tools of plugins, called in a process of its own that is kept: `skysense tool --serve`.
//!
//! Whatever reads rasters may crash on a broken one. Then that process is gone and not the service; the next call
//! starts another.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// How long one call may take; then its process is ended.
const LONGEST: Duration = Duration::from_secs(30);
/// Processes at most.
const MOST: usize = 2;

/// Keeps processes that call tools.
#[derive(Debug)]
pub(crate) struct Worker {
    program: PathBuf,
    free: Mutex<Vec<Process>>,
    room: (Mutex<usize>, std::sync::Condvar),
}

#[derive(Debug)]
struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Worker {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program, free: Mutex::default(), room: (Mutex::new(MOST), std::sync::Condvar::new()) }
    }

    /// Calls a tool. An error is the tool's own, or says that its process ended.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Result<Value, String> {
        let _room = self.enter();
        // One that ended while nobody asked is found out by the first call; a second one starts anew.
        let mut last = "the tool's process ended".to_owned();
        for fresh in [false, true] {
            let kept = if fresh { None } else { self.free.lock().unwrap_or_else(PoisonError::into_inner).pop() };
            let Some(mut process) = (match kept {
                Some(process) => Some(process),
                None if fresh => Some(self.start()?),
                None => None,
            }) else {
                continue;
            };
            match process.ask(tool, arguments) {
                Ok(answer) => {
                    self.free.lock().unwrap_or_else(PoisonError::into_inner).push(process);
                    return match answer.get("error") {
                        Some(error) => Err(error["message"].as_str().unwrap_or("the tool failed").to_owned()),
                        None => Ok(answer["answer"].clone()),
                    };
                }
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    fn start(&self) -> Result<Process, String> {
        let mut command = Command::new(&self.program);
        command.args(["tool", "--serve"]);
        // It ends when its stdin does.
        command.args(["--progress", "none"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("the tool's process does not start: {error}"))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the tool's process has no pipes".to_owned());
        };
        let (sender, lines) = mpsc::channel();
        let read = move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("skysense-tool".to_owned()).spawn(read).map_err(|error| error.to_string())?;
        Ok(Process { child, stdin, lines })
    }

    fn enter(&self) -> Room<'_> {
        let (free, bell) = &self.room;
        let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = bell.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Room(self)
    }
}

impl Process {
    fn ask(&mut self, tool: &str, arguments: &Value) -> Result<Value, String> {
        let ended = |_| "the tool's process ended".to_owned();
        let line = json!({"tool": tool, "arguments": arguments}).to_string();
        writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush()).map_err(ended)?;
        let answer = self.lines.recv_timeout(LONGEST).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => format!("the tool took more than {} s", LONGEST.as_secs()),
            mpsc::RecvTimeoutError::Disconnected => "the tool's process ended".to_owned(),
        })?;
        serde_json::from_str(&answer).map_err(|error| format!("the tool's answer is broken: {error}"))
    }
}

/// Room for one process, as long as it lives.
struct Room<'a>(&'a Worker);

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let (free, bell) = &self.0.room;
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        bell.notify_one();
    }
}
