//! `skysense model`: what a model package holds, packages of published weights, and what a preset costs.

mod import;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{Subcommand, model_cost::Cost, model_reduce::Reduce, path_text, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `model`.
#[derive(Debug, Args)]
pub(crate) struct Model {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show the contract of a model package and run its probe
    Inspect {
        /// Folder of the package
        #[arg(value_parser = path_text)]
        model: PathBuf,
    },
    /// Check files, weights, graphs and probe of a model package, and name all that is wrong
    Verify {
        /// Folder of the package
        #[arg(value_parser = path_text)]
        model: PathBuf,
    },
    /// List the model packages below folders, with what is broken among them
    List {
        /// Folders to look in; those of SKYSENSE_MODEL_PATH if left out, or the current one
        #[arg(value_parser = path_text)]
        folders: Vec<PathBuf>,
    },
    /// Print the model card of a package as Markdown
    Card {
        /// Folder of the package
        #[arg(value_parser = path_text)]
        model: PathBuf,
    },
    /// Write ONNX graphs of modules, and their weights under the published keys, for other software
    Export {
        /// Folder of the package
        #[arg(value_parser = path_text)]
        model: PathBuf,
        /// Folder to write
        #[arg(short, long, value_name = "FOLDER", value_parser = path_text)]
        out: PathBuf,
        /// Modules to write: hr, s2, s1, fusion, geo_context, head; all of the package if left out
        #[arg(long, value_name = "MODULES", value_delimiter = ',')]
        modules: Vec<String>,
        /// Side of a chip of the graphs in pixels of 10 m; that of the package if left out. Batch and dates are free
        #[arg(long, value_name = "PIXELS")]
        chip_size: Option<usize>,
        /// Write weights and no graphs
        #[arg(long)]
        weights_only: bool,
    },
    /// Count parameters, FLOPs, memory and GPU days of a preset, without making a model
    Cost(Box<Cost>),
    /// Make a model package of published weights
    Import(Box<import::Import>),
    /// Write a package with weights in 16 or 8 bit, and measure it against the original
    Reduce(Box<Reduce>),
}

impl Subcommand for Model {
    const NAME: &'static str = "model";
    const ABOUT: &'static str =
        "Look into model packages, check, list, make and export them, or count what a preset costs";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            What::Inspect { model } => inspect(context, "model.inspect", &model),
            What::Verify { model } => inspect(context, "model.verify", &model),
            What::List { folders } => {
                let answer = context.call("model.list", &json!({"folders": folders}))?;
                context.answer(&answer, || table(&answer))?;
                Ok(Exit::Ok)
            }
            What::Card { model } => {
                let answer = context.call("model.card", &json!({"model": model}))?;
                context.answer(&answer, || answer["card"].as_str().unwrap_or_default().to_owned())?;
                Ok(Exit::Ok)
            }
            What::Export { model, out, modules, chip_size, weights_only } => {
                let arguments = json!({"model": model, "out": out, "modules": modules, "chip_size": chip_size,
                    "weights_only": weights_only});
                let answer = context.call("model.export", &arguments)?;
                context.answer(&answer, || outline(&answer, 0))?;
                Ok(Exit::Ok)
            }
            What::Cost(cost) => cost.run(context),
            What::Import(import) => import.run(context),
            What::Reduce(reduce) => reduce.run(context),
        }
    }
}

/// Asks what holds of a package; what does not is told by the exit.
fn inspect(context: &Context, tool: &str, model: &Path) -> Result<Exit, Failure> {
    let answer = context.call(tool, &json!({"model": model}))?;
    context.answer(&answer, || outline(&answer, 0))?;
    Ok(if answer["ok"] == json!(false) { Exit::Data } else { Exit::Ok })
}

/// One line for each package, and one for each that is broken.
fn table(answer: &Value) -> String {
    let list = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words = |value: &Value| value.as_array().into_iter().flatten().map(word).collect::<Vec<_>>().join(",");
    let model = |model: &Value| {
        let bands = model["bands"].as_object().into_iter().flatten();
        let bands: Vec<String> = bands.map(|(modality, bands)| format!("{modality} {}", words(bands))).collect();
        format!(
            "{}  {}  {:.1} MB  {} px  {}  [{}]  {}\n",
            word(&model["name"]),
            word(&model["precision"]),
            model["bytes"].as_f64().unwrap_or(0.0) / 1e6,
            model["chip_size"],
            words(&model["modules"]),
            bands.join("; "),
            word(&model["path"])
        )
    };
    let mut text: String = list("models").iter().map(model).collect();
    for broken in list("broken") {
        text.push_str(&format!("broken: {}: {}\n", word(&broken["path"]), word(&broken["reason"])));
    }
    if text.is_empty() { format!("no models in {}\n", words(&answer["folders"])) } else { text }
}
