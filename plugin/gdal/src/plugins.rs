//! The plugins of this process.

use std::sync::OnceLock;

use skysense_engine::{PluginSet, SearchPath};

use crate::place::own_folders;

/// What was found beside this library and in the other usual places; looked for once, when a workflow or a model is first
/// opened.
pub(crate) fn plugins() -> &'static PluginSet {
    static PLUGINS: OnceLock<PluginSet> = OnceLock::new();
    PLUGINS.get_or_init(|| PluginSet::discover(&SearchPath::standard_of(&own_folders())))
}
