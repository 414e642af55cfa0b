//! `skysense serve`: triggers, runs, the API and the page, until somebody ends it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};
use skysense_serve::{Collector, Library, Limits, Listen, MapLibrary, Server, Service, Setup, Store};

use super::Subcommand;
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    options::{DeviceOptions, LimitOptions},
    output,
};

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(super) state: StateOptions,
    /// Address and port of the API and the page; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// File with the token that whoever asks has to give; needed where others than this machine reach the service
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Let nobody change anything by the API
    #[arg(long)]
    read_only: bool,
    /// How others name this service, behind a proxy, such as `https://maps.example.org`
    #[arg(long, value_name = "URL", value_parser = parse_public)]
    public: Option<String>,
    /// Requests that one address may make in a minute
    #[arg(long, value_name = "N", default_value = "6000", value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Folder for what runs write that have no other place; beside the state if left out
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
    /// How many runs may run at once
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    devices: DeviceOptions,
    /// Days for which what ended runs were given and said is kept; results stay
    #[arg(long, value_name = "DAYS", default_value = "90")]
    keep: u32,
    /// Folder with MapLibre GL, which the page draws its map with; beside the program or in the cache if left out
    #[arg(long, value_name = "FOLDER", env = "SKYSENSE_MAPLIBRE")]
    map_library: Option<PathBuf>,
    /// Only check workflows, triggers and state, and say what is wrong
    #[arg(long)]
    check: bool,
    /// Only copy the state, as it is at one moment, into this new file; a service may run meanwhile
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
}

/// Which workflows are served, and where their state is.
#[derive(Debug, Clone, Args)]
pub(crate) struct StateOptions {
    /// Folder with the workflows
    pub(crate) folder: PathBuf,
    /// File that keeps events, runs and results; made where there is none
    #[arg(long, value_name = "FILE", env = "SKYSENSE_STATE", default_value = ".skysense/service.db")]
    pub(crate) state: PathBuf,
}

impl StateOptions {
    /// The workflows.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn library(&self, context: &Context) -> Result<Library, Failure> {
        Ok(Library::open(&self.folder, context.types().clone())?)
    }

    /// The state.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.state)?)
    }
}

impl Subcommand for Serve {
    const NAME: &'static str = "serve";
    const ABOUT: &'static str = "Serve the workflows of a folder: triggers, runs, an API and a page";
    const DETAILS: &'static str = "Runs each workflow when its triggers say so, as child processes within --concurrency and --memory. Ctrl-C or \
        SIGTERM parks what runs; the next start goes on with it. Whatever is killed at whatever moment, each event is \
        worked off and each result published once.";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        if let Some(file) = &self.backup {
            Store::open_existing(&self.state.state)?.backup(file)?;
            return Ok(Exit::Ok);
        }
        let library = self.state.library(context)?;
        if self.check {
            return self.report(&library, context);
        }
        let faults = library.faults();
        if !faults.is_empty() {
            // The right ones are served all the same: one mistake does not stop everybody's work.
            output::note(faults.to_string().trim_end());
        }
        let listen = self.listen()?;
        let setup = self.setup()?;
        let program = setup.program.clone();
        let service = Arc::new(Service::new(&self.state.state, library, setup, context.cancel.clone())?);
        let server = Server::start(service.clone(), listen, program)?;
        let count = service.library.all().len();
        output::note(&format!(
            "serving {count} workflows of {} at http://{}",
            self.state.folder.display(),
            server.address()
        ));
        service.work();
        server.end();
        Ok(Exit::Ok)
    }
}

impl Serve {
    fn listen(&self) -> Result<Listen, Failure> {
        let token = match &self.token_file {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
                Some(text.trim().to_owned())
            }
            None => std::env::var("SKYSENSE_TOKEN").ok().filter(|token| !token.is_empty()),
        };
        let listen = Listen {
            address: self.listen,
            token,
            read_only: self.read_only,
            public: self.public.clone(),
            rate: self.rate,
        };
        listen.check()?;
        Ok(listen)
    }

    fn setup(&self) -> Result<Setup, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::new(Exit::Resources, "cannot find this program, which is to run workflows").because(error)
        })?;
        let limits = Limits {
            concurrency: usize::from(self.concurrency),
            memory: self.limits.memory.unwrap_or_else(skysense_engine::usable_memory),
            threads: self.limits.threads,
            devices: self.devices.devices.clone(),
        };
        let keep = Duration::from_secs(u64::from(self.keep) * 86_400);
        let collector =
            Collector::of(|name| std::env::var(name).ok()).map_err(|reason| Failure::new(Exit::Usage, reason))?;
        let map = match self.map()? {
            Ok(library) => Some(library),
            Err(reason) => {
                output::note(&reason);
                None
            }
        };
        Ok(Setup { program, results: self.results.clone(), limits, keep, collector, map })
    }

    /// The library of the page's map, or why it is not there. One that was asked for is there.
    fn map(&self) -> Result<Result<MapLibrary, String>, Failure> {
        let found = MapLibrary::find(self.map_library.as_deref());
        match (&self.map_library, found) {
            (Some(_), Err(reason)) => Err(Failure::usage(reason)),
            (_, found) => Ok(found),
        }
    }

    fn report(&self, library: &Library, context: &Context) -> Result<Exit, Failure> {
        let faults = library.faults();
        self.listen()?;
        let map = self.map()?;
        let map = map.map_or_else(|reason| reason, |library| library.folder().display().to_string());
        let state = check_state(&self.state.state);
        let listed: Vec<Value> = library
            .all()
            .iter()
            .map(|workflow| json!({"name": workflow.name, "file": workflow.file, "triggers": workflow.spec.triggers}))
            .collect();
        let failure = match (&state, faults.is_empty()) {
            (Err(failure), _) => Some(Failure::new(failure.exit(), failure.to_string())),
            (Ok(_), false) => Some(Failure::from(faults.clone())),
            (Ok(_), true) => None,
        };
        let exit = failure.as_ref().map_or(Exit::Ok, Failure::exit);
        let words = || {
            let line = |workflow: &Arc<skysense_serve::Workflow>| {
                format!("{}: ok, {} triggers\n", workflow.file.display(), workflow.spec.triggers.len())
            };
            library.all().iter().map(line).chain([format!("map: {map}\n")]).collect::<String>()
        };
        let state = state.map_or_else(|failure| failure.to_string(), str::to_owned);
        let answer = json!({
            "ok": exit == Exit::Ok, "exit": exit.code(), "workflows": listed, "state": state, "map": map,
            "faults": faults,
        });
        context.answer(&answer, words)?;
        Ok(failure.map_or(Exit::Ok, |failure| failure.print(false)))
    }
}

/// Scheme and host, as browsers write an origin.
fn parse_public(text: &str) -> Result<String, String> {
    let origin = text.trim_end_matches('/');
    let host = origin.strip_prefix("https://").or(origin.strip_prefix("http://")).unwrap_or_default();
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(safe) {
        return Err("scheme and host, as https://maps.example.org".to_owned());
    }
    Ok(origin.to_owned())
}

/// What there is to say of a state; one that is not there yet is not made.
fn check_state(path: &Path) -> Result<&'static str, Failure> {
    if !path.exists() {
        return Ok("none yet");
    }
    Store::open_existing(path)?.check()?;
    Ok("ok")
}
