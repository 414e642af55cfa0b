//! What the service answers over HTTP.
//!
//! | file | answers |
//! | --- | --- |
//! | `routes`, `openapi` | the table of all addresses, and their description |
//! | `call`, `answer` | a request and an answer, without a framework around them |
//! | `guard`, `rate` | who may ask, and how often |
//! | `workflows`, `runs`, `events`, `hooks` | workflows, runs, how a run goes, what is posted |
//! | `stac`, `item`, `assets` | results as a STAC API, read only |
//! | `processes` | workflows as OGC API – Processes |
//! | `tiles`, `inputs`, `worker` | results and what they were made of as map tiles, drawn by a tool of a plugin in a process of its own |
//! | `operations` | health, readiness, metrics |
//! | `page` | what people see |
//!
//! A handler is a plain function from a [`Call`](call::Call) to an answer: it may block, and runs where blocking harms
//! nobody.

mod answer;
mod assets;
mod call;
mod events;
mod guard;
mod hooks;
mod inputs;
mod item;
mod openapi;
mod operations;
mod page;
mod processes;
mod rate;
mod routes;
mod runs;
mod stac;
mod tiles;
mod worker;
mod workflows;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpListener;

use crate::{Result, ServeError, Service};

/// How the API is reached.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Where it listens.
    pub address: SocketAddr,
    /// What whoever asks has to know; nothing for those of this machine.
    pub token: Option<String>,
    /// Whether nothing may be changed.
    pub read_only: bool,
    /// How others name this service, such as `https://maps.example.org`; by their own request if left out.
    pub public: Option<String>,
    /// Requests of one address in a minute.
    pub rate: u32,
}

impl Listen {
    /// Whether only this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Whether others than this machine reach it: by its address, or through a proxy that names it to them.
    pub(crate) fn reaches_others(&self) -> bool {
        !self.is_loopback() || self.public.is_some()
    }

    /// Whether a host header is the name under which others know it.
    pub(crate) fn is_public_name(&self, host: &str) -> bool {
        let name = self.public.as_deref().and_then(|origin| origin.split_once("://")).map(|(_, name)| name);
        name.is_some_and(|name| {
            // Browsers leave out the port that goes without saying; some proxies write it.
            let bare = |text: &str| text.trim_end_matches(":443").trim_end_matches(":80").to_ascii_lowercase();
            bare(name) == bare(host)
        })
    }

    /// Refuses to be open to all.
    ///
    /// # Errors
    /// It can be reached from elsewhere and asks for nothing.
    pub fn check(&self) -> Result<()> {
        let bad =
            |reason: &str| Err(ServeError::Listen { address: self.address.to_string(), reason: reason.to_owned() });
        match &self.token {
            None if !self.is_loopback() => {
                bad("others reach it, and no token keeps them out: give one with --token-file or SKYSENSE_TOKEN")
            }
            Some(token) if token.len() < 16 => bad("the token is short enough to be guessed: 16 characters at least"),
            _ => Ok(()),
        }
    }
}

/// What handlers work with.
pub(crate) struct Api {
    pub(crate) service: Arc<Service>,
    pub(crate) listen: Listen,
    pub(crate) worker: worker::Worker,
    pub(crate) rate: rate::Rate,
    pub(crate) started: crate::Millis,
    pub(crate) program: PathBuf,
    pub(crate) counters: operations::Counters,
}

/// How long open requests may take once the service ends.
const DRAIN: Duration = Duration::from_secs(10);

/// An API that listens.
#[derive(Debug)]
pub struct Server {
    runtime: tokio::runtime::Runtime,
    task: tokio::task::JoinHandle<()>,
    address: SocketAddr,
}

impl Server {
    /// Listens and answers, on threads of its own, until the service's switch is turned.
    ///
    /// # Errors
    /// The address is not to be had, or is open to all.
    pub fn start(service: Arc<Service>, listen: Listen, program: PathBuf) -> Result<Self> {
        listen.check()?;
        let failed = |error: std::io::Error| ServeError::Listen {
            address: listen.address.to_string(),
            reason: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(32)
            .thread_name("skysense-http")
            .enable_all()
            .build()
            .map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind(listen.address)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let cancel = service.cancel.clone();
        let api = Arc::new(Api {
            worker: worker::Worker::new(program.clone()),
            rate: rate::Rate::new(listen.rate),
            started: crate::now(),
            program,
            service,
            listen: Listen { address, ..listen },
            counters: operations::Counters::default(),
        });
        let app = routes::router(api).into_make_service_with_connect_info::<SocketAddr>();
        let task = runtime.spawn(async move {
            let ended = async move {
                while !cancel.is_cancelled() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(ended).await {
                tracing::error!("the API ended: {error}");
            }
        });
        Ok(Self { runtime, task, address })
    }

    /// Where it listens: with the port that was found, where any was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for open requests, for a while.
    pub fn end(self) {
        let _ = self.runtime.block_on(async { tokio::time::timeout(DRAIN, self.task).await });
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

/// Whether an address of a request is this machine's own.
pub(crate) fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    }
}
