//! docs/CLI.md.

use std::fmt::Write;

use clap::{Arg, Command};

use super::GENERATED;
use crate::{commands, exit::EXITS};

/// The whole page.
pub(super) fn page() -> String {
    let mut root = commands::command();
    root.build();
    let mut text = format!("{GENERATED}\n\n# The command line\n\n");
    text.push_str(
        "Data goes to stdout, everything else to stderr. With `--json` a command answers with one JSON object on \
         stdout, also when it fails: `{\"ok\": false, \"exit\": …, \"error\" or \"faults\": …}`.\n\n",
    );
    text.push_str("## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for (exit, meaning) in EXITS {
        let _ = writeln!(text, "| {} | {meaning} |", exit.code());
    }
    text.push_str("\n## Options of every command\n\n");
    options(&mut text, root.get_arguments().filter(|arg| !is_help(arg)));
    text.push_str(ENVIRONMENT);
    for command in root.get_subcommands().filter(|command| is_shown(command)) {
        section(&mut text, command, "skysense");
    }
    text
}

const ENVIRONMENT: &str = "
## Environment

| variable | meaning |
| --- | --- |
| SKYSENSE_PLUGIN_PATH | more folders or libraries with plugins, separated as in PATH |
| SKYSENSE_MODEL_PATH | folders in which `skysense model list` looks where none are named, separated as in PATH |
| SKYSENSE_RUNS | folder in which runs are kept, instead of `.skysense/runs` |
| SKYSENSE_LOG | what is logged to stderr, like `info` or `skysense_engine=debug`; overrides `--verbose` |
| SKYSENSE_SECRET_NAME | the secret `${secret:NAME}` of a workflow |
| SKYSENSE_SECRETS | a folder with one file for each secret |
| ORT_DYLIB_PATH | the ONNX Runtime library |
";

fn section(text: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    if command.get_subcommands().any(is_shown) {
        let _ = writeln!(text, "\n## {name}\n\n{}.", command.get_about().map(ToString::to_string).unwrap_or_default());
        for below in command.get_subcommands().filter(|command| is_shown(command)) {
            section(text, below, &name);
        }
        return;
    }
    let level = if parent.contains(' ') { "###" } else { "##" };
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    // A one-line text has no full stop in help; in prose it gets one.
    let about = about.replacen("\n\n", ".\n\n", 1);
    let stop = if about.ends_with('.') { "" } else { "." };
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let _ = writeln!(text, "\n{level} {name}\n\n{about}{stop}\n\n```\n{usage}\n```\n");
    options(text, command.get_arguments().filter(|arg| !arg.is_global_set() && !is_help(arg)));
}

fn options<'a>(text: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let rows: Vec<String> = arguments.map(row).collect();
    if !rows.is_empty() {
        text.push_str("| option | meaning |\n| --- | --- |\n");
        text.extend(rows);
    }
}

fn row(arg: &Arg) -> String {
    let mut names: Vec<String> = Vec::new();
    names.extend(arg.get_short().map(|short| format!("-{short}")));
    names.extend(arg.get_long().map(|long| format!("--{long}")));
    let takes_value = arg.get_action().takes_values();
    let value = arg.get_value_names().unwrap_or_default().join(" ");
    let name = match (names.is_empty(), takes_value) {
        (true, _) => value,
        (false, true) => format!("{} {value}", names.join(", ")),
        (false, false) => names.join(", "),
    };
    let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let possible: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| takes_value)
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({help})", value.get_name()),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if !possible.is_empty() {
        let _ = write!(meaning, ": {}", possible.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if takes_value && !defaults.is_empty() {
        let _ = write!(meaning, "; default `{}`", defaults.join(","));
    }
    format!("| `{name}` | {} |\n", meaning.replace('|', "\\|").replace('\n', " "))
}

fn is_shown(command: &Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

fn is_help(arg: &Arg) -> bool {
    ["help", "version"].contains(&arg.get_id().as_str())
}
