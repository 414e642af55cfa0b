//! A plan in a run's folder: `plan.json`, and each node's columns and planned rows as Arrow IPC files.
//! Secrets stay out: `plan.json` names them, and they are looked up again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skysense_abi::{Cost, Memory, NodePlan};

use super::{MemoryPlan, Plan, PlannedNode, WorkflowId, added_up};
use crate::error::EngineError;
use crate::report::Record;
use crate::spec::Edge;

/// `plan.json`.
#[derive(Debug, Serialize, Deserialize)]
struct PlanFile {
    skysense_plan: u32,
    workflow: WorkflowId,
    nodes: Vec<NodeFile>,
    costs: Vec<Cost>,
    memory: MemoryPlan,
    records: Vec<Record>,
    threads: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct NodeFile {
    name: String,
    uses: String,
    settings: Value,
    /// Where secrets go: JSON pointer → name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, String>,
    inputs: Vec<Edge>,
    output: String,
    columns: Vec<String>,
    rows: Option<usize>,
    /// Arrow IPC file with the columns and the planned rows.
    file: PathBuf,
    facts: Value,
    costs: Vec<Cost>,
    memory: Memory,
    state: Value,
}

/// A name for a file about a node: ordered, and safe whatever the node is called.
pub(crate) fn file_name(position: usize, node: &str) -> String {
    let safe: String = node.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    format!("{position:02}-{}.arrow", safe.chars().take(60).collect::<String>())
}

impl Plan {
    /// The plan as JSON, without secrets.
    pub fn to_json(&self) -> Value {
        let nodes = self.nodes.iter().enumerate().map(|(i, node)| NodeFile::of(i, node)).collect();
        let file = PlanFile {
            skysense_plan: 1,
            workflow: self.workflow.clone(),
            nodes,
            costs: self.costs.clone(),
            memory: self.memory.clone(),
            records: self.records.clone(),
            threads: self.threads,
        };
        serde_json::to_value(file).unwrap_or_else(|error| json!({"error": error.to_string()}))
    }

    /// Writes `plan.json` and the planned rows below a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), EngineError> {
        let rows = folder.join("planned");
        std::fs::create_dir_all(&rows).map_err(|e| EngineError::file("create", &rows, e))?;
        for (i, node) in self.nodes.iter().enumerate() {
            let path = rows.join(file_name(i, &node.name));
            write_rows(&path, &node.plan.schema, node.plan.rows.as_deref().unwrap_or_default())?;
        }
        let path = folder.join("plan.json");
        let text = serde_json::to_string_pretty(&self.to_json()).unwrap_or_default();
        write_whole(&path, text.as_bytes())
    }
}

/// Reads a plan from a run's folder; `secret` looks secrets up.
pub(crate) fn read_plan(folder: &Path, secret: &dyn Fn(&str) -> Option<String>) -> Result<Plan, EngineError> {
    let path = folder.join("plan.json");
    let text = std::fs::read_to_string(&path).map_err(|e| EngineError::file("read", &path, e))?;
    let file: PlanFile =
        serde_json::from_str(&text).map_err(|e| EngineError::Broken { path: path.clone(), reason: e.to_string() })?;
    let mut nodes = Vec::new();
    for node in file.nodes {
        let mut settings = node.settings.clone();
        for (pointer, name) in &node.secrets {
            let value = secret(name).ok_or_else(|| EngineError::Secret { name: name.clone() })?;
            if let Some(place) = settings.pointer_mut(pointer) {
                *place = Value::String(value);
            }
        }
        let (schema, rows) = read_rows(&folder.join(&node.file))?;
        let mut plan = NodePlan::new(schema).facts(node.facts).state(node.state);
        plan.rows = node.rows.map(|_| rows);
        plan.costs = node.costs;
        plan.memory = node.memory;
        nodes.push(PlannedNode {
            name: node.name,
            uses: node.uses,
            settings,
            public_settings: node.settings,
            inputs: node.inputs,
            output: node.output,
            plan,
        });
    }
    Ok(Plan {
        workflow: file.workflow,
        costs: added_up(&nodes),
        nodes,
        memory: file.memory,
        records: file.records,
        threads: file.threads,
    })
}

impl NodeFile {
    fn of(position: usize, node: &PlannedNode) -> Self {
        let mut secrets = BTreeMap::new();
        find_secrets(&node.settings, &node.public_settings, String::new(), &mut secrets);
        let fields = node.plan.schema.fields().iter();
        Self {
            name: node.name.clone(),
            uses: node.uses.clone(),
            settings: node.public_settings.clone(),
            secrets,
            inputs: node.inputs.clone(),
            output: node.output.clone(),
            columns: fields.map(|f| format!("{}: {}", f.name(), f.data_type())).collect(),
            rows: node.plan.rows.as_ref().map(|rows| rows.iter().map(RecordBatch::num_rows).sum()),
            file: Path::new("planned").join(file_name(position, &node.name)),
            facts: node.plan.facts.clone(),
            costs: node.plan.costs.clone(),
            memory: node.plan.memory,
            state: node.plan.state.clone(),
        }
    }
}

/// Where real and public settings differ, a secret stands.
fn find_secrets(real: &Value, public: &Value, pointer: String, found: &mut BTreeMap<String, String>) {
    match (real, public) {
        (Value::Object(real), Value::Object(public)) => {
            for (key, value) in public {
                let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                find_secrets(real.get(key).unwrap_or(&Value::Null), value, pointer, found);
            }
        }
        (Value::Array(real), Value::Array(public)) => {
            for (i, (real, public)) in real.iter().zip(public).enumerate() {
                find_secrets(real, public, format!("{pointer}/{i}"), found);
            }
        }
        (real, Value::String(text)) if real != public => {
            if let Some(name) = text.strip_prefix("${secret:").and_then(|rest| rest.strip_suffix('}')) {
                found.insert(pointer, name.to_owned());
            }
        }
        _ => {}
    }
}

/// Writes a file under a temporary name, flushes it to disk and renames it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let temporary = path.with_extension("part");
    let write = || {
        std::fs::write(&temporary, bytes)?;
        File::open(&temporary)?.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|e| EngineError::file("write", path, e))
}

/// Writes rows as an Arrow IPC file, whole or not at all.
fn write_rows(path: &Path, schema: &SchemaRef, rows: &[RecordBatch]) -> Result<(), EngineError> {
    let mut bytes = Vec::new();
    let mut write = || {
        let mut writer = FileWriter::try_new(&mut bytes, schema)?;
        rows.iter().try_for_each(|batch| writer.write(batch))?;
        writer.finish()
    };
    write().map_err(|e| EngineError::Broken { path: path.to_owned(), reason: e.to_string() })?;
    write_whole(path, &bytes)
}

/// Reads an Arrow IPC file.
pub(crate) fn read_rows(path: &Path) -> Result<(SchemaRef, Vec<RecordBatch>), EngineError> {
    let file = File::open(path).map_err(|e| EngineError::file("read", path, e))?;
    let read = || {
        let reader = FileReader::try_new(BufReader::new(file), None)?;
        Ok((reader.schema(), reader.collect::<Result<Vec<_>, _>>()?))
    };
    read().map_err(|e: arrow::error::ArrowError| EngineError::Broken { path: path.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan_of;

    #[test]
    fn a_plan_comes_back_whole_and_without_secrets_on_disk() {
        let mut plan = plan_of(vec![crate::plan::tests::planned("a/b", &[], 5, 6)]);
        plan.nodes[0].settings = json!({"auth": {"to~ken": "hunter2"}, "list": ["x"]});
        plan.nodes[0].public_settings = json!({"auth": {"to~ken": "${secret:TOKEN}"}, "list": ["x"]});
        let folder = tempfile::tempdir().unwrap();
        plan.write(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("plan.json")).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let read = |secret: &dyn Fn(&str) -> Option<String>| read_plan(folder.path(), secret);
        let back = read(&|name| (name == "TOKEN").then(|| "hunter3".into())).unwrap();
        assert_eq!(back.nodes[0].settings, json!({"auth": {"to~ken": "hunter3"}, "list": ["x"]}));
        assert_eq!(back.nodes[0].plan.schema, plan.nodes[0].plan.schema);
        assert_eq!(back.nodes[0].plan.rows, plan.nodes[0].plan.rows);
        assert_eq!(back.to_json()["nodes"][0]["memory"], plan.to_json()["nodes"][0]["memory"]);
        assert!(read(&|_| None).err().unwrap().to_string().contains("TOKEN"));
    }
}
