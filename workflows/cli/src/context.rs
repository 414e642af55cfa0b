//! What a subcommand works with.

use std::{path::Path, sync::OnceLock};

use serde::Serialize;
use serde_json::Value;
use skysense_abi::Host;
use skysense_engine::{Bindings, Cancel, NodeTypes, PluginSet, SearchPath, Spec};

use crate::{
    failure::Failure,
    host::ToolHost,
    log,
    options::{Options, ProgressMode},
    output,
    progress::Progress,
};

/// Output, plugins, and the switch that ends the program.
pub(crate) struct Context {
    /// Options of every subcommand.
    pub(crate) options: Options,
    /// Turned on by Ctrl-C, SIGTERM, or a parent that went away.
    pub(crate) cancel: Cancel,
    plugins: OnceLock<PluginSet>,
    types: OnceLock<NodeTypes>,
}

/// What to do about a library that a plugin needs and the system does not have.
fn remedy(reason: &str) -> Option<&'static str> {
    let missing = ["cannot open shared object file", "Library not loaded", "image not found"];
    let lacks = missing.iter().any(|words| reason.contains(words));
    let gdal = "\n  hint: install GDAL of the version that the plugin was built with (Debian, Ubuntu: apt-get install gdal-bin), or build skysense anew on this machine; without GDAL no raster is read or written";
    let other = "\n  hint: install the library that is named, or name its folder in LD_LIBRARY_PATH";
    lacks.then_some(if reason.contains("libgdal") { gdal } else { other })
}

impl Context {
    /// A context; starts the log on stderr.
    pub(crate) fn new(options: Options) -> Self {
        let level = match options.verbose {
            0 => "warn",
            1 => "info",
            _ => "debug",
        };
        let lines = options.progress == ProgressMode::Json;
        if lines {
            output::speak_lines();
        }
        log::start(level, lines);
        Self { options, cancel: Cancel::new(), plugins: OnceLock::new(), types: OnceLock::new() }
    }

    /// The plugins, loaded when first asked for.
    pub(crate) fn plugins(&self) -> &PluginSet {
        self.plugins.get_or_init(|| {
            let set = PluginSet::discover(&SearchPath::standard());
            for refused in set.refused() {
                let remedy = remedy(&refused.reason).unwrap_or_default();
                tracing::warn!("plugin {} is not used: {}{remedy}", refused.path.display(), refused.reason);
            }
            set
        })
    }

    /// The node types of all plugins, and the types of triggers.
    pub(crate) fn types(&self) -> &NodeTypes {
        self.types.get_or_init(|| self.plugins().node_types().with_triggers(skysense_serve::trigger_types()))
    }

    /// Reads and checks a workflow. Params may stay without a value where `open` says so.
    ///
    /// # Errors
    /// Every mistake in the file.
    pub(crate) fn spec(&self, file: &Path, params: &[(String, String)], open: bool) -> Result<Spec, Failure> {
        let bindings = Bindings::of_process(params);
        let bindings = if open { bindings.open() } else { bindings };
        Ok(Spec::load(file, self.types(), &bindings)?)
    }

    /// Calls a tool of a plugin.
    ///
    /// # Errors
    /// No plugin brings it, or whatever the tool says.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Result<Value, Failure> {
        let progress = Progress::new(self.options.progress, &[]);
        let host = Host::new(ToolHost::new(tool, progress.clone(), self.cancel.clone()));
        let answer = self.plugins().call(tool, arguments, &host);
        progress.finish();
        Ok(answer?)
    }

    /// Prints an answer: as JSON, or in words.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub(crate) fn answer(&self, value: &impl Serialize, words: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.options.json { output::json(value) } else { output::data(&words()) }
    }
}
