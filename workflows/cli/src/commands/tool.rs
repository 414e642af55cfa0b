//! `skysense tool`: any tool of any plugin.

use std::path::Path;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Subcommand, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure};

/// Options of `tool`.
#[derive(Debug, Args)]
pub(crate) struct Tool {
    /// Name of the tool; all are listed if left out
    name: Option<String>,
    /// Arguments as NAME=VALUE, where a value is JSON or else text; or one JSON object; or @FILE with one,
    /// @- for stdin
    arguments: Vec<String>,
}

impl Subcommand for Tool {
    const NAME: &'static str = "tool";
    const ABOUT: &'static str = "Call a tool of a plugin, or list the tools";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Some(name) = self.name else {
            let tools: Vec<_> = context.plugins().plugins().iter().flat_map(|plugin| plugin.tools()).collect();
            let width = tools.iter().map(|tool| tool.name.len()).max().unwrap_or_default();
            context.answer(&json!({"tools": tools}), || {
                tools.iter().map(|tool| format!("{:width$}  {}\n", tool.name, tool.summary)).collect()
            })?;
            return Ok(Exit::Ok);
        };
        let answer = context.call(&name, &arguments(&self.arguments)?)?;
        context.answer(&answer, || outline(&answer, 0))?;
        Ok(Exit::Ok)
    }
}

/// Arguments as one JSON object.
fn arguments(texts: &[String]) -> Result<Value, Failure> {
    if let [text] = texts {
        let file = text.strip_prefix('@').map(read).transpose()?;
        let whole = file.as_deref().or(text.trim_start().starts_with('{').then_some(text.as_str()));
        if let Some(whole) = whole {
            let parsed: Result<Map<String, Value>, _> = serde_json::from_str(whole);
            let parsed = parsed.map(Value::Object);
            return parsed.map_err(|error| Failure::usage("the arguments are no JSON object").because(error));
        }
    }
    let mut all = Map::new();
    for text in texts {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::usage(format!("`{text}` is no argument")).hint("write it as NAME=VALUE"));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        all.insert(name.to_owned(), value);
    }
    Ok(Value::Object(all))
}

fn read(file: &str) -> Result<String, Failure> {
    let text = match file {
        "-" => std::io::read_to_string(std::io::stdin()),
        file => std::fs::read_to_string(file),
    };
    text.map_err(|error| Failure::file("read", Path::new(file), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_json_or_text() {
        let texts = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        let found = arguments(&texts(&["item=out/item.json", "count=3", "list=[1,2]", "path=a=b"])).expect("arguments");
        assert_eq!(found, json!({"item": "out/item.json", "count": 3, "list": [1, 2], "path": "a=b"}));
        assert_eq!(arguments(&texts(&["{\"a\": 1}"])).expect("arguments"), json!({"a": 1}));
        assert!(arguments(&texts(&["a"])).is_err() && arguments(&texts(&["{a"])).is_err());
    }
}
