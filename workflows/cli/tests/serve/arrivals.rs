//! What arrives is run, once, and grouped as the trigger says.

use serde_json::json;
use skysense_serve::RunState;

use crate::bench::{Field, item, workflow};

#[test]
fn items_are_run_once_each_and_published_once_each() {
    let field = Field::new(&workflow("", ""));
    field.arrive("a.json", &item("a", "s2", 1));
    field.arrive("b.json", &item("b", "s2", 2));
    field.arrive("again.json", &item("a", "s2", 1));
    field.arrive("note.json", &json!({"not": "an item"}));
    field.arrive("broken.json", &json!({"type": "Feature", "assets": {}}));
    let _serving = field.serve(&["--concurrency", "2"]);
    field.wait("two results", |field| field.results().len() == 2);
    let results = field.results();
    let sources: Vec<_> = results.values().flatten().map(String::as_str).collect();
    assert_eq!(sources, ["a", "b"], "{results:?}");
    // A changed one takes the place of the first, under the same id.
    let mut changed = item("a", "s2", 1);
    changed["properties"]["eo:cloud_cover"] = json!(5);
    field.arrive("a.json", &changed);
    field.wait("a third run", |field| field.counts().get("done") == Some(&3));
    assert_eq!(field.results().len(), 2);
    assert_eq!(field.store().result_counts().unwrap(), (2, 3));
    let dead = field.run(&["trigger", "dead", "flows", "--json"]).exits(0).json();
    assert_eq!(dead["runs"], json!([]));
    assert!(dead["skipped"][0]["subject"].as_str().unwrap().ends_with("broken.json"), "{dead}");
}

#[test]
fn a_week_waits_for_both_its_parts() {
    let group = "      group: {by: week, needs: [s2, s1], settle: 200ms, timeout: 30d}\n";
    let field = Field::new(&workflow(group, ""));
    let _serving = field.serve(&[]);
    field.arrive("a.json", &item("a", "s2", 5));
    field.arrive("b.json", &item("b", "s2", 6));
    field.arrive("other.json", &item("other", "s2", 20));
    field.wait("all events", |field| field.store().event_counts().unwrap() == (3, 2));
    assert!(field.counts().is_empty(), "nothing is whole");
    field.arrive("radar.json", &item("radar", "s1", 7));
    field.wait("the week", |field| field.results().len() == 1);
    let results = field.results();
    assert_eq!(results.values().next().unwrap(), &["a", "b", "radar"]);
    assert_eq!(results.keys().next().unwrap(), "made-2021-W01");
    // What comes late runs with the whole week and takes its place.
    field.arrive("late.json", &item("late", "s2", 8));
    field.wait("the week again", |field| field.results().values().any(|sources| sources.len() == 4));
    assert_eq!(field.results().len(), 1);
    assert_eq!(field.store().event_counts().unwrap().1, 1, "the other week still waits");
}

#[test]
fn by_hand_does_what_triggers_do() {
    let field = Field::new(&workflow("", ""));
    field.bench.write("one.json", &item("one", "s2", 1).to_string());
    field.arrive("two.json", &item("two", "s2", 2));
    field.arrive("three.json", &item("three", "s2", 40));
    let test = field.run(&["trigger", "test", "flows", "map/incoming", "--json"]).exits(0).json();
    assert_eq!(test["events"].as_array().unwrap().len(), 2);
    assert_eq!(field.store().event_counts().unwrap().0, 0, "a test changes nothing");
    let fired = field.run(&["trigger", "fire", "flows", "map/incoming", "one.json", "--json"]).exits(0).json();
    assert_eq!(fired["taken"]["new"], 1);
    let again = field.run(&["trigger", "fire", "flows", "map/incoming", "one.json", "--json"]).exits(0).json();
    assert_eq!((&again["taken"]["new"], &again["taken"]["known"]), (&json!(0), &json!(1)));
    let filled =
        field.run(&["trigger", "backfill", "flows", "map/incoming", "2021-02-01/2021-02-28", "--json"]).exits(0).json();
    assert_eq!(filled["taken"]["new"], 1);
    let wrong = field.run(&["trigger", "fire", "flows", "map/incomming", "one.json"]).exits(2);
    assert!(wrong.stderr.contains("map/incoming"), "{}", wrong.stderr);
    let _serving = field.serve(&[]);
    field.wait("all three", |field| field.results().len() == 3);
    let listed = field.run(&["trigger", "list", "flows", "--json"]).exits(0).json();
    assert_eq!(listed["triggers"][0]["uses"], "folder.watch");
}

#[test]
fn what_fails_for_good_is_dead_until_it_is_retried() {
    let field = Field::new(&workflow("", ", crash: ../crash").replace("out: out}", "out: out, attempts: 1}"));
    field.bench.write("crash", "");
    field.arrive("a.json", &item("a", "s2", 1));
    let _serving = field.serve(&[]);
    field.wait("a dead run", |field| field.counts().get("dead") == Some(&1));
    // The process of the run was lost; the service was not.
    let dead = field.runs(RunState::Dead).remove(0);
    assert!(dead.error.as_ref().unwrap()["message"].as_str().unwrap().contains("signal"), "{dead:?}");
    assert!(field.results().is_empty());
    std::fs::remove_file(field.path("crash")).unwrap();
    field.run(&["trigger", "retry", "flows", "all"]).exits(0);
    field.wait("a result", |field| field.results().len() == 1);
    assert_eq!(field.counts().get("dead"), None);
}

#[test]
fn a_paused_workflow_takes_events_in_and_runs_nothing() {
    let field = Field::new(&workflow("", ""));
    field.store().pause("map", true).unwrap();
    field.arrive("a.json", &item("a", "s2", 1));
    let _serving = field.serve(&[]);
    field.wait("a queued run", |field| field.counts().get("queued") == Some(&1));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(field.counts().get("queued"), Some(&1));
    field.store().pause("map", false).unwrap();
    field.wait("a result", |field| field.results().len() == 1);
}

#[test]
fn the_check_names_every_mistake_and_starts_nothing() {
    let field = Field::new(&workflow("", ""));
    let good = field.run(&["serve", "flows", "--check", "--json"]).exits(0).json();
    assert_eq!((&good["ok"], &good["state"]), (&json!(true), &json!("none yet")));
    assert!(!field.path("state/service.db").exists(), "a check makes no state");
    field.bench.write("flows/other.yaml", &workflow("", "").replace("every: 100ms", "evry: 100ms"));
    let wrong = field.run(&["serve", "flows", "--check"]).exits(1);
    assert!(
        wrong.stderr.contains("other.yaml:12:7") && wrong.stderr.contains("did you mean `every`?"),
        "{}",
        wrong.stderr
    );
    let checked = field.bench.run(&["check", "flows/other.yaml"]).exits(1);
    assert!(checked.stderr.contains("did you mean `every`?"), "{}", checked.stderr);
    // The right one is served all the same.
    field.arrive("a.json", &item("a", "s2", 1));
    let _serving = field.serve(&[]);
    field.wait("a result", |field| field.results().len() == 1);
}
