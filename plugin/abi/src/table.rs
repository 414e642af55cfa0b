//! The plain table in which a plugin lists its nodes and tools.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::describe::{NodeDescription, ToolDescription, schema_of};
use crate::error::{Fault, NodeError};
use crate::host::Host;
use crate::node::{Node, NodePlan, PlanInputs, RunInputs};
use crate::stream::BatchStream;
use crate::tool::Tool;

/// A line of the table of nodes; made by [`node`].
#[derive(Debug, Clone, Copy)]
pub struct NodeEntry {
    /// The node's name.
    pub name: &'static str,
    describe: fn() -> NodeDescription,
    plan: fn(&str, &PlanInputs, &Host) -> Result<NodePlan, Vec<Fault>>,
    run: fn(&str, NodePlan, RunInputs, Host) -> Result<BatchStream, NodeError>,
}

/// Lists a node: `pub const NODES: &[NodeEntry] = &[node::<Search>(), node::<Chips>()];`
pub const fn node<N: Node>() -> NodeEntry {
    NodeEntry {
        name: N::NAME,
        describe: || NodeDescription { name: N::NAME.into(), doc: N::describe(), settings: schema_of::<N::Settings>() },
        plan: |settings, inputs, host| N::plan(parse(settings)?, inputs, host),
        run: |settings, plan, inputs, host| {
            N::run(parse(settings).map_err(|fault| node_error(N::NAME, fault))?, plan, inputs, host)
        },
    }
}

/// A line of the table of tools; made by [`tool`].
#[derive(Debug, Clone, Copy)]
pub struct ToolEntry {
    /// The tool's name.
    pub name: &'static str,
    describe: fn() -> ToolDescription,
    call: fn(&str, &Host) -> Result<String, NodeError>,
}

/// Lists a tool: `pub const TOOLS: &[ToolEntry] = &[tool::<SimulateScene>()];`
pub const fn tool<T: Tool>() -> ToolEntry {
    ToolEntry {
        name: T::NAME,
        describe: || ToolDescription {
            name: T::NAME.into(),
            summary: T::SUMMARY.into(),
            arguments: schema_of::<T::Arguments>(),
        },
        call: |arguments, host| {
            let arguments = parse(arguments).map_err(|fault| node_error(T::NAME, fault))?;
            let answer = T::call(arguments, host)?;
            serde_json::to_string(&answer).map_err(|e| NodeError::from_error("answer.invalid", &e))
        },
    }
}

impl NodeEntry {
    /// The node's own declaration.
    pub fn describe(&self) -> NodeDescription {
        (self.describe)()
    }

    /// Plans with settings as JSON text.
    ///
    /// # Errors
    /// Every mistake in settings and inputs.
    pub fn plan(&self, settings: &str, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        (self.plan)(settings, inputs, host)
    }

    /// Starts with settings as JSON text.
    ///
    /// # Errors
    /// Whatever keeps the node from starting.
    pub fn run(&self, settings: &str, plan: NodePlan, inputs: RunInputs, host: Host) -> Result<BatchStream, NodeError> {
        (self.run)(settings, plan, inputs, host)
    }
}

impl ToolEntry {
    /// The tool's own declaration.
    pub fn describe(&self) -> ToolDescription {
        (self.describe)()
    }

    /// Calls the tool with arguments as JSON text; the answer is JSON text.
    ///
    /// # Errors
    /// Arguments that do not fit, and whatever the tool says.
    pub fn call(&self, arguments: &str, host: &Host) -> Result<String, NodeError> {
        (self.call)(arguments, host)
    }
}

/// Reads settings; a fault names the field.
fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Fault> {
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let mut field = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => field.push_str(&format!("/{index}")),
                Segment::Map { key } => field.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        // serde_json's message ends with a position in JSON that nobody wrote.
        let text = error.inner().to_string();
        let text = text.split(" at line ").next().unwrap_or_default().to_owned();
        Fault::new(field, "settings.invalid", text)
    })
}

fn node_error(name: &str, fault: Fault) -> NodeError {
    let mut error = NodeError::new(fault.code, fault.message).at("in", name);
    if !fault.field.is_empty() {
        error = error.at("field", fault.field);
    }
    error.hint = fault.hint;
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[expect(dead_code, reason = "only parsed")]
        bands: Vec<u8>,
    }

    #[test]
    fn a_fault_in_settings_names_the_field() {
        let fault = parse::<Settings>(r#"{"bands": [1, "two"]}"#).unwrap_err();
        assert_eq!(fault.field, "/bands/1");
        assert!(fault.message.contains("two") && !fault.message.contains("line"), "{}", fault.message);
        let fault = parse::<Settings>(r#"{"bands": [], "bnads": 1}"#).unwrap_err();
        assert!(fault.message.contains("bnads"), "{}", fault.message);
    }
}
