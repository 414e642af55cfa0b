//! How events are gathered before they run.

use chrono::Datelike;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use skysense_catalog::{Item, solar_day};

use super::{Problem, duration::Span, found::subject};
use crate::{GroupRule, Late, OnTimeout};

/// Settings under `group`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Group {
    /// What runs together: each `item` alone, those of a `day`, `week` or `month` of the sun where they lie, `all` that
    /// come in a while, or those with the same properties (`[grid:code, sat:relative_orbit]`, together with a period
    /// if one of the words is in the list).
    by: By,
    /// Collections of which something has to be there.
    needs: Vec<String>,
    /// How long nothing new may have come before a group runs, as `10m`.
    settle: Span,
    /// How long a group waits at most, as `14d`, counted from its first event.
    timeout: Option<Span>,
    /// What becomes of a group that waited in vain for what it needs.
    on_timeout: OnTimeout,
    /// With so many events a group runs at once.
    #[schemars(range(min = 1))]
    most: Option<u32>,
    /// What becomes of what comes after its group ran: the group runs again with `all`, or it runs `alone`.
    late: Late,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            by: By::One("item".into()),
            needs: Vec::new(),
            settle: Span(0),
            timeout: None,
            on_timeout: OnTimeout::default(),
            most: None,
            late: Late::default(),
        }
    }
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum By {
    One(String),
    Many(Vec<String>),
}

/// The same, ready to give keys.
#[derive(Debug, Clone)]
pub(crate) struct Grouping {
    by: Vec<Part>,
    rule: GroupRule,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Item,
    Day,
    Week,
    Month,
    All,
    Property(String),
}

impl Group {
    /// Reads what a schema cannot check.
    pub(crate) fn grouping(&self, collections: &[String]) -> Result<Grouping, Problem> {
        let words = match &self.by {
            By::One(word) => std::slice::from_ref(word),
            By::Many(words) => words.as_slice(),
        };
        let part = |word: &String| match word.as_str() {
            "item" => Part::Item,
            "day" => Part::Day,
            "week" => Part::Week,
            "month" => Part::Month,
            "all" => Part::All,
            name => Part::Property(name.strip_prefix("properties.").unwrap_or(name).to_owned()),
        };
        let by: Vec<Part> = words.iter().map(part).collect();
        if by.is_empty() {
            return Err(
                Problem::new("/group/by", "a group is made by something").expected("`item`, `week`, a property, …")
            );
        }
        if by.contains(&Part::Item) && (by.len() > 1 || self.needs.len() > 1) {
            let message = "with `by: item` every item runs alone, and nothing else can be waited for";
            return Err(Problem::new("/group/by", message).expected("`day`, `week`, `month`, `all` or properties"));
        }
        if let Some(unknown) = self.needs.iter().position(|need| !collections.is_empty() && !collections.contains(need))
        {
            let message = format!("`{}` is needed and never taken", self.needs[unknown]);
            return Err(
                Problem::new(format!("/group/needs/{unknown}"), message).expected("one of `select.collections`")
            );
        }
        if !self.needs.is_empty() && self.timeout.is_none() {
            let message = "a group that needs something may wait for ever";
            return Err(Problem::new("/group/needs", message).expected("`timeout` beside it, as `timeout: 14d`"));
        }
        let rule = GroupRule {
            settle: self.settle.0,
            timeout: self.timeout.map(|span| span.0),
            needs: self.needs.clone(),
            most: self.most.unwrap_or(u32::MAX),
            on_timeout: self.on_timeout,
            late: self.late,
            ..GroupRule::default()
        };
        Ok(Grouping { by, rule })
    }
}

impl Grouping {
    /// Everything alone.
    pub(crate) fn alone() -> Self {
        Self { by: vec![Part::Item], rule: GroupRule::default() }
    }

    /// The rule that the state goes by, with what the run's own settings add.
    pub(crate) fn rule(&self) -> GroupRule {
        self.rule.clone()
    }

    /// The group of an item.
    pub(crate) fn key(&self, item: &Item) -> String {
        let day = || {
            let middle = item.bbox().map_or(0.0, |bbox| bbox.center_longitude());
            Some(solar_day(item.interval()?.0, middle))
        };
        let undated = || "undated".to_owned();
        let key = |part: &Part| match part {
            Part::Item => subject(item),
            Part::Day => day().map_or_else(undated, |day| day.to_string()),
            Part::Week => day().map_or_else(undated, |day| {
                let week = day.iso_week();
                format!("{}-W{:02}", week.year(), week.week())
            }),
            Part::Month => day().map_or_else(undated, |day| day.format("%Y-%m").to_string()),
            Part::All => "all".to_owned(),
            Part::Property(name) => match item.property(name) {
                Value::String(text) => text.clone(),
                Value::Null => format!("no {name}"),
                other => other.to_string(),
            },
        };
        self.by.iter().map(key).collect::<Vec<_>>().join(" ")
    }
}
