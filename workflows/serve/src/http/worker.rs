//! Tools of plugins, called in a process of its own that is kept: `skysense tool --serve`.
//!
//! Whatever reads rasters may crash on a broken one. Then that process is gone and not the service; the next call
//! starts another.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// How long one call may take; then its process is ended.
const LONGEST: Duration = Duration::from_secs(30);
/// How long a call waits for its turn; a map asks for dozens of tiles at once.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
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

/// Why a process gave no answer.
enum Broken {
    Ended,
    Slow,
    Nonsense(String),
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
        let _room = self.enter().ok_or("others ask for too much at once")?;
        // One that ended while nobody asked is found out by the first call; a second one starts anew.
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
                Err(Broken::Ended) => {}
                // It would take as long again.
                Err(Broken::Slow) => return Err(format!("the tool took more than {} s", LONGEST.as_secs())),
                Err(Broken::Nonsense(reason)) => return Err(reason),
            }
        }
        Err("the tool's process ended".to_owned())
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

    /// Waits for room, for a while.
    fn enter(&self) -> Option<Room<'_>> {
        let (free, bell) = &self.room;
        let free = free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = bell.wait_timeout_while(free, LONGEST_WAIT, |free| *free == 0);
        let (mut free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Room(self))
    }
}

impl Process {
    fn ask(&mut self, tool: &str, arguments: &Value) -> Result<Value, Broken> {
        let ended = |_| Broken::Ended;
        let line = json!({"tool": tool, "arguments": arguments}).to_string();
        writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush()).map_err(ended)?;
        let answer = self.lines.recv_timeout(LONGEST).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => Broken::Slow,
            mpsc::RecvTimeoutError::Disconnected => Broken::Ended,
        })?;
        serde_json::from_str(&answer).map_err(|error| Broken::Nonsense(format!("the tool's answer is broken: {error}")))
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

/// What a command says on stdout. One that takes too long is ended.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut stdout = child.stdout.take().ok_or("the process has no pipe")?;
    let (sender, said) = mpsc::channel();
    let read = move || {
        let mut text = Vec::new();
        let done = stdout.read_to_end(&mut text).map(|_| text);
        // Nobody waits any more where it took too long.
        let _ = sender.send(done);
    };
    let reading = thread::Builder::new().name("skysense-output".to_owned()).spawn(read);
    let text = match reading {
        Ok(_) => said.recv_timeout(LONGEST).map_err(|_| format!("it took more than {} s", LONGEST.as_secs())),
        Err(error) => Err(error.to_string()),
    };
    if text.is_err() {
        let _ = child.kill();
    }
    child.wait().map_err(|error| error.to_string())?;
    text?.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ends_at_once_is_an_error_and_no_hang() {
        let worker = Worker::new("/bin/false".into());
        assert!(worker.call("raster.tile", &json!({})).unwrap_err().contains("ended"));
        let worker = Worker::new("/nothing/here".into());
        assert!(worker.call("raster.tile", &json!({})).unwrap_err().contains("does not start"));
        assert_eq!(output(Command::new("/bin/echo").arg("said")).unwrap(), b"said\n");
        assert!(output(&mut Command::new("/nothing/here")).is_err());
    }

    #[test]
    fn who_waits_is_let_in_when_another_is_done() {
        let worker = Worker::new("/bin/false".into());
        let (first, second) = (worker.enter(), worker.enter());
        assert!(first.is_some() && second.is_some());
        thread::scope(|scope| {
            let third = scope.spawn(|| worker.enter().is_some());
            drop(first);
            assert!(third.join().unwrap());
        });
    }
}
