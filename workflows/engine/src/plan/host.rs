//! The host that nodes see while they plan: it keeps what they report, and has no scratch folder.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use skysense_abi::{About, HostCallbacks, Level};

use super::PlanOptions;
use crate::cancel::Cancel;
use crate::report::Record;
use crate::run::{Event, Events};
use crate::spec::Spec;

pub(crate) struct PlanHost {
    about: About,
    node: String,
    records: Arc<Mutex<Vec<Record>>>,
    cancel: Cancel,
    events: Arc<dyn Events>,
}

impl PlanHost {
    pub(crate) fn new(
        spec: &Spec,
        node: &str,
        threads: usize,
        records: Arc<Mutex<Vec<Record>>>,
        options: &PlanOptions,
    ) -> Self {
        let mut about = About::default();
        about.node = node.to_owned();
        about.workflow = spec.name.clone();
        about.workflow_sha256 = spec.hash.clone();
        about.threads = threads;
        about.base = spec.folder.clone();
        (about.rank, about.processes) = (options.part.rank, options.part.processes);
        let (cancel, events) = (options.cancel.clone(), options.events.clone());
        Self { about, node: node.to_owned(), records, cancel, events }
    }
}

impl HostCallbacks for PlanHost {
    fn log(&self, level: Level, message: &str) {
        self.events.event(&Event::Log { node: self.node.clone(), level, message: message.to_owned() });
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        self.events.event(&Event::Progress { node: self.node.clone(), done, total, unit: unit.to_owned() });
    }

    fn report(&self, kind: &str, record: Value) {
        if kind != "count" {
            let (node, kind, record) = (self.node.clone(), kind.to_owned(), record.clone());
            self.events.event(&Event::Record { node, kind, record });
        }
        let record = Record { node: self.node.clone(), kind: kind.to_owned(), record };
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn about(&self) -> About {
        self.about.clone()
    }
}
