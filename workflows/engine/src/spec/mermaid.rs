//! The graph as Mermaid, which code hosts and editors draw.

use std::fmt::Write;

use super::{node_type::NodeTypes, resolved::Spec};

impl Spec {
    /// A flowchart: each node with its type, each edge with its kind.
    pub fn mermaid(&self, types: &NodeTypes) -> String {
        let mut text = String::from("flowchart LR\n");
        // Ids of our own, because names like `end` mean something in Mermaid.
        let id = |name: &str| self.nodes.iter().position(|node| node.name == name).unwrap_or_default();
        for node in &self.nodes {
            let _ = writeln!(text, "    n{}[\"<b>{}</b><br/>{}\"]", id(&node.name), node.name, node.uses);
        }
        for node in &self.nodes {
            for edge in &node.inputs {
                let from = self.node(&edge.from).and_then(|from| types.get(&from.uses));
                let kind = from.map_or("", |kind| kind.output.as_str());
                let arrow = if kind.is_empty() { "-->".to_owned() } else { format!("-- {kind} -->") };
                let _ = writeln!(text, "    n{} {arrow} n{}", id(&edge.from), id(&node.name));
            }
        }
        text
    }
}
