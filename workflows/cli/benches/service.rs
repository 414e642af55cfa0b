//! What `skysense serve` answers to many clients while runs work, and what it holds after many events.
//!
//! `cargo bench --workspace --bench service -- [load] [events] [--seconds=N] [--events=N] [--by=month] [--scattered]` prints one JSON
//! object for each measurement.
//!
//! `load`: 64 clients with open connections over the folder `examples/service`, whose workflow runs again and again
//! meanwhile; at full speed, and with half a second between two requests of each. Latencies are those of the clients.
//! `events`: half of the events are posted to a webhook by 64 clients, half are files in a watched folder, in bursts; the
//! service's resident memory after a tenth, a half and all of them, and once all is worked off.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "a bench that cannot do its work ends with a message")]

#[path = "../tests/serve/bench.rs"]
mod bench;
#[path = "../tests/serve/client.rs"]
mod client;
#[path = "../tests/command/mod.rs"]
mod command;
#[path = "service/events.rs"]
mod events;
#[path = "../tests/service/example.rs"]
mod example;
#[path = "service/line.rs"]
mod line;
#[path = "service/load.rs"]
mod load;

use client::Client;

/// Clients at once.
const CLIENTS: u32 = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run as a bench: cargo bench --workspace --bench service");
        return;
    }
    let named: Vec<&str> = arguments.iter().map(String::as_str).filter(|one| !one.starts_with("--")).collect();
    let wants = |name: &str| named.is_empty() || named.contains(&name);
    let setting = |name: &str| {
        let prefix = format!("--{name}=");
        arguments.iter().find_map(|argument| argument.strip_prefix(prefix.as_str()))
    };
    let number = |name: &str, otherwise: u32| setting(name).map_or(otherwise, |text| text.parse().expect("a number"));
    if wants("load") {
        load::measure(number("seconds", 20));
    }
    if wants("events") {
        events::measure(
            number("events", 10_000),
            setting("by").unwrap_or("month"),
            arguments.iter().any(|one| one == "--scattered"),
        );
    }
}

/// MiB that the service holds.
fn resident(client: &Client) -> f64 {
    let text = client.get("/metrics").is(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix("skysense_resident_memory_bytes "));
    let bytes: f64 = line.and_then(|line| line.parse().ok()).expect("the memory of the service");
    (bytes / 1_048_576.0 * 10.0).round() / 10.0
}
