//! How a service ends and goes on.

use skysense_serve::RunState;

use crate::bench::{Field, item, workflow};

#[test]
fn a_service_that_is_ended_parks_its_runs_and_the_next_one_goes_on() {
    let field = Field::new(&workflow("", ", gate: ../gate"));
    field.arrive("a.json", &item("a", "s2", 1));
    let mut serving = field.serve(&[]);
    let begun = |field: &Field| {
        let run = field.runs(RunState::Running);
        run.first().is_some_and(|run| field.path(&format!("state/service-runs/{}/runs", run.id)).exists())
    };
    field.wait("a run that has begun", begun);
    assert_eq!(serving.terminate(), Some(0), "{}", field.log());
    assert_eq!(field.counts().get("parked"), Some(&1), "{:?}", field.counts());
    field.bench.write("gate", "");
    let _serving = field.serve(&[]);
    field.wait("a result", |field| field.results().len() == 1);
    let run = field.runs(RunState::Done).remove(0);
    assert_eq!((run.attempts, run.interruptions), (0, 0));
}

#[test]
fn a_state_is_served_once() {
    let field = Field::new(&workflow("", ""));
    let _serving = field.serve(&[]);
    field.wait("the service", |field| field.log().contains("serving"));
    let second = field.run(&["serve", "flows"]).exits(4);
    assert!(second.stderr.contains("another process serves"), "{}", second.stderr);
}

#[test]
fn a_run_that_is_cancelled_ends_and_stays_so() {
    let field = Field::new(&workflow("", ", gate: ../gate"));
    field.arrive("a.json", &item("a", "s2", 1));
    let _serving = field.serve(&[]);
    field.wait("a run", |field| field.counts().get("running") == Some(&1));
    let run = field.runs(RunState::Running).remove(0);
    field.store().cancel(&run.id, skysense_serve::now()).unwrap();
    field.wait("its end", |field| field.counts().get("cancelled") == Some(&1));
    assert!(field.results().is_empty());
}

#[test]
fn a_backup_of_a_state_that_is_served_holds_all_of_it() {
    let field = Field::new(&workflow("", ""));
    field.arrive("a.json", &item("a", "s2", 1));
    let _serving = field.serve(&[]);
    field.wait("a result", |field| field.results().len() == 1);
    field.run(&["serve", "flows", "--backup", "copy.db"]).exits(0);
    let copy = skysense_serve::Store::open(&field.path("copy.db")).unwrap();
    assert_eq!(copy.result_counts().unwrap(), (1, 1));
    let again = field.run(&["serve", "flows", "--backup", "copy.db"]);
    assert_ne!(again.code, Some(0), "a backup overwrites nothing");
    let mut command = field.bench.command(&["serve", "flows", "--backup", "other.db", "--state", "no/state.db"]);
    assert!(!command.output().unwrap().status.success());
    assert!(!field.path("no").exists() && !field.path("other.db").exists(), "a backup makes no state");
}
