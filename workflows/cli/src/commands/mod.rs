//! The subcommands: one file each, one table.

mod check;
mod data;
mod docs;
mod doctor;
mod fmt;
mod gdal;
mod graph;
mod init;
mod model;
mod model_cost;
mod model_reduce;
mod nodes;
mod plan;
mod qgis;
mod run;
mod runs;
mod schema;
mod serve;
mod simulate;
mod tool;
mod trigger;
mod verify;

use std::{convert::Infallible, path::PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::{context::Context, exit::Exit, failure::Failure, options::Options};

/// A subcommand: its options are its fields.
pub(crate) trait Subcommand: Args + FromArgMatches {
    /// Name on the command line.
    const NAME: &'static str;
    /// What it does, in one line.
    const ABOUT: &'static str;
    /// What to know beyond that; may be empty.
    const DETAILS: &'static str = "";
    /// Whether it is left out of help and references.
    const HIDDEN: bool = false;

    /// Does it.
    fn run(self, context: &Context) -> Result<Exit, Failure>;
}

/// A path that a plugin can be told: text. Options that take it refuse other bytes by name.
#[expect(clippy::unnecessary_wraps, reason = "a value parser of clap gives a result")]
pub(crate) fn path_text(text: &str) -> Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
}

/// A subcommand in the table.
struct Entry {
    name: &'static str,
    command: fn() -> Command,
    run: fn(&ArgMatches, &Context) -> Result<Exit, Failure>,
}

/// All subcommands, in the order of help.
const COMMANDS: &[Entry] = &[
    entry::<run::Run>(),
    entry::<check::Check>(),
    entry::<plan::Plan>(),
    entry::<init::Init>(),
    entry::<fmt::Fmt>(),
    entry::<graph::Graph>(),
    entry::<nodes::Nodes>(),
    entry::<schema::Schema>(),
    entry::<runs::Runs>(),
    entry::<serve::Serve>(),
    entry::<trigger::Trigger>(),
    entry::<simulate::Simulate>(),
    entry::<verify::Verify>(),
    entry::<model::Model>(),
    entry::<qgis::Qgis>(),
    entry::<gdal::Gdal>(),
    entry::<data::Data>(),
    entry::<doctor::Doctor>(),
    entry::<tool::Tool>(),
    entry::<docs::Docs>(),
];

const fn entry<C: Subcommand>() -> Entry {
    Entry {
        name: C::NAME,
        command: || {
            // Doc comments of flattened options would take the place of the text here, so it comes last.
            let command = C::augment_args(Command::new(C::NAME)).about(C::ABOUT).hide(C::HIDDEN);
            match C::DETAILS {
                "" => command.long_about(None::<&str>),
                details => command.long_about(format!("{}\n\n{details}", C::ABOUT)),
            }
        },
        run: |matches, context| {
            let command = C::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))?;
            command.run(context)
        },
    }
}

/// The whole command line.
pub(crate) fn command() -> Command {
    Options::augment_args(Command::new("skysense"))
        .about("Workflows from STAC catalogs through the SkySense model to maps")
        .long_about(None::<&str>)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .subcommands(COMMANDS.iter().map(|entry| (entry.command)()))
}

/// Runs the subcommand that was named.
pub(crate) fn dispatch(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let named = matches.subcommand();
    let found = named
        .and_then(|(name, matches)| COMMANDS.iter().find(|entry| entry.name == name).map(|entry| (entry.run, matches)));
    match found {
        Some((run, matches)) => run(matches, context),
        None => Err(Failure::usage("no command was named").hint("`skysense --help` lists them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
