//! `hand`: only when somebody asks for it.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Kind, Problem, RunRule, Source, Trigger, group::Group, select::Select};

/// Settings of `hand`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Which items are wanted of those that are named.
    #[serde(default)]
    select: Select,
    /// How they are gathered.
    #[serde(default)]
    group: Group,
    /// What the run is given.
    #[serde(default)]
    run: RunRule,
}

pub(crate) struct ByHand;

impl Kind for ByHand {
    const NAME: &'static str = "hand";
    const SUMMARY: &'static str = "Runs when somebody fires it with items";
    const DOC: &'static str = "`skysense trigger fire` fires any trigger; one of this type never fires by itself.";
    const EXAMPLE: &'static str = "\
chosen: {uses: hand, with: {run: {items: catalog, out: out}}}
";
    type Settings = Settings;

    fn make(settings: Settings, folder: &Path) -> Result<Trigger, Problem> {
        let select = settings.select.matcher("/select", folder)?;
        let group = settings.group.grouping(select.collections())?;
        settings.run.complete(group.rule())?;
        Ok(Trigger { source: Box::new(Hand), select, group, run: settings.run })
    }
}

struct Hand;

impl Source for Hand {}
