//! The host that a node sees while it runs.

use std::sync::Arc;

use serde_json::{Value, json};
use skysense_abi::{About, HostCallbacks, Level, NodeError};

use super::event::Event;
use super::state::RunState;
use crate::plan::file_name;
use crate::report::Record;

pub(super) struct NodeHost {
    state: Arc<RunState>,
    position: usize,
}

impl NodeHost {
    pub(super) fn new(state: Arc<RunState>, position: usize) -> Self {
        Self { state, position }
    }

    fn node(&self) -> &str {
        &self.state.plan.nodes[self.position].name
    }
}

impl HostCallbacks for NodeHost {
    fn log(&self, level: Level, message: &str) {
        self.state.folder.log(&json!({"node": self.node(), "level": level, "message": message}));
        self.state.events.event(&Event::Log { node: self.node().into(), level, message: message.into() });
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        self.state.events.event(&Event::Progress { node: self.node().into(), done, total, unit: unit.into() });
    }

    fn report(&self, kind: &str, record: Value) {
        // Shown and forgotten: there are as many as steps, and the node keeps them in a file of its own.
        if kind == "measures"
            && let Ok(measured) = serde_json::from_value(record.clone())
        {
            return self.state.events.event(&Event::Measures { node: self.node().into(), measured });
        }
        if kind != "count" {
            let (node, record) = (self.node().into(), record.clone());
            self.state.events.event(&Event::Record { node, kind: kind.into(), record });
        }
        self.state.add_record(Record { node: self.node().into(), kind: kind.into(), record });
    }

    fn cancelled(&self) -> bool {
        self.state.stop.is_cancelled()
    }

    fn scratch(&self) -> String {
        let path = self.state.folder.nodes().join(file_name(self.position, self.node())).with_extension("");
        match std::fs::create_dir_all(&path) {
            Ok(()) => path.to_string_lossy().into_owned(),
            Err(error) => {
                self.log(Level::Warn, &format!("cannot create {}: {error}", path.display()));
                String::new()
            }
        }
    }

    fn about(&self) -> About {
        let mut about = self.state.plan.about(self.node());
        about.run = self.state.folder.id().to_owned();
        about.resumed = self.state.resumed;
        (about.rank, about.processes) = (self.state.part.rank, self.state.part.processes);
        about
    }

    fn lease_memory(&self, bytes: u64) -> bool {
        self.state.budget.take(bytes)
    }

    fn release_memory(&self, bytes: u64) {
        self.state.budget.give(bytes);
    }

    fn lease_device(&self, wanted: &str) -> Result<String, NodeError> {
        self.state.devices.lease(wanted)
    }

    fn release_device(&self, device: &str) {
        self.state.devices.release(device);
    }
}
