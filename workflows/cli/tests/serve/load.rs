//! Many clients at once while runs work, and what that leaves in memory.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    bench::{Field, item, wanted_items, workflow},
    client::Client,
};

/// Clients at once.
const CLIENTS: u32 = 64;
/// By how much the service may have grown over the second half of all events.
const GROWTH: f64 = 32.0 * 1024.0 * 1024.0;

/// The bytes that the service holds.
fn resident(client: &Client) -> f64 {
    let text = client.get("/metrics").is(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix("skysense_resident_memory_bytes "));
    line.and_then(|line| line.parse().ok()).expect("the memory of the service")
}

#[test]
fn many_clients_are_answered_while_runs_work_and_memory_stays_flat() {
    let events = (wanted_items() * 10).next_multiple_of(CLIENTS * 2);
    let text = workflow("", "");
    let start = text.find("triggers:").unwrap();
    let field = Field::new(&format!(
        "{}triggers:\n  posted:\n    uses: webhook\n    with:\n      hosts: [data.example.org]\n      \
         group: {{by: day, settle: 300ms}}\n      run: {{items: items, out: out}}\n",
        &text[..start]
    ));
    let (_serving, client) = field.serve_api(&["--rate", "100000000", "--concurrency", "2"]);
    let half = |from: u32| -> Vec<Duration> {
        std::thread::scope(|scope| {
            let work = |number: u32| {
                let client = client.clone();
                move || {
                    let mut taken = Vec::new();
                    for at in (from..from + events / 2).filter(|at| at % CLIENTS == number) {
                        let one = item(&format!("i{at:06}"), "s2", at % 365 + 1);
                        for path in ["/hooks/map/posted", "/stac/search?limit=10", "/api/v1/runs?limit=10"] {
                            let begun = Instant::now();
                            match path {
                                "/hooks/map/posted" => {
                                    assert_eq!(client.post(path, &one).is(200).json()["new"], 1);
                                }
                                _ => drop(client.get(path).is(200)),
                            }
                            taken.push(begun.elapsed());
                        }
                    }
                    taken
                }
            };
            let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(work(number))).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        })
    };
    let begun = Instant::now();
    let mut taken = half(0);
    let middle = resident(&client);
    taken.extend(half(events / 2));
    let seconds = begun.elapsed().as_secs_f64();
    let end = resident(&client);
    assert_eq!(field.store().event_counts().unwrap().0, u64::from(events));
    assert!(end - middle < GROWTH, "from {middle} to {end} bytes over {} events", events / 2);
    let sources = |field: &Field| field.results().values().map(Vec::len).sum::<usize>();
    field.wait("a result of every item", |field| sources(field) == events as usize);
    let state = field.counts();
    assert_eq!(state.keys().copied().collect::<Vec<_>>(), ["done"], "{state:?}");
    taken.sort();
    let share = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!(
        "{CLIENTS} clients, {events} events, {} requests in {seconds:.1} s: {:.0} a second; half within {:.1} ms, 99 % within {:.1} ms; \
         {:.1} MiB after half of them, {:.1} MiB after all; {} runs",
        taken.len(),
        taken.len() as f64 / seconds,
        share(0.5),
        share(0.99),
        middle / 1_048_576.0,
        end / 1_048_576.0,
        state["done"],
    );
    assert_eq!(client.json("/api/v1/dead"), json!({"runs": [], "skipped": []}));
}
