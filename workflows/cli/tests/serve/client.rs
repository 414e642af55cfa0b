//! The least of an HTTP client, which sends what it is told and nothing else.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// Asks a service.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned() }
    }

    /// Sends a request with headers as they are; `Host` is added unless it is among them.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send_part(method, path, headers, (body, body.len()))
    }

    /// As [`Client::send`], with a body that is announced as longer than what is sent.
    pub(crate) fn send_part(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        (body, length): (&[u8], usize),
    ) -> Reply {
        let mut stream = TcpStream::connect(&self.address).expect("the service listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        // A service that refuses a large body answers before it has read it.
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(body));
        let raw = received(&mut stream);
        let cut = raw.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer with a head");
        let head = String::from_utf8_lossy(&raw[..cut]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = raw[cut + 4..].to_vec();
        let body = if head.contains("transfer-encoding: chunked") { unchunked(&body) } else { body };
        Reply { status, head, body }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// JSON of an address that answers.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        self.get(path).is(200).json()
    }
}

/// All of an answer: to the length that it states, else until whoever answers is done.
fn received(stream: &mut TcpStream) -> Vec<u8> {
    let (mut raw, mut portion) = (Vec::new(), [0; 16_384]);
    while let Ok(read @ 1..) = stream.read(&mut portion) {
        raw.extend_from_slice(&portion[..read]);
        let Some(cut) = raw.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&raw[..cut]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if length.is_some_and(|length| raw.len() >= cut + 4 + length) {
            break;
        }
    }
    raw
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(String::from_utf8_lossy(&body[..end]).trim(), 16).expect("a size");
        if size == 0 {
            break;
        }
        whole.extend(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}

impl Reply {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}
