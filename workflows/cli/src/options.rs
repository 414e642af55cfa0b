//! Options that every subcommand takes, and values with a syntax of their own.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of every subcommand.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Answer as one JSON object on stdout
    #[arg(long, global = true, help_heading = "Every command")]
    pub(crate) json: bool,
    /// How progress is shown on stderr
    #[arg(long, global = true, value_name = "HOW", default_value = "auto", help_heading = "Every command")]
    pub(crate) progress: ProgressMode,
    /// Say more on stderr; twice for all
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Every command")]
    pub(crate) verbose: u8,
    /// End when stdin closes, so that nothing is left running when the program that started this one goes away
    #[arg(long, global = true, help_heading = "Every command")]
    pub(crate) with_parent: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, else as plain
    Auto,
    /// Bars, and below them the losses and the speed of what trains
    Bar,
    /// A line every half minute of what takes longer
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing
    None,
}

/// Values for the params of a workflow.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ParamOptions {
    /// Set a param of the workflow; relative paths start where you stand
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,
}

/// Limits of a run.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LimitOptions {
    /// Most memory to hold, like 4GiB or 800MB; three quarters of the machine's if left out
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub(crate) memory: Option<u64>,
    /// How many processors to use; all if left out
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
}

/// Where runs are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunsOptions {
    /// Folder in which runs are kept
    #[arg(long, value_name = "FOLDER", env = "SKYSENSE_RUNS", default_value = ".skysense/runs")]
    pub(crate) runs_dir: PathBuf,
}

/// Devices that nodes may use.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeviceOptions {
    /// Device for models, like cpu, cuda or cuda:1; more than one with commas. A device that is asked for and
    /// is not there is an error
    #[arg(long = "device", value_name = "DEVICE", value_delimiter = ',', default_value = "auto")]
    pub(crate) devices: Vec<String>,
}

pub(crate) fn parse_param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn parse_threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=4096) => Ok(count),
        _ => Err("a whole number from 1 to 4096".to_owned()),
    }
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    skysense_engine::parse_size(text).ok_or_else(|| "a size like 4GiB, 800MB or 1048576".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_keep_what_follows_the_first_sign() {
        assert_eq!(parse_param("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(parse_param("a="), Ok(("a".to_owned(), String::new())));
        assert!(parse_param("=b").is_err() && parse_param("a").is_err());
    }
}
