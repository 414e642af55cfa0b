//! Exit codes. Every way out of this program is one of these.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked for; inputs that a policy left out are in the report.
    Ok,
    /// The workflow is wrong, or what was to be checked does not hold.
    Workflow,
    /// The command line is wrong.
    Usage,
    /// Input is missing, broken or unreachable: a catalog, an item, an asset, a model, a run.
    Data,
    /// The machine lacks something: memory, disk, permission, a device, a plugin.
    Resources,
    /// A fault of skysense or of a plugin.
    Internal,
    /// Ended by Ctrl-C, SIGTERM, or because the parent went away.
    Cancelled,
}

/// Every code with its meaning, for the docs.
pub(crate) const EXITS: &[(Exit, &str)] = &[
    (Exit::Ok, "done; inputs that a policy left out are named in the report"),
    (Exit::Workflow, "the workflow is wrong, or what was checked does not hold (`fmt --check`, `verify`)"),
    (Exit::Usage, "the command line is wrong"),
    (Exit::Data, "input is missing, broken or unreachable: a catalog, item, asset, model or run"),
    (Exit::Resources, "the machine lacks something: memory, disk, permission, a device, a plugin"),
    (Exit::Internal, "a fault of skysense or of a plugin: please report it"),
    (Exit::Cancelled, "ended by Ctrl-C, SIGTERM, or because the parent went away"),
];

impl Exit {
    /// The code itself.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Workflow => 1,
            Exit::Usage => 2,
            Exit::Data => 3,
            Exit::Resources => 4,
            Exit::Internal => 5,
            Exit::Cancelled => 130,
        }
    }

    /// The exit of an error of a node or a tool, by the dotted words of its code.
    pub(crate) fn of_code(code: &str) -> Self {
        const RESOURCES: &[&str] =
            &["memory", "disk", "full", "permission", "device", "space", "ort", "runtime", "tool", "write", "scratch"];
        const INTERNAL: &[&str] =
            &["panic", "internal", "plugin", "host", "arrow", "edge", "facts", "plan", "spool", "abi"];
        // Output that is there already is the author's to replace, append to, or write elsewhere.
        const WORKFLOW: &[&str] = &["setting", "settings", "arguments", "workflow", "target", "exists"];
        let mut words = code.split('.');
        let has = |known: &[&str]| code.split('.').any(|word| known.contains(&word));
        match words.next() {
            Some("cancelled") => Exit::Cancelled,
            _ if has(RESOURCES) => Exit::Resources,
            _ if has(WORKFLOW) => Exit::Workflow,
            _ if has(INTERNAL) => Exit::Internal,
            _ => Exit::Data,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_who_can_mend_them() {
        for (code, exit) in [
            ("read.truncated", Exit::Data),
            ("catalog.http", Exit::Data),
            ("memory.exceeded", Exit::Resources),
            ("device.missing", Exit::Resources),
            ("output.exists", Exit::Workflow),
            ("settings.crs", Exit::Workflow),
            ("runtime.threads", Exit::Resources),
            ("disk.run-folder", Exit::Resources),
            ("raster.write", Exit::Resources),
            ("settings.invalid", Exit::Workflow),
            ("facts.invalid", Exit::Internal),
            ("panic", Exit::Internal),
            ("plugin.broken", Exit::Internal),
            ("cancelled", Exit::Cancelled),
            ("something.new", Exit::Data),
        ] {
            assert_eq!(Exit::of_code(code), exit, "{code}");
        }
    }

    #[test]
    fn the_table_for_the_docs_is_whole() {
        let mut codes: Vec<u8> = EXITS.iter().map(|(exit, _)| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 130]);
    }
}
