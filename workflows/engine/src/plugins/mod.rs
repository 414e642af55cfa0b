//! The plugins of this process: found on a search path, loaded once, never unloaded.

mod search;

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use skysense_abi::{Host, NodeDescription, NodeError, Plugin, ToolDescription};

use crate::spec::{NodeType, NodeTypes};

pub use search::{SearchPath, data_folder};

/// All plugins that were found, and what was found and refused.
#[derive(Debug, Clone, Default)]
pub struct PluginSet {
    plugins: Vec<Plugin>,
    refused: Vec<Refused>,
}

/// A library on the search path that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The library's file, or the entry of the search path.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

impl PluginSet {
    /// Loads every plugin on a search path. What cannot be used is listed in [`PluginSet::refused`]: one bad
    /// library does not keep the others from working.
    pub fn discover(search: &SearchPath) -> Self {
        let mut set = Self::default();
        let (files, missing) = search.files();
        set.refused.extend(missing);
        for path in files {
            match Plugin::load(&path) {
                Ok(plugin) => set.add(plugin),
                Err(error) => set.refused.push(Refused { path, reason: error.to_string() }),
            }
        }
        set
    }

    /// Adds a plugin, unless one of its nodes or tools is there already: then which one is meant would hang on
    /// the order of folders.
    pub fn add(&mut self, plugin: Plugin) {
        let clash = plugin
            .nodes()
            .iter()
            .find_map(|node| self.node(&node.name).map(|(other, _)| (node.name.clone(), other.path().to_owned())))
            .or_else(|| {
                let mut tools = plugin.tools().iter();
                tools.find_map(|tool| self.tool(&tool.name).map(|(p, _)| (tool.name.clone(), p.path().to_owned())))
            });
        match clash {
            None => self.plugins.push(plugin),
            Some((name, other)) => self.refused.push(Refused {
                path: plugin.path().to_owned(),
                reason: format!("it brings `{name}`, which {} brings already", other.display()),
            }),
        }
    }

    /// The plugins in use, in the order in which they were found.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// What was found and is not used.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// A node by its name, with the plugin that brings it.
    pub fn node(&self, name: &str) -> Option<(&Plugin, &NodeDescription)> {
        self.plugins.iter().find_map(|p| p.nodes().iter().find(|n| n.name == name).map(|n| (p, n)))
    }

    /// A tool by its name, with the plugin that brings it.
    pub fn tool(&self, name: &str) -> Option<(&Plugin, &ToolDescription)> {
        self.plugins.iter().find_map(|p| p.tools().iter().find(|t| t.name == name).map(|t| (p, t)))
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// No plugin brings it, or whatever the tool says.
    pub fn call(&self, tool: &str, arguments: &Value, host: &Host) -> Result<Value, NodeError> {
        let Some((plugin, _)) = self.tool(tool) else {
            return Err(NodeError::new("tool.unknown", format!("no plugin brings the tool `{tool}`"))
                .hint("`skysense doctor` lists plugins, and why one was not used"));
        };
        plugin.call(tool, arguments, host)
    }

    /// All nodes, as workflow files are checked against them.
    pub fn node_types(&self) -> NodeTypes {
        let types = self.plugins.iter().flat_map(|plugin| {
            let name = plugin.description().name.as_str();
            plugin.nodes().iter().map(move |node| NodeType::of_plugin(name, node.clone()))
        });
        types.collect()
    }
}
