//! A folder of workflows, a service over it, and items that arrive.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use skysense_serve::{ItemQuery, RunFilter, RunState, Store};

use crate::{
    client::Client,
    command::{Bench, Done},
};

/// A folder `flows` with workflows, a state, and a folder `incoming` for items.
pub(crate) struct Field {
    pub(crate) bench: Bench,
}

/// A service that runs; killed when it is dropped.
pub(crate) struct Serving {
    pub(crate) child: Child,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One workflow whose trigger watches `incoming`. `more` are lines of the trigger's settings, `with` of the node's.
pub(crate) fn workflow(more: &str, with: &str) -> String {
    format!(
        "skysense: 1
params:
  items: {{type: path, default: none.json}}
  out: {{type: path, default: out}}
nodes:
  made: {{uses: test.item, with: {{items: $items, out: $out{with}}}}}
triggers:
  incoming:
    uses: folder.watch
    with:
      path: ../incoming
      every: 100ms
      quiet: 0s
      run: {{items: items, out: out}}
{more}"
    )
}

impl Field {
    pub(crate) fn new(workflow: &str) -> Self {
        let bench = Bench::new();
        std::fs::create_dir_all(bench.path("flows")).expect("a folder");
        std::fs::create_dir_all(bench.path("incoming")).expect("a folder");
        bench.write("flows/map.yaml", workflow);
        Self { bench }
    }

    /// An item arrives, whole at once as a careful sender does it.
    pub(crate) fn arrive(&self, file: &str, item: &Value) {
        let hidden = self.bench.path(&format!("incoming/.{file}"));
        std::fs::write(&hidden, item.to_string()).expect("an item");
        std::fs::rename(&hidden, self.bench.path(&format!("incoming/{file}"))).expect("an item");
    }

    /// `skysense` with the folder and the state.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        let mut all = arguments.to_vec();
        all.extend(["--state", "state/service.db"]);
        self.bench.run(&all)
    }

    /// Starts the service.
    pub(crate) fn serve(&self, more: &[&str]) -> Serving {
        self.serve_with(more, &[])
    }

    fn serve_with(&self, more: &[&str], variables: &[(&str, String)]) -> Serving {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.bench.path("serve.log"));
        let mut arguments = vec!["serve", "flows", "--state", "state/service.db", "--memory", "8GiB", "-v"];
        if !more.contains(&"--listen") {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        arguments.extend(more);
        let mut command = self.bench.command(&arguments);
        command.env("SKYSENSE_SECRET_HOOK", "a secret of the test").env_remove("SKYSENSE_TOKEN");
        command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(log.expect("a log"));
        Serving { child: command.spawn().expect("the binary starts") }
    }

    /// Starts the service, and waits until it answers; its address is that of the client.
    pub(crate) fn serve_api(&self, more: &[&str]) -> (Serving, Client) {
        let before = self.log().matches(" at http://").count();
        let serving = self.serve(more);
        let client = self.client(before);
        (serving, client)
    }

    /// As [`Field::serve_api`], with more variables of the environment.
    pub(crate) fn serve_api_with(&self, variables: &[(&str, String)]) -> (Serving, Client) {
        let serving = self.serve_with(&[], variables);
        let client = self.client(0);
        (serving, client)
    }

    /// The service's address, once it has told more than `before`.
    fn client(&self, before: usize) -> Client {
        self.wait("the address", |field| field.log().matches(" at http://").count() > before);
        let log = self.log();
        let address = log.rsplit(" at http://").next().and_then(|rest| rest.lines().next()).expect("an address");
        Client::new(address.trim())
    }

    /// The state, opened beside the service.
    pub(crate) fn store(&self) -> Store {
        Store::open(&self.bench.path("state/service.db")).expect("a state")
    }

    /// How many runs stand where.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.store().run_counts().expect("counts");
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(state, count)| (state.word(), count)).collect()
    }

    /// The runs in a state.
    pub(crate) fn runs(&self, state: RunState) -> Vec<skysense_serve::Run> {
        let filter = RunFilter { state: Some(state), limit: Some(10_000), ..RunFilter::default() };
        self.store().runs(&filter).expect("runs")
    }

    /// The items that stand, by id, each with what it was made of.
    pub(crate) fn results(&self) -> BTreeMap<String, Vec<String>> {
        let mut results = BTreeMap::new();
        let show = |item: skysense_serve::StoredItem| {
            let sources = item.item["properties"]["sources"].as_array().expect("sources");
            let sources = sources.iter().map(|id| id.as_str().expect("an id").to_owned()).collect();
            assert!(results.insert(item.item_id, sources).is_none(), "an id stands once");
            true
        };
        self.store().items(&ItemQuery::default(), show).expect("items");
        results
    }

    /// The service's log, for messages of tests that fail.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.bench.path("serve.log")).unwrap_or_default()
    }

    /// Waits until something holds, for a minute and a half at most; longer where a test is given more to do.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        let most = Duration::from_secs(90 + u64::from(wanted_items()) / 2);
        while !holds(self) {
            let waited = begun.elapsed();
            assert!(waited < most, "waited too long for {what}: {:?}\n{}", self.counts(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bench.path(name)
    }
}

impl Serving {
    /// Kills it at once, as `kill -9` and as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Ends it in good order: a TERM, and what it answers.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
        assert!(sent.success());
        self.child.wait().expect("it ends").code()
    }
}

/// How many items arrive while a service is killed again and again: SKYSENSE_TEST_ITEMS, else as many as take moments.
pub(crate) fn wanted_items() -> u32 {
    std::env::var("SKYSENSE_TEST_ITEMS").ok().and_then(|count| count.parse().ok()).unwrap_or(40)
}

/// An item of a day of 2021.
pub(crate) fn item(id: &str, collection: &str, day: u32) -> Value {
    let date = chrono_free_date(day);
    json!({
        "type": "Feature", "stac_version": "1.1.0", "id": id, "collection": collection, "links": [],
        "bbox": [5.0, 45.0, 6.0, 46.0],
        "geometry": {"type": "Polygon", "coordinates": [[[5, 45], [6, 45], [6, 46], [5, 46], [5, 45]]]},
        "properties": {"datetime": format!("{date}T10:00:00Z")},
        "assets": {"B04": {"href": "https://data.example.org/B04.tif"}},
    })
}

/// The date of a day of 2021, from 1.
fn chrono_free_date(day: u32) -> String {
    const MONTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (mut month, mut left) = (0, day);
    while left > MONTHS[month] {
        left -= MONTHS[month];
        month += 1;
    }
    format!("2021-{:02}-{left:02}", month + 1)
}
