//! Several processes that do one run: which of them this is, and starting them on this host.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use skysense_collective::{Local, Place, PlaceError};
use skysense_engine::Part;

use crate::{context::Context, exit::Exit, failure::Failure, output};

/// How often processes are looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long others may take to end after one failed, or after they were told to.
const GRACE: Duration = Duration::from_secs(30);

/// How many processes do a run.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct TogetherOptions {
    /// Train with so many processes on this host, which share every batch; with 1, alone whatever the environment says.
    /// --threads and --memory hold for each of them
    #[arg(long, value_name = "N", value_parser = parse_processes)]
    pub(crate) processes: Option<usize>,
}

fn parse_processes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("a whole number from 1 to 1024".to_owned()),
    }
}

/// This process among those of its run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Role {
    pub(crate) part: Part,
    /// Processes that share this host's processors, where that is known.
    pub(crate) sharing: Option<usize>,
}

impl Role {
    /// Whether this process only helps: it answers nothing, and leaves nothing behind.
    pub(crate) fn helps(self) -> bool {
        self.part.rank > 0
    }

    /// How many threads it may use, where nobody said.
    pub(crate) fn threads(self) -> Option<usize> {
        let sharing = self.sharing?;
        Some((thread::available_parallelism().map_or(1, usize::from) / sharing).max(1))
    }
}

/// What this process is to do: to be a rank, or to start ranks and wait for them, with how they ended.
pub(crate) enum Task {
    Be(Role),
    Ended(Exit),
}

impl TogetherOptions {
    /// As the options and the environment say.
    ///
    /// # Errors
    /// An environment that contradicts itself or the options, and processes that cannot be started.
    pub(crate) fn task(self, context: &Context) -> Result<Task, Failure> {
        let environment = |error: PlaceError| Failure::usage(error.to_string());
        match self.processes {
            Some(1) => Ok(Task::Be(Role::default())),
            None => Ok(Task::Be(Place::of_process().map_err(environment)?.map_or_else(Role::default, Role::from))),
            Some(size) => {
                if let Some(place) = Place::of_process().map_err(environment)? {
                    let message = format!(
                        "--processes {size} is given to rank {} of {} processes that something else started",
                        place.rank, place.size
                    );
                    return Err(Failure::usage(message).hint("leave --processes out, or unset RANK and WORLD_SIZE"));
                }
                Ok(Task::Ended(launch(size, context)?))
            }
        }
    }
}

impl From<Place> for Role {
    fn from(place: Place) -> Self {
        Self { part: Part { rank: place.rank, processes: place.size }, sharing: place.local_size }
    }
}

/// Starts this program once for each rank and waits for all. Rank 0 speaks for all; what others say on stderr has their
/// rank before it.
fn launch(size: usize, context: &Context) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Resources, "cannot start processes").because(error);
    let (local, program) = (Local::new().map_err(failed)?, std::env::current_exe().map_err(failed)?);
    let arguments = without_processes(std::env::args_os().skip(1));
    let mut ranks: Vec<Child> = Vec::with_capacity(size);
    for rank in 0..size {
        let mut command = Command::new(&program);
        // They end when this process goes away, however it does.
        command.args(&arguments).arg("--with-parent").stdin(Stdio::piped()).envs(local.variables(rank, size));
        command.env_remove("MASTER_PORT").env_remove("TORCHELASTIC_USE_AGENT_STORE");
        if rank > 0 {
            command.stdout(Stdio::null()).stderr(Stdio::piped());
        }
        match command.spawn() {
            Ok(mut child) => {
                if let Some(stderr) = child.stderr.take() {
                    thread::spawn(move || {
                        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                            output::note(&format!("rank {rank}: {line}"));
                        }
                    });
                }
                ranks.push(child);
            }
            Err(error) => {
                ranks.iter_mut().for_each(end);
                return Err(failed(error));
            }
        }
    }
    Ok(wait(ranks, context))
}

/// Waits for all; the first that fails, or the switch of this program, ends the others.
fn wait(mut ranks: Vec<Child>, context: &Context) -> Exit {
    let mut ends: Vec<Option<Exit>> = vec![None; ranks.len()];
    let mut ending: Option<Instant> = None;
    loop {
        for (rank, end) in ranks.iter_mut().zip(&mut ends) {
            if end.is_none()
                && let Ok(Some(status)) = rank.try_wait()
            {
                *end = Some(exit(status));
            }
        }
        if ends.iter().all(Option::is_some) {
            break;
        }
        let lost = ends.iter().flatten().any(|end| *end != Exit::Ok);
        if ending.is_none() && (lost || context.cancel.is_cancelled()) {
            ending = Some(Instant::now());
            if context.cancel.is_cancelled() {
                ranks.iter_mut().for_each(|rank| drop(rank.stdin.take()));
            }
        }
        if ending.is_some_and(|since| since.elapsed() > GRACE) {
            ranks.iter_mut().zip(&ends).filter(|(_, end)| end.is_none()).for_each(|(rank, _)| end(rank));
        }
        thread::sleep(TICK);
    }
    // Rank 0 speaks for all, unless it alone believes that all went well.
    let mut ends = ends.into_iter().flatten();
    let first = ends.next().unwrap_or(Exit::Internal);
    if first == Exit::Ok { ends.find(|end| *end != Exit::Ok).unwrap_or(Exit::Ok) } else { first }
}

fn end(rank: &mut Child) {
    drop(rank.stdin.take());
    // One that has ended needs no end.
    let _ = rank.kill();
}

fn exit(status: ExitStatus) -> Exit {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let all = [Exit::Ok, Exit::Workflow, Exit::Usage, Exit::Data, Exit::Resources, Exit::Cancelled];
    code.and_then(|code| all.into_iter().find(|exit| exit.code() == code)).unwrap_or(Exit::Internal)
}

/// The arguments of a rank: those of this process without `--processes`, and without `--with-parent`, which each has.
fn without_processes(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut kept, mut skip) = (Vec::new(), false);
    for argument in arguments {
        if std::mem::take(&mut skip) {
            continue;
        }
        match argument.to_str() {
            Some("--processes") => skip = true,
            Some("--with-parent") => {}
            Some(text) if text.starts_with("--processes=") => {}
            _ => kept.push(argument),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_started_as_this_process_was() {
        for text in ["run a.yaml --processes 4 -p x=1 --json", "run a.yaml --processes=4 -p x=1 --with-parent --json"] {
            let kept = without_processes(text.split(' ').map(OsString::from));
            assert_eq!(kept, ["run", "a.yaml", "-p", "x=1", "--json"].map(OsString::from));
        }
    }
}
