//! What a rank says of itself, what it is answered, and who all are.

use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::secret::{Nonce, Proof, nonce};
use crate::wire::{self, Kind};
use crate::{GroupError, Token};

/// Version of what goes over the wire.
const PROTOCOL: u32 = 1;

/// How long the other side may take to say who it is.
pub(crate) const SHAKE: Duration = Duration::from_secs(10);

/// A rank as messages name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Who {
    pub(crate) rank: usize,
    pub(crate) host: String,
    pub(crate) process: u32,
}

impl Who {
    /// This process.
    pub(crate) fn here(rank: usize) -> Self {
        Self { rank, host: host(), process: std::process::id() }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "rank {} (host {}, process {})", self.rank, self.host, self.process)
    }
}

/// What this host calls itself.
fn host() -> String {
    let variable = |name: &str| std::env::var(name).ok();
    let found = variable("SLURMD_NODENAME")
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .or_else(|| variable("HOSTNAME"))
        .or_else(|| variable("COMPUTERNAME"));
    found.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into())
}

/// What a rank says to be taken in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    protocol: u32,
    version: String,
    /// Which of the groups of these processes.
    pub(crate) group: String,
    pub(crate) who: Who,
    size: usize,
    /// Where it takes in the rank before it.
    pub(crate) port: u16,
    /// What all must have in common, by name.
    facts: Vec<(String, String)>,
    nonce: Nonce,
}

impl Hello {
    pub(crate) fn new(group: &str, who: Who, size: usize, port: u16, facts: &[(&str, String)]) -> Self {
        let facts = facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { protocol: PROTOCOL, version, group: group.to_owned(), who, size, port, facts, nonce: nonce() }
    }

    /// Why this rank and rank 0, which has `own`, are not of one group.
    pub(crate) fn differs(&self, own: &Hello) -> Option<GroupError> {
        let error = |what: &str, found: &str, expected: &str, hint: &str| {
            let message = format!("{} has {what} {found}, {} has {expected}", self.who, own.who);
            Some(GroupError::new(message, hint))
        };
        if (self.protocol, &self.version) != (own.protocol, &own.version) {
            let text = |hello: &Self| format!("{} (protocol {})", hello.version, hello.protocol);
            return error("version", &text(self), &text(own), "install the same version of skysense on all hosts");
        }
        if self.size != own.size {
            let (found, expected) = (self.size.to_string(), own.size.to_string());
            return error("world size", &found, &expected, "start all ranks by one launcher, with one WORLD_SIZE");
        }
        if self.who.rank == 0 || self.who.rank >= own.size {
            let message = format!("{} cannot be in a group of ranks 0 to {}", self.who, own.size - 1);
            return Some(GroupError::new(message, "give each process a RANK of its own, from 0"));
        }
        for (name, expected) in &own.facts {
            let found = self.facts.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
            if found != Some(expected) {
                let hint = "start all ranks with the same command, workflow and files";
                return error(name, found.unwrap_or("nothing"), expected, hint);
            }
        }
        None
    }
}

/// Who all are, by rank.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) session: Nonce,
    pub(crate) peers: Vec<Peer>,
}

/// A rank, and where it takes in the rank before it. Without an address it lives on the host of rank 0.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) who: Who,
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

impl Peer {
    /// Its address as a rank knows it that reaches rank 0 at `master`.
    pub(crate) fn socket(&self, master: IpAddr) -> SocketAddr {
        SocketAddr::new(self.address.unwrap_or(master), self.port)
    }
}

/// Has the other side prove that it knows the token; gives what it said.
pub(crate) fn examine(stream: &mut TcpStream, token: &Token) -> Result<Vec<u8>, String> {
    let fault = |error: std::io::Error| error.to_string();
    wire::prepare(stream).map_err(fault)?;
    let mine = nonce();
    wire::write(stream, Kind::Challenge, &mine).map_err(fault)?;
    let end = Instant::now() + SHAKE;
    let (kind, body) = wire::read(stream, &mut wire::until(end)).map_err(fault)?;
    let (proof, said) = body.split_at_checked(size_of::<Proof>()).ok_or("no proof")?;
    if kind != Kind::Hello || !token.proves(&[b"hello", &mine, said], proof) {
        return Err("it does not know the token".into());
    }
    Ok(said.to_vec())
}

/// Proves to the other side that this one knows the token, and says something.
pub(crate) fn prove(stream: &mut TcpStream, token: &Token, said: &[u8]) -> std::io::Result<()> {
    wire::prepare(stream)?;
    let (kind, nonce) = wire::read(stream, &mut wire::until(Instant::now() + SHAKE))?;
    if kind != Kind::Challenge {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "no frame of this program"));
    }
    let mut body = token.proof(&[b"hello", &nonce, said]).to_vec();
    body.extend(said);
    wire::write(stream, Kind::Hello, &body)
}

impl Welcome {
    /// As it is sent to a rank that said hello.
    pub(crate) fn body(&self, token: &Token, hello: &Hello) -> Vec<u8> {
        let said = serde_json::to_vec(self).unwrap_or_default();
        let mut body = token.proof(&[b"welcome", &hello.nonce, &said]).to_vec();
        body.extend(said);
        body
    }

    /// Of the body that rank 0 sent; `None` where it is not of one that knows the token.
    pub(crate) fn of(body: &[u8], token: &Token, hello: &Hello) -> Option<Self> {
        let (proof, said) = body.split_at_checked(size_of::<Proof>())?;
        token.proves(&[b"welcome", &hello.nonce, said], proof).then(|| serde_json::from_slice(said).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_with_rank_host_and_both_values() {
        let who = |rank| Who { rank, host: format!("node{rank}"), process: 7 };
        let own = Hello::new("g", who(0), 4, 0, &[("settings", "abc".into())]);
        let other = |change: &dyn Fn(&mut Hello)| {
            let mut other = Hello::new("g", who(2), 4, 0, &[("settings", "abc".into())]);
            change(&mut other);
            other.differs(&own).map(|error| error.to_string())
        };
        assert_eq!(other(&|_| {}), None);
        let found = other(&|o| o.version = "0.0.9".into()).unwrap();
        assert!(
            found.contains("rank 2 (host node2, process 7) has version 0.0.9") && found.contains("install"),
            "{found}"
        );
        assert!(other(&|o| o.size = 8).unwrap().contains("has world size 8, rank 0 (host node0, process 7) has 4"));
        assert!(other(&|o| o.facts[0].1 = "def".into()).unwrap().contains("has settings def"));
        assert!(other(&|o| o.facts.clear()).unwrap().contains("has settings nothing"));
        assert!(other(&|o| o.who.rank = 4).unwrap().contains("ranks 0 to 3"));
    }
}
