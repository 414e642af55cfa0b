//! The host that nodes see while they plan: it keeps what they report, and has no scratch folder.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use skysense_abi::{About, HostCallbacks, Level};

use crate::cancel::Cancel;
use crate::report::Record;
use crate::spec::Spec;

pub(crate) struct PlanHost {
    about: About,
    node: String,
    records: Arc<Mutex<Vec<Record>>>,
    cancel: Cancel,
}

impl PlanHost {
    pub(crate) fn new(
        spec: &Spec,
        node: &str,
        threads: usize,
        records: Arc<Mutex<Vec<Record>>>,
        cancel: Cancel,
    ) -> Self {
        let mut about = About::default();
        about.node = node.to_owned();
        about.workflow = spec.name.clone();
        about.workflow_sha256 = spec.hash.clone();
        about.threads = threads;
        about.base = spec.folder.clone();
        Self { about, node: node.to_owned(), records, cancel }
    }
}

impl HostCallbacks for PlanHost {
    fn log(&self, level: Level, message: &str) {
        match level {
            Level::Error => tracing::error!(node = self.node, "{message}"),
            Level::Warn => tracing::warn!(node = self.node, "{message}"),
            Level::Info => tracing::info!(node = self.node, "{message}"),
            Level::Debug => tracing::debug!(node = self.node, "{message}"),
        }
    }

    fn report(&self, kind: &str, record: Value) {
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
