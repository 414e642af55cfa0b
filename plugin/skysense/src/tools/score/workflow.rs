//! What a workflow says about the map that it writes: where it is, what the model learned from, and from which pixels.
//! Taken from there, a score cannot drift from the map.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use skysense_abi::{About, Host, HostCallbacks, Level, NodeError};

use super::Pixels;
use crate::tools::assets::Place;
use crate::training::Holdout;

/// A workflow with its params filled in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workflow {
    /// Folder that its relative paths start in.
    folder: PathBuf,
    nodes: Vec<WorkflowNode>,
}

/// One of its nodes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WorkflowNode {
    name: String,
    uses: String,
    settings: Value,
    #[serde(default)]
    inputs: Vec<Input>,
}

/// What a port reads.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    port: String,
    from: String,
}

/// What `map.score` needs, as far as the workflow says it.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) prediction: Option<Place>,
    pub(crate) labels: Option<Place>,
    pub(crate) holdout: Option<Holdout>,
    pub(crate) ignore: Vec<u8>,
    pub(crate) pixels: Option<Pixels>,
}

impl Workflow {
    /// The map, its labels, and the pixels that it was made from.
    ///
    /// # Errors
    /// A workflow that writes no class map, or more than one.
    pub(crate) fn facts(&self) -> Result<Facts, NodeError> {
        let maps: Vec<(&WorkflowNode, &WorkflowNode)> = self
            .nodes
            .iter()
            .filter(|node| node.uses == "stac.write")
            .filter_map(|node| Some((node, self.input(node, "maps").filter(|maps| maps.uses == "skysense.segment")?)))
            .collect();
        let [(written, segment)] = maps.as_slice() else {
            let message = format!("{} nodes of the workflow write a class map, expected one", maps.len());
            return Err(NodeError::new("arguments.invalid", message).hint(
                "name a workflow with one stac.write behind skysense.segment, or give `prediction` and `labels`",
            ));
        };
        let href = text(written, "href").unwrap_or_default();
        let prediction = Place {
            href: format!("{}/collection.json", href.trim_end_matches('/')),
            assets: vec!["class".into()],
            ..Place::default()
        };
        let model = self.input(segment, "model").filter(|model| model.uses == "skysense.finetune");
        let chips = self.input(segment, "chips").filter(|chips| chips.uses == "raster.chips");
        // Pixels of two searches are not read again: a rival that saw less than the model would be no rival.
        let chips = chips.filter(|chips| self.input(chips, "also").is_none());
        let search = chips.and_then(|chips| self.input(chips, "items")).filter(|items| items.uses == "stac.search");
        Ok(Facts {
            prediction: Some(prediction),
            labels: model.and_then(|model| self.labels(model)),
            holdout: model.and_then(|model| serde_json::from_value(model.settings["holdout"].clone()).ok()),
            ignore: model
                .and_then(|model| serde_json::from_value(model.settings["ignore"].clone()).ok())
                .unwrap_or_default(),
            pixels: search
                .zip(chips)
                .map(|(search, chips)| Pixels { search: search.settings.clone(), chips: chips.settings.clone() }),
        })
    }

    /// Where the node that trains finds its labels.
    fn labels(&self, model: &WorkflowNode) -> Option<Place> {
        let search = self.input(model, "labels").filter(|labels| labels.uses == "stac.search")?;
        let first = |name: &str| Some(search.settings[name].get(0)?.as_str()?.to_owned());
        Some(Place {
            href: text(search, "href")?.to_owned(),
            collection: first("collections"),
            id: first("ids"),
            bbox: serde_json::from_value(search.settings["bbox"].clone()).ok(),
            datetime: text(search, "datetime").map(str::to_owned),
            assets: text(model, "label_asset").map(str::to_owned).into_iter().collect(),
            ..Place::default()
        })
    }

    /// The node that a port of another reads.
    fn input(&self, node: &WorkflowNode, port: &str) -> Option<&WorkflowNode> {
        let input = node.inputs.iter().find(|input| input.port == port)?;
        self.nodes.iter().find(|node| node.name == input.from)
    }

    /// The host, standing in the workflow's folder.
    pub(crate) fn host(&self, host: &Host) -> Host {
        Host::new(InFolder { host: host.clone(), folder: self.folder.clone() })
    }
}

fn text<'a>(node: &'a WorkflowNode, setting: &str) -> Option<&'a str> {
    node.settings[setting].as_str()
}

/// A host that stands in another folder.
struct InFolder {
    host: Host,
    folder: PathBuf,
}

impl HostCallbacks for InFolder {
    fn log(&self, level: Level, message: &str) {
        self.host.log(level, message);
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        self.host.progress(done, total, unit);
    }

    fn cancelled(&self) -> bool {
        self.host.cancelled()
    }

    fn about(&self) -> About {
        let mut about = self.host.about();
        about.base.clone_from(&self.folder);
        about
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skysense_abi::NoHost;

    fn node(name: &str, uses: &str, settings: Value, inputs: &[(&str, &str)]) -> Value {
        let inputs: Vec<Value> = inputs.iter().map(|(port, from)| json!({"port": port, "from": from})).collect();
        json!({"name": name, "uses": uses, "settings": settings, "inputs": inputs})
    }

    fn nodes() -> Vec<Value> {
        let labels = json!({"href": "https://a.org", "collections": ["truth"], "bbox": [1, 2, 3, 4]});
        let learning = json!({"label_asset": "map", "ignore": [7], "holdout": {"share": 0.4, "side": "west"}});
        vec![
            node("scenes", "stac.search", json!({"href": "c.json"}), &[]),
            node("truth", "stac.search", labels, &[]),
            node("chips", "raster.chips", json!({"size": 32}), &[("items", "scenes")]),
            node("model", "skysense.finetune", learning, &[("chips", "chips"), ("labels", "truth")]),
            node("classes", "skysense.segment", json!({}), &[("chips", "chips"), ("model", "model")]),
            node("features", "skysense.embed", json!({}), &[("chips", "chips"), ("model", "model")]),
            node("map", "stac.write", json!({"href": "/out/map/"}), &[("maps", "classes"), ("model", "model")]),
            node("other", "stac.write", json!({"href": "/out/features"}), &[("maps", "features")]),
        ]
    }

    fn workflow(nodes: &[Value]) -> Workflow {
        serde_json::from_value(json!({"folder": "/flows", "nodes": nodes})).unwrap()
    }

    #[test]
    fn a_workflow_says_what_its_map_is_scored_by() {
        let workflow = workflow(&nodes());
        let facts = workflow.facts().unwrap();
        let (prediction, labels) = (facts.prediction.unwrap(), facts.labels.unwrap());
        assert_eq!((prediction.href.as_str(), prediction.assets), ("/out/map/collection.json", vec!["class".into()]));
        assert_eq!((labels.href.as_str(), labels.collection.as_deref()), ("https://a.org", Some("truth")));
        assert_eq!((labels.bbox, labels.assets), (Some([1.0, 2.0, 3.0, 4.0]), vec!["map".to_owned()]));
        assert_eq!((facts.holdout.unwrap().share, facts.ignore), (0.4, vec![7]));
        let pixels = facts.pixels.unwrap();
        assert_eq!((&pixels.search["href"], &pixels.chips["size"]), (&json!("c.json"), &json!(32)));
        let host = workflow.host(&Host::new(NoHost));
        assert_eq!(host.about().base, PathBuf::from("/flows"));
    }

    #[test]
    fn what_a_workflow_does_not_say_is_left_open() {
        let mut some = nodes();
        some[4]["inputs"] = json!([{"port": "chips", "from": "chips"}]);
        let facts = workflow(&some).facts().unwrap();
        assert!(facts.labels.is_none() && facts.holdout.is_none() && facts.pixels.is_some());
        let error = workflow(&some[..6]).facts().unwrap_err();
        assert!(error.message.starts_with("0 nodes of the workflow write a class map"), "{error}");
    }
}
