//! A plan that is pulled: the streams of a node and of all before it, chained, without tasks, queues and a run's folder.
//!
//! A run does a whole workflow. Who wants a part of one node's output, now and then, pulls: nodes work when a batch is
//! asked for, in the thread that asks, and keep what they hold (an open model, open files) until the stream is dropped.
//! What part is wanted is told to a node through an input that its plan does not have: see [`pull()`].

use std::sync::Arc;

use serde_json::Value;
use skysense_abi::{About, BatchStream, Host, HostCallbacks, Level, NodeDescription, NodeError, RunInput, RunInputs};

use crate::cancel::Cancel;
use crate::plan::{Plan, PlannedNode};
use crate::plugins::PluginSet;
use crate::run::{Devices, Event, Events, NoEvents};

/// How a plan is pulled.
#[derive(Clone)]
#[non_exhaustive]
pub struct PullOptions {
    /// Devices that nodes may use: `auto`, `cpu`, `cuda`, `cuda:1`.
    pub devices: Vec<String>,
    /// Ends what is being done.
    pub cancel: Cancel,
    /// Who hears what nodes say.
    pub events: Arc<dyn Events>,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self { devices: vec!["auto".into()], cancel: Cancel::new(), events: Arc::new(NoEvents) }
    }
}

/// An input beside those of the plan.
pub type Beside<'a> = dyn FnMut(&PlannedNode, &NodeDescription) -> Vec<(String, RunInput)> + 'a;

/// Starts a node of a plan and all that it reads; gives its stream. `beside` gives nodes further inputs, by port: those
/// through which a node is told which part of its output is wanted.
///
/// A node that several nodes read is started once for each of them.
///
/// # Errors
/// No node of that name, a plugin that is not there, and whatever keeps a node from starting.
pub fn pull(
    plan: &Plan,
    plugins: &PluginSet,
    node: &str,
    beside: &mut Beside<'_>,
    options: &PullOptions,
) -> Result<BatchStream, NodeError> {
    let missing = || NodeError::new("node.unknown", format!("the plan has no node `{node}`"));
    let planned = plan.node(node).ok_or_else(missing)?;
    let missing = || NodeError::new("node.unknown", format!("no plugin brings the node `{}`", planned.uses));
    let (plugin, description) = plugins.node(&planned.uses).ok_or_else(missing)?;
    let mut inputs = RunInputs::default();
    for edge in &planned.inputs {
        let batches = pull(plan, plugins, &edge.from, beside, options)?;
        let Some(source) = plan.node(&edge.from) else { continue };
        inputs = inputs.with(&edge.port, RunInput::new(&source.output, source.plan.schema.clone(), batches));
    }
    for (port, input) in beside(planned, description) {
        inputs = inputs.with(&port, input);
    }
    let host = Host::new(PullHost::new(plan, &planned.name, options));
    let name = planned.name.clone();
    let of_node = move |error: NodeError| match error.place.contains_key("node") || error.is_cancelled() {
        true => error,
        false => error.at("node", &name),
    };
    let begun = plugin.run(&planned.uses, &planned.settings, planned.plan.clone(), inputs, &host);
    let (_, stream) = begun.map_err(&of_node)?;
    Ok(Box::new(stream.map(move |batch| batch.map_err(&of_node))))
}

struct PullHost {
    about: About,
    devices: Devices,
    cancel: Cancel,
    events: Arc<dyn Events>,
}

impl PullHost {
    fn new(plan: &Plan, node: &str, options: &PullOptions) -> Self {
        let about = plan.about(node);
        let (cancel, events) = (options.cancel.clone(), options.events.clone());
        Self { about, devices: Devices::new(&options.devices), cancel, events }
    }

    fn node(&self) -> String {
        self.about.node.clone()
    }
}

impl HostCallbacks for PullHost {
    fn log(&self, level: Level, message: &str) {
        self.events.event(&Event::Log { node: self.node(), level, message: message.to_owned() });
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        self.events.event(&Event::Progress { node: self.node(), done, total, unit: unit.to_owned() });
    }

    fn report(&self, kind: &str, record: Value) {
        self.events.event(&Event::Record { node: self.node(), kind: kind.to_owned(), record });
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn about(&self) -> About {
        self.about.clone()
    }

    fn lease_device(&self, wanted: &str) -> Result<String, NodeError> {
        self.devices.lease(wanted)
    }

    fn release_device(&self, device: &str) {
        self.devices.release(device);
    }
}
