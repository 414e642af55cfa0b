//! Where rank 0 takes the others in: one port for all groups of a process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::hello::{Hello, examine};
use crate::watch::{AGAIN, lock};
use crate::wire::{self, Kind};
use crate::{GroupError, Place};

/// Most connections that are examined at once; more are closed.
const EXAMINED: usize = 256;

/// How long ranks that come late are told why there is no group.
const LINGER: Duration = Duration::from_secs(5);

/// Most refused strangers that an error names.
const NAMED: usize = 3;

/// The meetings of this process, by port.
static MEETINGS: Mutex<BTreeMap<u16, Weak<Meeting>>> = Mutex::new(BTreeMap::new());

/// Takes ranks in for as long as it is held.
#[derive(Debug)]
pub(crate) struct Meeting {
    place: Place,
    rooms: Mutex<BTreeMap<String, Vec<Arrival>>>,
    come: Condvar,
    /// Who was turned away, and why.
    strangers: Mutex<BTreeSet<String>>,
    examined: AtomicUsize,
}

/// A rank that knows the token and waits for the others.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) hello: Hello,
    pub(crate) stream: TcpStream,
    /// As rank 0 sees it.
    pub(crate) address: SocketAddr,
}

impl Meeting {
    /// The meeting of this place; listens where nobody has begun to.
    pub(crate) fn at(place: &Place) -> Result<Arc<Self>, GroupError> {
        let mut meetings = lock(&MEETINGS);
        if let Some(meeting) = meetings.get(&place.port).and_then(Weak::upgrade) {
            return Ok(meeting);
        }
        let fault = |error: std::io::Error| {
            let message = format!("rank 0 cannot listen on port {} of {}: {error}", place.port, place.master);
            GroupError::new(message, "choose another port with MASTER_PORT or SKYSENSE_PORT, the same for all ranks")
        };
        // A listener that was just given up may take a moment to go.
        let end = Instant::now() + Duration::from_secs(2);
        let listener = loop {
            match listen(&place.master, place.port) {
                Ok(listener) => break listener,
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && Instant::now() < end => {
                    std::thread::sleep(wire::TICK);
                }
                Err(error) => return Err(fault(error)),
            }
        };
        listener.set_nonblocking(true).map_err(fault)?;
        let meeting = Arc::new(Self {
            place: place.clone(),
            rooms: Mutex::default(),
            come: Condvar::new(),
            strangers: Mutex::default(),
            examined: AtomicUsize::new(0),
        });
        let held = Arc::downgrade(&meeting);
        let accepting = move || accept(&listener, &held);
        std::thread::Builder::new().name("skysense-meet".into()).spawn(accepting).map_err(fault)?;
        meetings.insert(place.port, Arc::downgrade(&meeting));
        Ok(meeting)
    }

    /// Waits until all ranks of a group have come, and fit; then they are no more here.
    pub(crate) fn gather(&self, own: &Hello, cancelled: &dyn Fn() -> bool) -> Result<Vec<Arrival>, GroupError> {
        let end = Instant::now() + self.place.patience.join;
        let mut rooms = lock(&self.rooms);
        let wrong = loop {
            let room = rooms.entry(own.group.clone()).or_default();
            if let Some(wrong) = wrong(room, own) {
                break wrong;
            }
            if room.len() + 1 == self.place.size {
                let mut arrivals = std::mem::take(room);
                arrivals.sort_by_key(|arrival| arrival.hello.who.rank);
                return Ok(arrivals);
            }
            if cancelled() {
                break GroupError {
                    cancelled: true,
                    ..GroupError::new("cancelled while other ranks were awaited", "")
                };
            }
            if Instant::now() >= end {
                break self.missing(room);
            }
            rooms = self.come.wait_timeout(rooms, wire::TICK).unwrap_or_else(PoisonError::into_inner).0;
        };
        let body = serde_json::to_vec(&wrong).unwrap_or_default();
        // Those who are about to come would wait for a rank 0 that is gone.
        let (end, mut told) = (Instant::now() + LINGER, 0);
        loop {
            for mut arrival in rooms.remove(&own.group).unwrap_or_default() {
                let _ = wire::write(&mut arrival.stream, Kind::Ended, &body);
                told += 1;
            }
            if told + 1 >= self.place.size || Instant::now() >= end || cancelled() {
                return Err(wrong);
            }
            rooms = self.come.wait_timeout(rooms, wire::TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn missing(&self, room: &[Arrival]) -> GroupError {
        let come: Vec<usize> = room.iter().map(|arrival| arrival.hello.who.rank).collect();
        let lacking: Vec<String> =
            (1..self.place.size).filter(|rank| !come.contains(rank)).map(|rank| rank.to_string()).collect();
        let strangers = lock(&self.strangers);
        let refused: Vec<&str> = strangers.iter().take(NAMED).map(String::as_str).collect();
        let refused = if refused.is_empty() { String::new() } else { format!("; turned away: {}", refused.join(", ")) };
        let message = format!(
            "of {} ranks {} came to {}:{} within {} s, missing: {}{refused}",
            self.place.size,
            come.len() + 1,
            self.place.master,
            self.place.port,
            self.place.patience.join.as_secs_f64(),
            lacking.join(", ")
        );
        let hint = "see whether those processes run, reach that host and port, and have the same SKYSENSE_TOKEN; SKYSENSE_JOIN_SECONDS allows more time";
        GroupError::new(message, hint)
    }

    fn turn_away(&self, address: SocketAddr, why: &str) {
        tracing::warn!("a connection from {address} was turned away: {why}");
        let mut strangers = lock(&self.strangers);
        if strangers.len() < NAMED {
            strangers.insert(format!("{}: {why}", address.ip()));
        }
    }

    fn take_in(&self, mut stream: TcpStream, address: SocketAddr) {
        match examine(&mut stream, &self.place.token) {
            Err(why) => self.turn_away(address, &why),
            Ok(said) => match serde_json::from_slice::<Hello>(&said) {
                Err(error) => self.turn_away(address, &format!("it knows the token and speaks otherwise: {error}")),
                Ok(hello) => {
                    lock(&self.rooms).entry(hello.group.clone()).or_default().push(Arrival { hello, stream, address });
                    self.come.notify_all();
                }
            },
        }
    }
}

/// Why those who came are not of one group, or one is gone already.
fn wrong(room: &[Arrival], own: &Hello) -> Option<GroupError> {
    let mut ranks = BTreeMap::new();
    for Arrival { hello, stream, .. } in room {
        if let Some(error) = hello.differs(own) {
            return Some(error);
        }
        if let Some(other) = ranks.insert(hello.who.rank, &hello.who) {
            let message = format!("{other} and {} are both there", hello.who);
            return Some(GroupError::new(message, "give each process a RANK of its own, from 0"));
        }
        if is_gone(stream) {
            return Some(GroupError::new(format!("{} ended while others were awaited", hello.who), AGAIN));
        }
    }
    None
}

/// Whether the other side has closed.
fn is_gone(stream: &TcpStream) -> bool {
    let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let _ = stream.set_nonblocking(false);
    match looked {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Listens on this host alone where rank 0 is met there only.
fn listen(master: &str, port: u16) -> std::io::Result<TcpListener> {
    let loopback = match master.parse::<IpAddr>() {
        Ok(address) => address.is_loopback().then_some(address),
        Err(_) if master.eq_ignore_ascii_case("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        Err(_) => None,
    };
    match loopback {
        Some(address) => TcpListener::bind((address, port)),
        // A host without IPv6 has the older one alone.
        None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => Err(error),
            _ => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
        }),
    }
}

/// Takes in whoever comes, while the meeting is held.
fn accept(listener: &TcpListener, meeting: &Weak<Meeting>) {
    const NAP: Duration = Duration::from_millis(20);
    loop {
        let Some(meeting) = meeting.upgrade() else { return };
        let Ok((stream, address)) = listener.accept() else {
            drop(meeting);
            std::thread::sleep(NAP);
            continue;
        };
        if meeting.examined.fetch_add(1, Ordering::Relaxed) >= EXAMINED {
            meeting.examined.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        // Who says nothing must not keep others waiting.
        let one = meeting.clone();
        let examining = move || {
            one.take_in(stream, address);
            one.examined.fetch_sub(1, Ordering::Relaxed);
        };
        if std::thread::Builder::new().name("skysense-meet".into()).spawn(examining).is_err() {
            meeting.examined.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
