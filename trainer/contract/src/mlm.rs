//! The contract as a STAC item of the machine learning model extension, for other software.
//!
//! Fields: <https://github.com/stac-extensions/mlm> v1.4.0, `file` v2.1.0, `raster` v1.1.0: the extension wants the bands
//! described in one of three ways, of which this is the one that an item of STAC 1.1 may have.

use serde_json::{Map, Value, json};

use crate::{Contract, Dtype, Input, Modality, Module, WEIGHTS_FILE, WEIGHTS_INDEX_FILE};

/// What the contract does not know of where and when a model was trained. The default says nothing of either.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MlmContext {
    /// GeoJSON geometry of the training area in longitude and latitude.
    pub geometry: Option<Value>,
    /// `[west, south, east, north]` of that geometry; asked for by STAC where there is a geometry.
    pub bbox: Option<[f64; 4]>,
    /// First and last datetime of the training data, RFC 3339 in UTC.
    pub period: Option<(String, String)>,
    /// Count of parameters.
    pub parameters: Option<u64>,
}

/// The STAC item of a package; `weights_size` is the size of its weights' file, or of the list of their shards.
pub fn mlm_item(contract: &Contract, weights_size: u64, context: &MlmContext) -> Value {
    // STAC asks for a datetime or a period; a model trained on data without dates gets the range of Sentinel-2.
    let unknown = || ("2015-06-23T00:00:00Z".to_string(), "2099-12-31T23:59:59Z".to_string());
    let (start, end) = context.period.clone().unwrap_or_else(unknown);
    let mut item = json!({
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/mlm/v1.4.0/schema.json",
            "https://stac-extensions.github.io/file/v2.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json"
        ],
        "id": contract.name,
        "geometry": context.geometry,
        "properties": properties(contract, context, (start, end)),
        // A link to itself would be absolute, and a package must move.
        "links": [],
        "assets": assets(contract, weights_size),
    });
    if let (Some(bbox), Some(_)) = (context.bbox, &context.geometry) {
        item["bbox"] = json!(bbox);
    }
    item
}

fn properties(contract: &Contract, context: &MlmContext, (start, end): (String, String)) -> Value {
    let task = match &contract.head {
        Some(head) => head.task.mlm(),
        None => "similarity-search",
    };
    let mut properties = json!({
        "datetime": null,
        "start_datetime": start,
        "end_datetime": end,
        "title": contract.name,
        "license": if contract.licence == "proprietary" { "other" } else { &contract.licence },
        "mlm:name": contract.name,
        "mlm:architecture": format!("SkySense {}", contract.preset),
        "mlm:tasks": [task],
        "mlm:framework": "ONNX",
        "mlm:pretrained": true,
        "mlm:batch_size_suggestion": 1,
        "mlm:input": contract.modalities.iter().map(|(m, i)| input(contract, *m, i)).collect::<Vec<_>>(),
        "mlm:output": [output(contract, task)],
    });
    if let Some(parameters) = context.parameters {
        properties["mlm:total_parameters"] = json!(parameters);
    }
    properties
}

fn input(contract: &Contract, modality: Modality, input: &Input) -> Value {
    let side = contract.chip_size * input.scale;
    let data_type = match input.dtype {
        Dtype::U8 => "uint8",
        Dtype::I16 => "int16",
        Dtype::F32 => "float32",
    };
    let scaling: Vec<Value> = input
        .mean
        .iter()
        .zip(&input.std)
        .map(|(mean, std)| json!({"type": "z-score", "mean": mean, "stddev": std}))
        .collect();
    json!({
        "name": modality.name(),
        "description": format!(
            "{} in {}, up to {} dates; the graph normalises, so pixels go in as they are",
            modality.name(), input.unit, input.dates
        ),
        "bands": input.bands,
        "input": {
            "shape": [-1, -1, input.bands.len(), side, side],
            "dim_order": ["batch", "time", "bands", "height", "width"],
            "data_type": data_type
        },
        "value_scaling": scaling,
        "resize_type": null
    })
}

fn output(contract: &Contract, task: &str) -> Value {
    let size = contract.chip_size;
    let (name, channels, axis) = match &contract.head {
        Some(head) if head.classes.is_empty() => ("values", head.channels(), "channels"),
        Some(head) => ("logits", head.channels(), "classes"),
        None => ("features", contract.channels, "channels"),
    };
    let mut output = json!({
        "name": name,
        "tasks": [task],
        "result": {
            "shape": [-1, channels, size, size],
            "dim_order": ["batch", axis, "height", "width"],
            "data_type": "float32"
        },
    });
    if contract.head.as_ref().is_some_and(|head| head.detector.is_some()) {
        output["result"] = json!({
            "shape": [-1, channels + 1],
            "dim_order": ["region", axis],
            "data_type": "float32"
        });
    }
    if let Some(head) = contract.head.as_ref().filter(|head| !head.classes.is_empty()) {
        let classes = head
            .classes
            .iter()
            .map(|class| json!({"value": class.value, "name": word(&class.name), "title": class.name, "color_hint": class.color.to_uppercase()}));
        output["classification:classes"] = classes.collect();
    }
    output
}

/// A name as the classification extension wants it: a word for machines.
fn word(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect()
}

/// The bands that a graph sees: those of its own modality, or all behind the encoders.
fn bands(contract: &Contract, module: Option<Module>) -> Vec<Value> {
    let seen = |modality: &Modality| match module {
        Some(Module::Hr | Module::S2 | Module::S1) => module == Some(Module::from(*modality)),
        _ => true,
    };
    let inputs = contract.modalities.iter().filter(|(modality, _)| seen(modality));
    inputs.flat_map(|(_, input)| input.bands.iter().map(|band| json!({"name": band}))).collect()
}

fn assets(contract: &Contract, weights_size: u64) -> Value {
    let mut assets = Map::new();
    let model = |title: String, path: &str, size: u64, sum: &str, kind: &str, artifact: &str| {
        json!({
            "href": format!("./{path}"), "title": title, "type": kind, "roles": ["mlm:model"],
            "mlm:artifact_type": artifact, "file:size": size, "file:checksum": format!("1220{sum}")
        })
    };
    for (module, graph) in &contract.graphs {
        let kind = "application/octet-stream; application=onnx";
        let title = format!("{module} graph");
        let mut asset = model(title, &graph.path, graph.size, &graph.sha256, kind, "onnx");
        asset["raster:bands"] = json!(bands(contract, Some(*module)));
        assets.insert(module.name().into(), asset);
        if let Some(data) = &graph.data {
            let title = format!("constants of the {module} graph");
            let asset = json!({"href": format!("./{}", data.path), "title": title, "roles": ["data"],
                "file:size": data.size, "file:checksum": format!("1220{}", data.sha256)});
            assets.insert(format!("{module}_data"), asset);
        }
    }
    let kind = "application/octet-stream; application=safetensors";
    let sum = &contract.weights_sha256;
    let (name, kind) = match contract.weights_shards.is_empty() {
        true => (WEIGHTS_FILE, kind),
        false => (WEIGHTS_INDEX_FILE, "application/json"),
    };
    let mut weights = model("weights".into(), name, weights_size, sum, kind, "safetensors");
    weights["raster:bands"] = json!(bands(contract, None));
    assets.insert("weights".into(), weights);
    for (index, shard) in contract.weights_shards.iter().enumerate() {
        let title = format!("shard {} of the weights", index + 1);
        let asset = json!({"href": format!("./{}", shard.path), "title": title, "roles": ["data"],
            "file:size": shard.size, "file:checksum": format!("1220{}", shard.sha256)});
        assets.insert(format!("weights_{}", index + 1), asset);
    }
    assets.insert(
        "probe".into(),
        json!({"href": format!("./{}", contract.probe.path), "title": "probe batch with its expected output",
            "roles": ["metadata"], "file:checksum": format!("1220{}", contract.probe.sha256)}),
    );
    Value::Object(assets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::tests::sample;

    #[test]
    fn the_item_says_what_the_contract_says() {
        let item = mlm_item(&sample(), 7, &MlmContext::default());
        let properties = &item["properties"];
        for field in ["mlm:name", "mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"] {
            assert!(!properties[field].is_null(), "{field} is asked for by the extension");
        }
        let input = &properties["mlm:input"][0];
        assert_eq!(input["input"]["shape"], json!([-1, -1, 3, 16, 16]));
        assert_eq!(input["value_scaling"][0], json!({"type": "z-score", "mean": 884.296_737_56, "stddev": 1155.0}));
        assert_eq!(properties["mlm:output"][0]["classification:classes"][1]["color_hint"], "123456");
        assert_eq!(item["assets"]["weights"]["file:size"], 7);
        // Described where the extension looks for them, and not where STAC 1.1 forbids it.
        assert_eq!(item["assets"]["s2"]["raster:bands"], json!([{"name": "B02"}, {"name": "B03"}, {"name": "B04"}]));
        assert!(properties.get("bands").is_none());
        assert!(item.get("bbox").is_none() && item["geometry"].is_null());
    }

    #[test]
    fn the_training_area_is_told_where_known() {
        let context = MlmContext {
            geometry: Some(json!({"type": "Point", "coordinates": [14.0, 46.0]})),
            bbox: Some([14.0, 46.0, 14.0, 46.0]),
            period: Some(("2015-07-11T00:00:00Z".into(), "2015-09-09T00:00:00Z".into())),
            parameters: Some(12),
        };
        let item = mlm_item(&sample(), 7, &context);
        assert_eq!(item["bbox"][3], 46.0);
        assert_eq!(item["properties"]["start_datetime"], "2015-07-11T00:00:00Z");
        assert_eq!(item["properties"]["mlm:total_parameters"], 12);
    }
}
