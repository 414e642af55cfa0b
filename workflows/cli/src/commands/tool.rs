//! `skysense tool`: any tool of any plugin.

use std::{
    io::BufRead,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Map, Value, json};
use skysense_engine::NodeSpec;

use super::{Subcommand, runs::outline};
use crate::{context::Context, exit::Exit, failure::Failure, options::parse_param, output};

/// Options of `tool`.
#[derive(Debug, Args)]
pub(crate) struct Tool {
    /// Name of the tool; all are listed if left out
    name: Option<String>,
    /// Arguments as NAME=VALUE, where a value is JSON or else text; or one JSON object; or @FILE with one,
    /// @- for stdin. `$name` as a whole value of FILE is what `-p` gives it
    arguments: Vec<String>,
    /// Give the tool this workflow, checked and with its params filled in, as the argument `workflow`
    #[arg(long, value_name = "FILE")]
    workflow: Option<PathBuf>,
    /// Set a param of the workflow, or `$name` of @FILE to a value that is JSON or else text
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", value_parser = parse_param)]
    params: Vec<(String, String)>,
    /// Answer calls line by line until stdin closes
    #[arg(long, hide = true, conflicts_with_all = ["name", "workflow", "params"])]
    serve: bool,
}

impl Subcommand for Tool {
    const NAME: &'static str = "tool";
    const ABOUT: &'static str = "Call a tool of a plugin, or list the tools";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        if self.serve {
            return serve(context);
        }
        let Some(name) = self.name else {
            let tools: Vec<_> = context.plugins().plugins().iter().flat_map(|plugin| plugin.tools()).collect();
            let width = tools.iter().map(|tool| tool.name.len()).max().unwrap_or_default();
            context.answer(&json!({"tools": tools}), || {
                tools.iter().map(|tool| format!("{:width$}  {}\n", tool.name, tool.summary)).collect()
            })?;
            return Ok(Exit::Ok);
        };
        let mut given = arguments(&self.arguments, if self.workflow.is_some() { &[] } else { &self.params })?;
        if let Some(file) = &self.workflow {
            let spec = context.spec(file, &self.params, false)?;
            let node = |node: &NodeSpec| json!({"name": node.name, "uses": node.uses, "settings": node.settings, "inputs": node.inputs});
            let nodes: Vec<Value> = spec.nodes.iter().map(node).collect();
            given.insert("workflow".into(), json!({"folder": spec.folder, "nodes": nodes}));
        }
        let answer = context.call(&name, &Value::Object(given))?;
        context.answer(&answer, || outline(&answer, 0))?;
        Ok(Exit::Ok)
    }
}

/// Answers calls as they come, one JSON object a line, so that a plugin is loaded once for many of them.
fn serve(context: &Context) -> Result<Exit, Failure> {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let answer = match serde_json::from_str::<Value>(&line) {
            Err(error) => Err(Failure::usage("the call is no JSON").because(error)),
            Ok(call) => context.call(call["tool"].as_str().unwrap_or_default(), &call["arguments"]),
        };
        match answer {
            Ok(answer) => output::json(&json!({"answer": answer}))?,
            Err(failure) => output::json(&failure.to_json())?,
        }
    }
    Ok(Exit::Ok)
}

/// Arguments as one JSON object; `params` are for the references of a file.
fn arguments(texts: &[String], params: &[(String, String)]) -> Result<Map<String, Value>, Failure> {
    if let [text] = texts {
        let no_object = |error| Failure::usage("the arguments are no JSON object").because(error);
        if let Some(file) = text.strip_prefix('@') {
            let object: Map<String, Value> = serde_json::from_str(&read(file)?).map_err(no_object)?;
            return fill(object, params);
        }
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(no_object);
        }
    }
    let mut all = Map::new();
    for text in texts {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::usage(format!("`{text}` is no argument")).hint("write it as NAME=VALUE"));
        };
        all.insert(name.to_owned(), value_of(value));
    }
    Ok(all)
}

/// JSON, or else text.
fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// Fills in the references of a file, which are whole values as in a workflow; `$$` begins a text with one `$`.
fn fill(object: Map<String, Value>, params: &[(String, String)]) -> Result<Map<String, Value>, Failure> {
    fn walk(value: Value, params: &[(String, String)], used: &mut Vec<String>) -> Result<Value, Failure> {
        Ok(match value {
            Value::Array(items) => items.into_iter().map(|item| walk(item, params, used)).collect::<Result<_, _>>()?,
            Value::Object(fields) => {
                let field = |(name, value)| Ok((name, walk(value, params, used)?));
                Value::Object(fields.into_iter().map(field).collect::<Result<_, Failure>>()?)
            }
            Value::String(text) => match text.strip_prefix('$') {
                None => Value::String(text),
                Some(plain) if plain.starts_with('$') => json!(plain),
                Some(name) => {
                    used.push(name.to_owned());
                    let given = params.iter().rev().find(|(given, _)| given == name);
                    let unset = || Failure::usage(format!("`${name}` of the file has no value"));
                    let hint = || format!("give it one with `-p {name}=…`, or write `$${name}` for text");
                    value_of(&given.ok_or_else(|| unset().hint(hint()))?.1)
                }
            },
            other => other,
        })
    }
    let mut used = Vec::new();
    let filled = object.into_iter().map(|(name, value)| Ok((name, walk(value, params, &mut used)?)));
    let filled = filled.collect::<Result<_, Failure>>()?;
    known(params, &used)?;
    Ok(filled)
}

/// A value that nothing refers to is a slip of the pen.
fn known(params: &[(String, String)], used: &[String]) -> Result<(), Failure> {
    match params.iter().find(|(name, _)| !used.contains(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let failure = Failure::usage(format!("`-p {name}=…`: nothing refers to `${name}`"));
            Err(failure.hint("`-p` fills in @FILE or the params of --workflow"))
        }
    }
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
        let arguments = |given: &[&str]| arguments(&texts(given), &[]).map(Value::Object);
        let found = arguments(&["item=out/item.json", "count=3", "list=[1,2]", "path=a=b"]).expect("arguments");
        assert_eq!(found, json!({"item": "out/item.json", "count": 3, "list": [1, 2], "path": "a=b"}));
        assert_eq!(arguments(&["{\"a\": \"$b\"}"]).expect("arguments"), json!({"a": "$b"}));
        assert!(arguments(&["a"]).is_err() && arguments(&["{a"]).is_err());
    }

    #[test]
    fn a_file_takes_its_references_from_params() {
        let object = json!({"out": "$out", "list": [{"bbox": "$bbox"}, "$$out", 1], "text": "a $out"});
        let params = |given: &[(&str, &str)]| -> Vec<(String, String)> {
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let fill = |given: &[(&str, &str)]| fill(object.as_object().expect("an object").clone(), &params(given));
        let quoted = "/a \"b\" $c/d.png";
        let filled = fill(&[("out", quoted), ("bbox", "[1,2]")]).expect("filled");
        let expected = json!({"out": quoted, "list": [{"bbox": [1, 2]}, "$out", 1], "text": "a $out"});
        assert_eq!(Value::Object(filled), expected);
        assert!(fill(&[("out", quoted)]).is_err(), "bbox has no value");
        assert!(fill(&[("out", quoted), ("bbox", "[]"), ("more", "1")]).is_err(), "nothing refers to more");
    }
}
