//! What the service holds after many events.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    CLIENTS,
    bench::{Field, item, workflow},
    line::Line,
    resident,
};

/// Events of one burst.
const BURST: u32 = 500;

/// The items come in the order of a year, or, where they are `scattered`, each burst from all over it: then every group
/// grows with every burst, and runs again with all that it holds.
pub(crate) fn measure(events: u32, by: &str, scattered: bool) {
    let day = |at: u32| if scattered { at % 365 + 1 } else { at * 365 / events + 1 };
    // Posted and watched items gather apart from each other, and their results have names of their own.
    let text = workflow(&format!("      group: {{by: {by}, settle: 1s}}\n"), "");
    let start = text.find("triggers:").expect("triggers");
    let field = Field::new(&text);
    let posted = format!(
        "{}triggers:\n  posted:\n    uses: webhook\n    with:\n      hosts: [data.example.org]\n      \
         group: {{by: [{by}, constellation], settle: 1s}}\n      run: {{items: items, out: out}}\n",
        &text[..start]
    );
    field.bench.write("flows/posted.yaml", &posted);
    let (_serving, client) = field.serve_api(&["--rate", "100000000", "--concurrency", "2"]);
    let (begun, mut samples) = (Instant::now(), vec![(0, resident(&client))]);
    let accepted = |field: &Field| field.store().event_counts().expect("a state").0;
    for from in (0..events).step_by(BURST as usize) {
        let burst = from..(from + BURST).min(events);
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (burst, address) = (burst.clone(), &client.address);
                scope.spawn(move || {
                    let mut line = Line::open(address);
                    for at in burst.filter(|at| at % 2 == 0 && at / 2 % CLIENTS == number) {
                        let mut one = item(&format!("i{at:06}"), "s2", day(at));
                        one["properties"]["constellation"] = json!("posted");
                        assert_eq!(line.ask("POST", "/hooks/posted/posted", &one.to_string()).0, 200);
                    }
                });
            }
            for at in burst.clone().filter(|at| at % 2 == 1) {
                field.arrive(&format!("{at}.json"), &item(&format!("i{at:06}"), "s2", day(at)));
            }
        });
        while accepted(&field) < u64::from(burst.end) {
            assert!(begun.elapsed() < Duration::from_secs(3_600), "the events are not taken in: {}", field.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        if [events / 10, events / 2, events].contains(&burst.end) {
            samples.push((burst.end, resident(&client)));
        }
    }
    let taken_in = begun.elapsed().as_secs_f64();
    let whole = |field: &Field| field.results().values().map(Vec::len).sum::<usize>() == events as usize;
    while field.store().event_counts().expect("a state").1 > 0 || !is_idle(&field) || !whole(&field) {
        assert!(begun.elapsed() < Duration::from_secs(3_600), "not worked off: {:?}\n{}", field.counts(), field.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    let mebibytes: Vec<_> =
        samples.iter().map(|(events, mib)| json!({"events": events, "resident_mib": mib})).collect();
    println!(
        "{}",
        json!({
            "events": events, "grouped_by": by, "scattered": scattered, "taken_in_seconds": taken_in.round(),
            "worked_off_seconds": begun.elapsed().as_secs_f64().round(), "runs": field.counts(),
            "results": field.results().len(), "memory": mebibytes, "resident_mib_at_the_end": resident(&client),
        })
    );
}

/// Whether nothing waits or runs.
fn is_idle(field: &Field) -> bool {
    !["queued", "running", "parked"].iter().any(|state| field.counts().contains_key(state))
}
