//! From a file to a checked workflow: all steps in order, all mistakes at once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};
use skysense_address::unsigned_text;

use super::{
    canonical, declared,
    document::{Document, Reader, TriggerDecl},
    fault::{Fault, Faults},
    graph,
    node_type::NodeTypes,
    param::{ParamDecl, to_json},
    parse::parse,
    path::{absolute, absolute_settings},
    resolved::{NodeSpec, Spec, TriggerSpec},
    settings,
    source::{Source, Span},
    suggest, uri,
    value::{Bound, Filled, Filler, Params, ProcessSurroundings, Surroundings},
    yaml::{Value, Yaml, token},
};

/// What stands outside the file: values for params, and where references are looked up.
pub struct Bindings<'a> {
    /// Values of `-p name=value`, later ones win.
    pub params: &'a [(String, String)],
    /// Where relative paths in these values start: the folder that the user stands in.
    pub folder: PathBuf,
    /// Where `${env:NAME}` and `${secret:NAME}` are looked up.
    pub surroundings: &'a dyn Surroundings,
    /// Whether a param that is used and has no value is a mistake: yes for `plan` and `run`; `check`
    /// leaves such settings out of its judgement.
    pub require: bool,
}

impl<'a> Bindings<'a> {
    /// Bindings of this process: its folder and its environment.
    pub fn of_process(params: &'a [(String, String)]) -> Self {
        let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self { params, folder, surroundings: &ProcessSurroundings, require: true }
    }

    /// The same, but params may stay without a value.
    pub fn open(self) -> Self {
        Self { require: false, ..self }
    }
}

impl Spec {
    /// Reads and checks a workflow file.
    ///
    /// # Errors
    /// Every mistake in the file, in its order, each with its place.
    pub fn load(path: &Path, types: &NodeTypes, bindings: &Bindings<'_>) -> Result<Self, Faults> {
        Self::from_source(&Source::read(path)?, types, bindings)
    }

    /// Checks a workflow whose text is at hand.
    ///
    /// # Errors
    /// Every mistake in the text, in its order, each with its place.
    pub fn from_source(source: &Source, types: &NodeTypes, bindings: &Bindings<'_>) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let Some(parsed) = parse(source, &mut faults) else { return Err(faults) };
        let mut reader = Reader { source, faults: &mut faults };
        let document = reader.document(&parsed.root);
        let params = bind(&document.params, bindings, &mut reader);
        // Where a value was given and there is none, it was refused.
        let given = |name: &String| bindings.params.iter().any(|(given, _)| given == name);
        let defaults = |name: &String| document.params.iter().any(|p| p.name.name == *name && p.default.is_some());
        let refused: Vec<String> = params
            .iter()
            .filter(|(name, value)| value.is_none() && (given(name) || defaults(name)))
            .map(|(name, _)| name.clone())
            .collect();
        let spec = resolve(document, (&params, &refused), (types, bindings), &mut reader);
        if faults.is_empty() { Ok(spec) } else { Err(faults.sorted()) }
    }
}

/// The values of all params.
fn bind(declared: &[ParamDecl], bindings: &Bindings<'_>, reader: &mut Reader<'_>) -> Params {
    let names = || declared.iter().map(|param| param.name.name.as_str());
    for (name, _) in bindings.params {
        if !names().any(|known| known == name) {
            let fault = Fault::new("unknown-param", format!("`-p {name}=…`: this workflow has no param `{name}`"));
            let fault = fault.expected(suggest::listed(names())).hint_if(suggest::did_you_mean(name, names()));
            reader.faults.push(fault);
        }
    }
    declared.iter().map(|param| (param.name.name.clone(), value_of(param, bindings, reader))).collect()
}

fn value_of(param: &ParamDecl, bindings: &Bindings<'_>, reader: &mut Reader<'_>) -> Option<Bound> {
    let name = &param.name.name;
    let given = bindings.params.iter().rev().find(|(given, _)| given == name).map(|(_, text)| text);
    if let Some(text) = given {
        return match param.parse(text) {
            Ok(value) => Some(bound(param, value, &bindings.folder)),
            Err(expected) => {
                let fault = Fault::new("type", format!("`-p {name}=…` does not fit the type of the param"));
                let found = format!("`{}`", unsigned_text(text));
                reader.faults.push(fault.expected(expected).found(found).hint_if(param.doc.as_ref()));
                None
            }
        };
    }
    let default = param.default.as_ref()?;
    let Value::Text(text) = &default.value else {
        return Some(bound(param, to_json(default), &reader.source.folder()));
    };
    if !text.starts_with('$') {
        return Some(bound(param, json!(text), &reader.source.folder()));
    }
    // A default may refer to the environment, and not to other params, so that their order means nothing.
    let filler = Filler { params: &Params::new(), surroundings: bindings.surroundings, require: true, refused: &[] };
    let filled = filler.text(text, default, reader)?;
    let looked_up = filled.value.as_str().unwrap_or_default();
    match param.parse(looked_up) {
        Ok(value) => {
            let secret = filled.public.as_str().and_then(|text| text.strip_prefix("${secret:")?.strip_suffix('}'));
            Some(Bound { secret: secret.map(str::to_owned), ..bound(param, value, &bindings.folder) })
        }
        Err(expected) => {
            let noted = reader.note("type", format!("{text} does not fit the type of param `{name}`"), default.span);
            noted.with(|fault| fault.expected(expected)).push(reader);
            None
        }
    }
}

/// A value with paths resolved.
fn bound(param: &ParamDecl, value: Json, folder: &Path) -> Bound {
    match &value {
        Json::String(text) if param.is_path() => {
            let path = absolute(text, folder);
            // Where files lie on this machine is not part of what the workflow is.
            let local = !path.contains("://");
            let written = if local { json!(format!("${}", param.name.name)) } else { value.clone() };
            Bound { value: json!(path), written, secret: None }
        }
        _ => Bound { written: value.clone(), value, secret: None },
    }
}

fn resolve(
    document: Document,
    (params, refused): (&Params, &[String]),
    (types, bindings): (&NodeTypes, &Bindings<'_>),
    reader: &mut Reader<'_>,
) -> Spec {
    let filler = Filler { params, surroundings: bindings.surroundings, require: bindings.require, refused };
    let edges = graph::link(&document.nodes, types, reader);
    let order = graph::order(&document.nodes, &edges, reader);
    let folder = reader.source.folder();
    let declared = declared::params(&document);
    let mut canonical_nodes = Vec::new();
    let mut nodes: Vec<Option<NodeSpec>> = Vec::new();
    let mut places = BTreeMap::new();
    for node in &document.nodes {
        let mut filled = filler.fill(&node.with, reader);
        // What is shown, stored and hashed names places, and not how one gets in there.
        uri::close(&mut filled.public);
        uri::close(&mut filled.written);
        if let Some(kind) = types.get(&node.uses) {
            settings::check(node, kind, &filled, reader);
            absolute_settings(&mut filled.value, &kind.settings, &kind.settings, &folder);
            absolute_settings(&mut filled.public, &kind.settings, &kind.settings, &folder);
            canonical::drop_execution(&mut filled.written, &kind.settings);
        }
        let inputs = edges.get(&node.name.name).cloned().unwrap_or_default();
        let Filled { value, public, written, .. } = filled;
        canonical_nodes.push((node.name.name.clone(), canonical::node(&node.uses, &inputs, written)));
        places.insert(node.name.name.clone(), places_of(&node.with, node.name.span));
        nodes.push(Some(NodeSpec {
            name: node.name.name.clone(),
            uses: node.uses.clone(),
            settings: value,
            public_settings: public,
            inputs,
        }));
    }
    let mut triggers = Vec::new();
    for trigger in &document.triggers {
        places.insert(trigger_key(&trigger.name.name), places_of(&trigger.with, trigger.name.span));
        triggers.push(resolve_trigger(trigger, (&filler, types), &folder, reader));
    }
    let canonical = canonical::workflow(canonical_nodes);
    let value = |(name, bound): (&String, &Option<Bound>)| {
        let bound = bound.as_ref()?;
        let shown = bound.secret.as_ref().map(|secret| json!(format!("${{secret:{secret}}}")));
        let mut shown = shown.unwrap_or_else(|| bound.value.clone());
        uri::close(&mut shown);
        Some((name.clone(), shown))
    };
    let stem = reader.source.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Spec {
        name: document.name.or(stem).unwrap_or_default(),
        doc: document.doc.unwrap_or_default(),
        file: reader.source.path().to_path_buf(),
        folder,
        params: params.iter().filter_map(value).collect(),
        declared,
        nodes: order.into_iter().filter_map(|at| nodes[at].take()).collect(),
        triggers,
        hash: canonical::hash(&canonical),
        canonical,
        places,
        source: reader.source.clone(),
    }
}

/// A trigger with its references filled in, checked where its type is known.
fn resolve_trigger(
    trigger: &TriggerDecl,
    (filler, types): (&Filler<'_>, &NodeTypes),
    folder: &Path,
    reader: &mut Reader<'_>,
) -> TriggerSpec {
    let mut filled = filler.fill(&trigger.with, reader);
    uri::close(&mut filled.public);
    match types.trigger(&trigger.uses) {
        Some(kind) => {
            settings::check_trigger(trigger, kind, &filled, reader);
            absolute_settings(&mut filled.value, &kind.settings, &kind.settings, folder);
            absolute_settings(&mut filled.public, &kind.settings, &kind.settings, folder);
        }
        None if types.triggers().next().is_some() && !trigger.uses.is_empty() => {
            let names = || types.triggers().map(|kind| kind.name.as_str());
            let noted =
                reader.note("unknown-type", format!("no trigger is called `{}`", trigger.uses), trigger.uses_span);
            let hint = suggest::did_you_mean(&trigger.uses, names());
            noted
                .with(|fault| fault.trigger(&trigger.name.name).expected(suggest::listed(names())).hint_if(hint))
                .push(reader);
        }
        None => {}
    }
    TriggerSpec {
        name: trigger.name.name.clone(),
        uses: trigger.uses.clone(),
        with: filled.public,
        settings: filled.value,
    }
}

/// Under what name the places of a trigger are kept beside those of nodes, whose names hold no `/`.
pub(super) fn trigger_key(name: &str) -> String {
    format!("triggers/{name}")
}

/// The spans of a node or trigger and of all its settings, by JSON Pointer.
fn places_of(with: &Yaml, name: Span) -> BTreeMap<String, Span> {
    fn walk(yaml: &Yaml, pointer: &str, places: &mut BTreeMap<String, Span>) {
        places.insert(pointer.to_owned(), yaml.span);
        match &yaml.value {
            Value::List(items) => {
                for (position, item) in items.iter().enumerate() {
                    walk(item, &format!("{pointer}/{position}"), places);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    walk(&entry.value, &format!("{pointer}/{}", token(&entry.key.name)), places);
                }
            }
            _ => {}
        }
    }
    let mut places = BTreeMap::new();
    walk(with, "", &mut places);
    places.insert(String::new(), name);
    places
}
