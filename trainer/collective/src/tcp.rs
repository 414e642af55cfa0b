//! A group over TCP.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::hello::{Hello, Peer, SHAKE, Welcome, Who, examine, prove};
use crate::meeting::Meeting;
use crate::ring::Ring;
use crate::secret::nonce;
use crate::watch::{AGAIN, Watch, lock};
use crate::wire::{self, Kind};
use crate::{Group, GroupError, Place, Token};

/// How long the connections of a group whose ranks are all there may take.
const CONNECT: Duration = Duration::from_secs(60);

/// Time between two attempts to reach rank 0.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The processes of a group, connected.
#[derive(Debug)]
pub struct Tcp {
    place: Place,
    watch: Arc<Watch>,
    ring: Mutex<Ring>,
    /// Rank 0 goes on taking ranks in, for further groups, while it is in one.
    meeting: Option<Arc<Meeting>>,
    left: AtomicBool,
}

impl Tcp {
    /// Waits for all ranks of a group of this name.
    ///
    /// Processes may have several groups, each with a name of its own, at one port. `facts` are what all ranks must have
    /// in common beside version and world size, such as the checksum of their settings.
    ///
    /// # Errors
    /// [`GroupError`] on every rank that came: a rank that is missing, ended, or has other facts, by name.
    pub fn join(
        place: &Place,
        name: &str,
        facts: &[(&str, String)],
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, GroupError> {
        let ring = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))
            .map_err(|error| GroupError::new(format!("no port to listen on: {error}"), AGAIN))?;
        let port = ring.local_addr().map_or(0, |address| address.port());
        let hello = Hello::new(name, Who::here(place.rank), place.size, port, facts);
        let met = if place.rank == 0 { receive(place, hello, cancelled)? } else { come(place, &hello, cancelled)? };
        let all: Vec<Who> = met.welcome.peers.iter().map(|peer| peer.who.clone()).collect();
        let watch = Watch::start(place.rank, all, place.patience, met.links)?;
        let connected = connect(place, &met.welcome, met.master, &ring, &watch).and_then(|(next, before)| {
            let broken = |error| GroupError::new(format!("the connections between ranks broke: {error}"), AGAIN);
            Ring::new(place.rank, place.size, watch.clone(), next, before).map_err(broken)
        });
        let ring = connected.map_err(|error| watch.fail(error))?;
        Ok(Self {
            place: place.clone(),
            watch,
            ring: Mutex::new(ring),
            meeting: met.meeting,
            left: AtomicBool::new(false),
        })
    }

    /// Ends this rank's part when every rank has come to its end.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn leave(&self) -> Result<(), GroupError> {
        self.barrier()?;
        self.left.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        if !self.left.load(Ordering::Relaxed) {
            let me = self.watch.who(self.place.rank);
            self.watch.fail(GroupError::new(format!("{me} left before the end"), AGAIN));
        }
        lock(&self.ring).flush();
        self.watch.leave();
        self.meeting = None;
    }
}

impl Group for Tcp {
    fn rank(&self) -> usize {
        self.place.rank
    }

    fn size(&self) -> usize {
        self.place.size
    }

    fn local_rank(&self) -> usize {
        self.place.local_rank
    }

    fn name(&self, rank: usize) -> String {
        self.watch.who(rank).to_string()
    }

    fn sum(&self, values: &mut [f32]) -> Result<(), GroupError> {
        lock(&self.ring).sum(values)
    }

    fn sum_exact(&self, values: &mut [f64]) -> Result<(), GroupError> {
        lock(&self.ring).sum(values)
    }

    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        lock(&self.ring).gather(mine)
    }

    fn broadcast(&self, mine: &[u8]) -> Result<Vec<u8>, GroupError> {
        lock(&self.ring).broadcast(mine)
    }

    fn abort(&self, reason: &str, cancelled: bool) {
        let message = format!("{}: {reason}", self.watch.who(self.place.rank));
        let hint = if cancelled { "" } else { AGAIN };
        self.end(GroupError { cancelled, ..GroupError::new(message, hint) });
    }

    fn end(&self, error: GroupError) -> GroupError {
        self.watch.fail(error)
    }
}

/// What a rank has after the meeting.
struct Met {
    welcome: Welcome,
    /// Control links, by rank.
    links: Vec<(usize, TcpStream)>,
    /// Where rank 0 is, as this rank reaches it.
    master: IpAddr,
    meeting: Option<Arc<Meeting>>,
}

/// Rank 0: takes the others in.
fn receive(place: &Place, hello: Hello, cancelled: &dyn Fn() -> bool) -> Result<Met, GroupError> {
    let meeting = Meeting::at(place)?;
    let arrivals = meeting.gather(&hello, cancelled)?;
    let mut peers = vec![Peer { who: hello.who, address: None, port: hello.port }];
    for arrival in &arrivals {
        let address = canonical(arrival.address.ip());
        // An address that only this host has is of no use to others.
        let address = (!address.is_loopback()).then_some(address);
        peers.push(Peer { who: arrival.hello.who.clone(), address, port: arrival.hello.port });
    }
    let welcome = Welcome { session: nonce(), peers };
    let mut links = Vec::new();
    for mut arrival in arrivals {
        let body = welcome.body(&place.token, &arrival.hello);
        let who = &arrival.hello.who;
        wire::write(&mut arrival.stream, Kind::Welcome, &body)
            .map_err(|error| GroupError::new(format!("{who} cannot be answered: {error}"), AGAIN))?;
        links.push((who.rank, arrival.stream));
    }
    Ok(Met { welcome, links, master: Ipv4Addr::LOCALHOST.into(), meeting: Some(meeting) })
}

/// Others: come to rank 0.
fn come(place: &Place, hello: &Hello, cancelled: &dyn Fn() -> bool) -> Result<Met, GroupError> {
    let Place { master, port, patience, token, .. } = place;
    let end = Instant::now() + patience.join;
    let said = serde_json::to_vec(hello).unwrap_or_default();
    let stopped = || GroupError { cancelled: true, ..GroupError::new("cancelled while other ranks were awaited", "") };
    let other = |error: &std::io::Error| {
        let message = format!("what listens at {master}:{port} is no rank 0 of this version: {error}");
        GroupError::new(message, "choose another port with MASTER_PORT or SKYSENSE_PORT, the same for all ranks")
    };
    let mut stream = loop {
        if cancelled() {
            return Err(stopped());
        }
        match reach(master, *port).and_then(|mut stream| prove(&mut stream, token, &said).map(|()| stream)) {
            Ok(stream) => break stream,
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(other(&error)),
            Err(error) if Instant::now() >= end => {
                let seconds = patience.join.as_secs_f64();
                let message =
                    format!("{} did not reach rank 0 at {master}:{port} within {seconds} s: {error}", hello.who);
                let hint = "see whether rank 0 runs, and MASTER_ADDR and MASTER_PORT are its own; SKYSENSE_JOIN_SECONDS allows more time";
                return Err(GroupError::new(message, hint));
            }
            Err(_) => std::thread::sleep(AGAIN_AFTER),
        }
    };
    // Rank 0 gives up first, and says why.
    let end = end + SHAKE;
    let answer = wire::read(&mut stream, &mut || Instant::now() < end && !cancelled());
    let welcome = match answer {
        Ok((Kind::Welcome, body)) => Welcome::of(&body, token, hello).filter(|welcome| {
            welcome.peers.len() == place.size
                && welcome.peers.iter().enumerate().all(|(rank, peer)| peer.who.rank == rank)
        }),
        Ok((Kind::Ended, body)) => return Err(serde_json::from_slice(&body).unwrap_or_else(|_| lost(hello, place, ""))),
        Ok(_) => None,
        Err(_) if cancelled() => return Err(stopped()),
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            return Err(lost(hello, place, "it closed the connection: it ended, or has another SKYSENSE_TOKEN"));
        }
        Err(error) => return Err(lost(hello, place, &error.to_string())),
    };
    let welcome = welcome
        .ok_or_else(|| lost(hello, place, "it does not know the token (SKYSENSE_TOKEN), or speaks otherwise"))?;
    let address = stream.peer_addr().map_err(|error| other(&error))?.ip();
    Ok(Met { welcome, links: vec![(0, stream)], master: canonical(address), meeting: None })
}

fn lost(hello: &Hello, place: &Place, why: &str) -> GroupError {
    let message = format!("{} was not taken in by rank 0 at {}:{}: {why}", hello.who, place.master, place.port);
    GroupError::new(message, AGAIN)
}

fn reach(master: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (master, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// An address of the older kind is that, also where it came in through the newer one.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Connects to the next rank, and takes in the one before: `(next, before)`.
fn connect(
    place: &Place,
    welcome: &Welcome,
    master: IpAddr,
    listener: &TcpListener,
    watch: &Watch,
) -> Result<(TcpStream, TcpStream), GroupError> {
    let end = Instant::now() + CONNECT;
    let session = place.token.session(&welcome.session);
    let (next, before) = ((place.rank + 1) % place.size, (place.rank + place.size - 1) % place.size);
    std::thread::scope(|scope| {
        let accepting = scope.spawn(|| accept(listener, &session, &welcome.peers[before].who, watch, end));
        let mine = (place.rank as u64).to_le_bytes();
        let address = welcome.peers[next].socket(master);
        let connected = loop {
            let connected = TcpStream::connect_timeout(&address, Duration::from_secs(5))
                .and_then(|mut stream| prove(&mut stream, &session, &mine).map(|()| stream));
            match connected {
                Ok(stream) => break Ok(stream),
                Err(_) if Instant::now() < end && watch.failure().is_none() => std::thread::sleep(wire::TICK),
                Err(error) => {
                    let (me, next) = (&welcome.peers[place.rank].who, &welcome.peers[next].who);
                    let message = format!("{me} cannot reach {next} at {address}: {error}");
                    let hint = "open the ports between the hosts of a run to each other";
                    // The other thread must not wait for one that is not coming.
                    break Err(watch.fail(GroupError::new(message, hint)));
                }
            }
        };
        let accepted = accepting.join().unwrap_or_else(|_| Err(GroupError::new("a thread panicked", "")));
        Ok((connected?, accepted?))
    })
}

/// Takes in the rank before; others are turned away.
fn accept(
    listener: &TcpListener,
    session: &Token,
    before: &Who,
    watch: &Watch,
    end: Instant,
) -> Result<TcpStream, GroupError> {
    let broken = |error: std::io::Error| GroupError::new(format!("nobody can be taken in: {error}"), AGAIN);
    listener.set_nonblocking(true).map_err(broken)?;
    let expected = (before.rank as u64).to_le_bytes();
    let (sender, found) = std::sync::mpsc::channel();
    loop {
        if let Ok(stream) = found.try_recv() {
            return Ok(stream);
        }
        if let Some(error) = watch.failure() {
            return Err(error);
        }
        if Instant::now() >= end {
            let message = format!("{before} did not connect within {} s", CONNECT.as_secs());
            return Err(watch.fail(GroupError::new(message, "open the ports between the hosts of a run to each other")));
        }
        match listener.accept() {
            Ok((mut stream, _)) => {
                // Who says nothing must not keep the right one waiting.
                let (sender, session) = (sender.clone(), session.clone());
                let examining = move || {
                    if examine(&mut stream, &session).is_ok_and(|said| said == expected) {
                        let _ = sender.send(stream);
                    }
                };
                std::thread::Builder::new().spawn(examining).map_err(broken)?;
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
