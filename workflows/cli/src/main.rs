//! The `skysense` command: checks, plans and runs workflows, and reaches everything geospatial through
//! plugins.
//!
//! | file | holds |
//! | --- | --- |
//! | `commands` | one file per subcommand, one table |
//! | `options` | options that every subcommand takes, and values with a syntax of their own |
//! | `context` | what a subcommand works with: output, plugins, the switch that ends it |
//! | `exit`, `failure` | exit codes, chosen in one place, and how failures are printed |
//! | `signals` | Ctrl-C, SIGTERM, a parent that goes away |
//! | `progress`, `log` | progress bars, the log, and both as JSON lines |
//! | `together` | several processes that do one run, and starting them on this host |
//! | `host` | what tools of plugins see of this program |
//! | `reference` | generated references |

mod commands;
mod context;
mod exit;
mod failure;
mod host;
mod log;
mod options;
mod output;
mod progress;
mod reference;
mod signals;
mod together;

use std::process::ExitCode;

use clap::FromArgMatches;

use context::Context;
use exit::Exit;
use failure::Failure;
use options::Options;

fn main() -> ExitCode {
    let matches = match commands::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            if !error.use_stderr() {
                // Help and versions go to stdout.
                let _ = error.print();
                return Exit::Ok.into();
            }
            // What is wrong may be any option, so whether JSON was asked for has to be seen without them.
            let arguments: Vec<_> = std::env::args_os().collect();
            let pair = |pair: &[std::ffi::OsString]| pair[0] == "--progress" && pair[1] == "json";
            let lines = arguments.windows(2).any(pair) || arguments.iter().any(|one| one == "--progress=json");
            let text = error.render().to_string();
            let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let failure = Failure::usage(message);
            if lines {
                output::speak_lines();
                output::line(&failure.to_event());
            } else {
                let _ = error.print();
            }
            if arguments.iter().any(|argument| argument == "--json") {
                let _ = output::json(&failure.to_json());
            }
            return Exit::Usage.into();
        }
    };
    let options = match Options::from_arg_matches(&matches) {
        Ok(options) => options,
        Err(error) => {
            let _ = error.print();
            return Exit::Usage.into();
        }
    };
    let context = Context::new(options);
    signals::watch(context.cancel.clone(), context.options.with_parent);
    match commands::dispatch(&matches, &context) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.print(context.options.json).into(),
    }
}
