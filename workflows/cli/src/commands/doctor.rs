//! `skysense doctor`: what was found on this machine, and why something was not.

use clap::Args;
use serde_json::{Value, json};
use skysense_engine::SearchPath;
use skysense_serve::MapLibrary;

use super::{Subcommand, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {}

impl Subcommand for Doctor {
    const NAME: &'static str = "doctor";
    const ABOUT: &'static str = "Say which plugins, GDAL, ONNX Runtime and devices were found, and why one was not";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let set = context.plugins();
        let names = |names: &mut dyn Iterator<Item = &String>| names.cloned().collect::<Vec<_>>();
        let plugins: Vec<Value> = set
            .plugins()
            .iter()
            .map(|plugin| {
                json!({
                    "name": plugin.description().name,
                    "version": plugin.description().version,
                    "path": plugin.path(),
                    "nodes": names(&mut plugin.nodes().iter().map(|node| &node.name)),
                    "tools": names(&mut plugin.tools().iter().map(|tool| &tool.name)),
                })
            })
            .collect();
        let mut ok = !plugins.is_empty();
        let machine = match set.tool("doctor").map(|_| context.call("doctor", &json!({}))) {
            Some(Ok(answer)) => {
                ok &= answer["ok"] != json!(false);
                answer
            }
            Some(Err(failure)) => {
                ok = false;
                json!({"ok": false, "error": failure.to_string()})
            }
            None => {
                ok = false;
                json!({"ok": false, "error": "no plugin with the tool `doctor` was found, so GDAL and ONNX Runtime were not looked at"})
            }
        };
        let search: Vec<Value> = SearchPath::standard()
            .paths()
            .map(|path| json!(format!("{}{}", path.display(), if path.exists() { "" } else { " (not there)" })))
            .collect();
        // Without it everything but the map of the page is there: no reason to fail.
        let given = std::env::var_os("SKYSENSE_MAPLIBRE").map(std::path::PathBuf::from);
        let map = MapLibrary::find(given.as_deref());
        let map = map.map_or_else(|reason| reason, |library| library.folder().display().to_string());
        let answer = json!({
            "ok": ok,
            "skysense": env!("CARGO_PKG_VERSION"),
            "plugins": plugins,
            "not_used": set.refused(),
            "search_path": search,
            "map": map,
            "machine": machine,
        });
        context.answer(&answer, || outline(&answer, 0))?;
        Ok(if ok { Exit::Ok } else { Exit::Resources })
    }
}
