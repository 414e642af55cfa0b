//! Heartbeats over the control links, and how a failure reaches all ranks.
//!
//! Every rank holds one control link to rank 0. Over it goes a heartbeat a second, with the number of the operation that
//! the rank is at; who is silent for too long, or closes without a word, has failed. Whoever finds a failure tells rank
//! 0, which tells all: so every rank ends with the same reason, though a rank alone sees no more than that a neighbour's
//! connection broke.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::hello::Who;
use crate::wire::{self, Kind};
use crate::{GroupError, Patience};

/// Time between heartbeats; less where silence is told sooner.
const BEAT: Duration = Duration::from_secs(1);

/// How long a rank waits for the reason of a broken connection before it gives its own.
const VERDICT: Duration = Duration::from_secs(3);

/// What to do after a rank was lost.
pub(crate) const AGAIN: &str =
    "see what that rank said last, then start all ranks again: a run goes on from its checkpoint";

/// What is known of the others.
#[derive(Debug)]
pub(crate) struct Watch {
    me: usize,
    all: Vec<Who>,
    patience: Patience,
    born: Instant,
    failure: Mutex<Option<GroupError>>,
    told: Condvar,
    /// The operation that this rank is at, from 1.
    operation: AtomicU64,
    /// By rank; of rank 0 those of all, of others that of rank 0.
    links: Vec<Option<Link>>,
    /// Connections of data: shut when the group ends, so that nobody waits for them.
    data: Mutex<Vec<TcpStream>>,
    /// Whether this rank has left.
    over: AtomicBool,
}

#[derive(Debug)]
struct Link {
    writer: Mutex<TcpStream>,
    /// Milliseconds after `born` when something was heard last.
    heard: AtomicU64,
    /// The operation that it was at then.
    operation: AtomicU64,
    /// Whether it has left.
    left: AtomicBool,
}

impl Watch {
    /// Watches over these links, by rank.
    pub(crate) fn start(
        me: usize,
        all: Vec<Who>,
        patience: Patience,
        links: Vec<(usize, TcpStream)>,
    ) -> Result<Arc<Self>, GroupError> {
        let fault = |error: std::io::Error| GroupError::new(format!("a control link cannot be set up: {error}"), AGAIN);
        let mut by_rank: Vec<Option<Link>> = all.iter().map(|_| None).collect();
        let mut readers = Vec::new();
        for (rank, stream) in links {
            stream.set_write_timeout(Some(patience.silence)).map_err(fault)?;
            let writer = Mutex::new(stream.try_clone().map_err(fault)?);
            readers.push((rank, stream));
            let (heard, operation, left) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
            by_rank[rank] = Some(Link { writer, heard, operation, left });
        }
        let watch = Arc::new(Self {
            me,
            all,
            patience,
            born: Instant::now(),
            failure: Mutex::default(),
            told: Condvar::new(),
            operation: AtomicU64::new(0),
            links: by_rank,
            data: Mutex::default(),
            over: AtomicBool::new(false),
        });
        for (rank, stream) in readers {
            let watch = watch.clone();
            spawn(move || watch.listen(rank, stream)).map_err(fault)?;
        }
        let beating = watch.clone();
        spawn(move || beating.beat()).map_err(fault)?;
        Ok(watch)
    }

    /// A rank, for messages.
    pub(crate) fn who(&self, rank: usize) -> &Who {
        &self.all[rank]
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// Begins an operation; gives its number.
    pub(crate) fn next_operation(&self) -> u64 {
        self.operation.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A connection to shut when the group ends.
    pub(crate) fn add_data(&self, stream: TcpStream) {
        lock(&self.data).push(stream);
        // The group may have ended meanwhile.
        if self.failure().is_some() {
            self.shut();
        }
    }

    /// Why the group ended, if it did.
    pub(crate) fn failure(&self) -> Option<GroupError> {
        lock(&self.failure).clone()
    }

    /// Ends the group and tells the others; the first reason counts.
    pub(crate) fn fail(&self, error: GroupError) -> GroupError {
        let mut failure = lock(&self.failure);
        if let Some(first) = &*failure {
            return first.clone();
        }
        *failure = Some(error.clone());
        drop(failure);
        self.told.notify_all();
        let body = serde_json::to_vec(&error).unwrap_or_default();
        self.tell(Kind::Ended, &body);
        self.shut();
        error
    }

    /// The reason of a connection that broke: that which comes over the control link, else this.
    pub(crate) fn broken(&self, own: impl FnOnce() -> GroupError) -> GroupError {
        let failure = lock(&self.failure);
        let waited = self.told.wait_timeout_while(failure, VERDICT, |failure| failure.is_none());
        let known = waited.unwrap_or_else(PoisonError::into_inner).0.clone();
        known.unwrap_or_else(|| self.fail(own()))
    }

    /// The reason why an operation took too long.
    pub(crate) fn late(&self, operation: u64, before: usize) -> GroupError {
        let behind = |rank: usize| {
            let at = self.links[rank].as_ref().map(|link| link.operation.load(Ordering::Relaxed));
            at.filter(|at| *at < operation).map(|at| (rank, at))
        };
        let found = (0..self.all.len()).find_map(behind);
        let own = || {
            let wait = self.patience.wait.as_secs_f64();
            let hint = "look at what that rank does (its log, its disk, its device); SKYSENSE_WAIT_SECONDS allows more";
            let message = match found {
                Some((rank, at)) => format!(
                    "{} lives but is still at operation {at} after {wait} s, others wait in operation {operation}",
                    self.who(rank)
                ),
                None => format!("nothing came from {} for {wait} s in operation {operation}", self.who(before)),
            };
            GroupError::new(message, hint)
        };
        // Rank 0 knows of all where they are; others name it alone, or leave it the word.
        if self.me == 0 || found.is_some() { self.fail(own()) } else { self.broken(own) }
    }

    /// Says that this rank has done all that it came for.
    pub(crate) fn leave(&self) {
        self.over.store(true, Ordering::Relaxed);
        if self.failure().is_none() {
            self.tell(Kind::Bye, &[]);
        }
    }

    fn tell(&self, kind: Kind, body: &[u8]) {
        for link in self.links.iter().flatten().filter(|link| !link.left.load(Ordering::Relaxed)) {
            // Who cannot be told finds out by itself: its link is closed, or silent.
            let _ = wire::write(&mut lock(&link.writer), kind, body);
        }
    }

    fn shut(&self) {
        for stream in lock(&self.data).iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn ended(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.failure().is_some()
    }

    /// Reads what comes over one link until the group ends.
    fn listen(&self, rank: usize, mut stream: TcpStream) {
        let Some(link) = &self.links[rank] else { return };
        loop {
            match wire::read(&mut stream, &mut || !self.ended()) {
                Ok((kind, body)) => {
                    link.heard.store(self.now(), Ordering::Relaxed);
                    match kind {
                        Kind::Beat => {
                            let number = body.try_into().map_or(0, u64::from_le_bytes);
                            link.operation.store(number, Ordering::Relaxed);
                        }
                        Kind::Bye => {
                            link.left.store(true, Ordering::Relaxed);
                            return;
                        }
                        Kind::Ended => {
                            let words = || GroupError::new(format!("{} ended", self.who(rank)), AGAIN);
                            self.fail(serde_json::from_slice(&body).unwrap_or_else(|_| words()));
                            return;
                        }
                        Kind::Challenge | Kind::Hello | Kind::Welcome => {}
                    }
                }
                Err(_) if self.ended() => return,
                Err(error) => {
                    let how = match error.kind() {
                        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                            "ended without a word: it was killed, ran out of memory or crashed".to_owned()
                        }
                        _ => format!("cannot be heard any more: {error}"),
                    };
                    self.fail(GroupError::new(format!("{} {how}", self.who(rank)), AGAIN));
                    return;
                }
            }
        }
    }

    /// Sends heartbeats, and looks whether others do.
    fn beat(&self) {
        let beat = BEAT.min(self.patience.silence / 4);
        while !self.ended() {
            self.tell(Kind::Beat, &self.operation.load(Ordering::Relaxed).to_le_bytes());
            let silence = self.patience.silence.as_millis() as u64;
            for (rank, link) in self.links.iter().enumerate().filter_map(|(rank, link)| Some((rank, link.as_ref()?))) {
                let quiet = self.now().saturating_sub(link.heard.load(Ordering::Relaxed));
                if quiet > silence && !link.left.load(Ordering::Relaxed) {
                    let seconds = quiet as f64 / 1e3;
                    let message = format!(
                        "nothing was heard of {} for {seconds:.1} s: it is stopped, its host is down, or the network is",
                        self.who(rank)
                    );
                    self.fail(GroupError::new(message, AGAIN));
                }
            }
            // Short naps, so that a group that is left does not hold its threads.
            let end = Instant::now() + beat;
            while !self.ended() && Instant::now() < end {
                std::thread::sleep(wire::TICK.min(beat));
            }
        }
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("skysense-group".into()).spawn(work).map(drop)
}

/// A thread that panicked while it held the lock leaves what is still true.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
