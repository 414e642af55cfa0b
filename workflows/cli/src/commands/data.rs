//! `skysense data`: data sets of others as catalogs; what training shards hold, whether they are whole, and their statistics.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{Subcommand, path_text, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `data`.
#[derive(Debug, Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write a STAC catalog for a downloaded data set, by the layout in which it is published
    Adopt {
        /// The layout, such as levir-cd: docs/DATASETS.md has all
        layout: String,
        /// Folder of the data set
        #[arg(value_parser = path_text)]
        folder: PathBuf,
        /// Folder for the catalog
        #[arg(short, long, value_name = "FOLDER", value_parser = path_text)]
        out: PathBuf,
    },
    /// Count samples, dates and valid shares by modality; with -o draw a map and a sheet of samples
    Inspect {
        /// Folder of the shards
        #[arg(value_parser = path_text)]
        data: PathBuf,
        /// Folder for map.png and samples.png
        #[arg(short, long, value_name = "FOLDER", value_parser = path_text)]
        out: Option<PathBuf>,
        /// Samples on the sheet
        #[arg(long, value_name = "N", default_value_t = 24)]
        samples: usize,
    },
    /// Read every byte, and name files and samples that are not what was written
    Verify {
        /// Folder of the shards
        #[arg(value_parser = path_text)]
        data: PathBuf,
    },
    /// Compute mean and standard deviation of every band over valid pixels
    Stats {
        /// Folder of the shards
        #[arg(value_parser = path_text)]
        data: PathBuf,
        /// JSON file for bands, means and standard deviations by modality
        #[arg(short, long, value_name = "FILE", value_parser = path_text)]
        out: Option<PathBuf>,
        /// The part of the set
        #[arg(long, value_parser = ["train", "validation"], default_value = "train")]
        part: String,
    },
}

impl Subcommand for Data {
    const NAME: &'static str = "data";
    const ABOUT: &'static str =
        "Adopt data sets of others; look into training shards, check them, and compute their statistics";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self.what {
            What::Adopt { layout, folder, out } => {
                let answer = context.call("data.adopt", &json!({"layout": layout, "folder": folder, "out": out}))?;
                context.answer(&answer, || outline(&answer, 0))?;
                Ok(Exit::Ok)
            }
            What::Inspect { data, out, samples } => {
                let answer = context.call("data.inspect", &json!({"data": data, "out": out, "samples": samples}))?;
                context.answer(&answer, || outline(&short(&answer), 0))?;
                Ok(Exit::Ok)
            }
            What::Verify { data } => {
                let answer = context.call("data.verify", &json!({"data": data}))?;
                context.answer(&answer, || outline(&answer, 0))?;
                Ok(if answer["ok"] == json!(false) { Exit::Data } else { Exit::Ok })
            }
            What::Stats { data, out, part } => {
                let answer = context.call("data.stats", &json!({"data": data, "out": out, "part": part}))?;
                context.answer(&answer, || table(&answer))?;
                Ok(Exit::Ok)
            }
        }
    }
}

/// The answer without the counts by month and by number of dates, which are for programs.
fn short(answer: &Value) -> Value {
    let mut short = answer.clone();
    for modality in short["modalities"].as_object_mut().into_iter().flatten().map(|(_, modality)| modality) {
        if let Some(fields) = modality.as_object_mut() {
            fields.retain(|name, _| !name.contains("_by_"));
        }
    }
    short
}

/// A line for each band.
fn table(answer: &Value) -> String {
    let mut text = format!("{} samples of {}\n", answer["samples"], answer["part"].as_str().unwrap_or_default());
    for (modality, found) in answer["statistics"].as_object().into_iter().flatten() {
        for (band, name) in found["bands"].as_array().into_iter().flatten().enumerate() {
            let number = |field: &str| found[field][band].as_f64().unwrap_or_default();
            text.push_str(&format!(
                "{modality:3} {:6} mean {:12.4}  std {:12.4}  min {:12.4}  max {:12.4}  pixels {}\n",
                name.as_str().unwrap_or_default(),
                number("mean"),
                number("std"),
                number("min"),
                number("max"),
                found["count"][band]
            ));
        }
    }
    text
}
