//! A service that is killed at any moment loses nothing and doubles nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skysense_serve::RunState;

use crate::bench::{Field, item, wanted_items, workflow};

/// Numbers without a pattern that are the same in each run of the test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Has items arrive out of order, in bursts and some of them again, while the service is killed at random moments; then
/// serves until each has its result, and says what it took.
pub(crate) fn survives(field: &Field, arrive: impl Fn(&str, &Value)) {
    let begun = Instant::now();
    let items = wanted_items();
    let mut dice = Dice(20_210_601);
    let mut order: Vec<u32> = (0..items).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.below(at as u64 + 1) as usize);
    }
    let mut arriving = order.into_iter();
    let (mut kills, mut again) = (0, 0);
    loop {
        let burst = 1 + dice.below(u64::from(items / 5).max(1)) as usize;
        for number in arriving.by_ref().take(burst) {
            let one = item(&format!("i{number:04}"), "s2", number % 365 + 1);
            arrive(&format!("{number}"), &one);
            if dice.below(3) == 0 {
                arrive(&format!("{number}-again"), &one);
                again += 1;
            }
        }
        let mut serving = field.serve(&["--concurrency", "3"]);
        std::thread::sleep(Duration::from_millis(150 + dice.below(2_500)));
        serving.kill();
        kills += 1;
        let done = field.counts().get("done").copied().unwrap_or(0);
        // Half of the runs have to get through although nobody lets the service be.
        if kills >= 12 && arriving.len() == 0 && done * 2 >= u64::from(items) {
            break;
        }
        assert!(kills < 20 + items, "{:?}\n{}", field.counts(), field.log());
    }
    // A late one, while nothing is served.
    arrive("late", &item("late", "s2", 3));
    let _serving = field.serve(&["--concurrency", "3"]);
    let wanted = u64::from(items) + 1;
    field.wait("every result", |field| field.counts().get("done") == Some(&wanted));
    let results = field.results();
    assert_eq!(results.len() as u64, wanted);
    let mut sources: Vec<String> = results.into_values().flatten().collect();
    sources.sort();
    let mut expected: Vec<String> =
        (0..items).map(|number| format!("i{number:04}")).chain(["late".to_owned()]).collect();
    expected.sort();
    assert_eq!(sources, expected);
    // Published once: as many as stand, and none that was replaced.
    assert_eq!(field.store().result_counts().unwrap(), (wanted, wanted));
    assert_eq!(field.store().event_counts().unwrap(), (wanted, 0));
    assert_eq!(field.counts().len(), 1, "nothing else is left: {:?}", field.counts());
    let interrupted: u32 = field.runs(RunState::Done).iter().map(|run| run.interruptions).sum();
    println!(
        "{wanted} items, {again} of them twice, {kills} kills that hit {interrupted} runs: each result once, in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn kills_at_random_moments_lose_nothing_and_double_nothing() {
    let field = Field::new(&workflow("", ""));
    survives(&field, |name, one| field.arrive(&format!("{name}.json"), one));
}

#[test]
fn a_child_of_a_killed_service_is_awaited_and_its_run_goes_on() {
    let field = Field::new(&workflow("", ", gate: ../gate"));
    field.arrive("a.json", &item("a", "s2", 1));
    let mut serving = field.serve(&[]);
    let begun = |field: &Field| {
        let run = field.runs(RunState::Running);
        run.first().is_some_and(|run| field.path(&format!("state/service-runs/{}/runs", run.id)).exists())
    };
    field.wait("a run that has begun", begun);
    serving.kill();
    assert_eq!(field.counts().get("running"), Some(&1), "nobody wrote down its end");
    field.bench.write("gate", "");
    let _serving = field.serve(&[]);
    field.wait("a result", |field| field.results().len() == 1);
    let run = field.runs(RunState::Done).remove(0);
    assert_eq!(run.attempts, 0, "{run:?}");
    assert_eq!(field.store().result_counts().unwrap(), (1, 1));
    assert_eq!(
        field.results().into_values().next().unwrap(),
        json!(["a"]).as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    );
}
