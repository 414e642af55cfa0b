//! A plan in a run's folder: `plan.json`, and each node's columns and planned rows as Arrow IPC files.
//!
//! Secrets stay out: `plan.json` names them, and they are looked up again. What only a resumed run needs stands in
//! `private.json`, which its owner alone may read and which goes when the run is done: what nodes keep for
//! themselves, and addresses with the user, password or signature that opens them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write};
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
}

/// `private.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct PrivateFile {
    /// Node → what it keeps for its run.
    states: BTreeMap<String, Value>,
    /// Node → JSON pointer → the setting with what `plan.json` does not show.
    settings: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Its name.
const PRIVATE: &str = "private.json";

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
        let private = serde_json::to_string(&PrivateFile::of(&self.nodes)).unwrap_or_default();
        write_private(&folder.join(PRIVATE), private.as_bytes())?;
        let path = folder.join("plan.json");
        let text = serde_json::to_string_pretty(&self.to_json()).unwrap_or_default();
        write_whole(&path, text.as_bytes())
    }
}

impl PrivateFile {
    fn of(nodes: &[PlannedNode]) -> Self {
        let mut file = Self::default();
        for node in nodes {
            file.states.insert(node.name.clone(), node.plan.state.clone());
            let mut hidden = Hidden::default();
            hidden.find(&node.settings, &node.public_settings, String::new());
            if !hidden.values.is_empty() {
                file.settings.insert(node.name.clone(), hidden.values);
            }
        }
        file
    }
}

/// Removes what only a resumed run needs.
pub(crate) fn remove_private(folder: &Path) {
    let path = folder.join(PRIVATE);
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("cannot remove {}, which may hold credentials: {error}", path.display());
    }
}

/// Reads a plan from a run's folder; `secret` looks secrets up.
pub(crate) fn read_plan(folder: &Path, secret: &dyn Fn(&str) -> Option<String>) -> Result<Plan, EngineError> {
    let file: PlanFile = read_json(&folder.join("plan.json"))?;
    let mut private: PrivateFile = read_json(&folder.join(PRIVATE))?;
    let mut nodes = Vec::new();
    for node in file.nodes {
        let mut settings = node.settings.clone();
        for (pointer, value) in private.settings.remove(&node.name).unwrap_or_default() {
            if let Some(place) = settings.pointer_mut(&pointer) {
                *place = value;
            }
        }
        for (pointer, name) in &node.secrets {
            let value = secret(name).ok_or_else(|| EngineError::Secret { name: name.clone() })?;
            if let Some(place) = settings.pointer_mut(pointer) {
                *place = Value::String(value);
            }
        }
        let (schema, rows) = read_rows(&folder.join(&node.file))?;
        let state = private.states.remove(&node.name).unwrap_or_default();
        let mut plan = NodePlan::new(schema).facts(node.facts).state(state);
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
        let mut hidden = Hidden::default();
        hidden.find(&node.settings, &node.public_settings, String::new());
        let fields = node.plan.schema.fields().iter();
        Self {
            name: node.name.clone(),
            uses: node.uses.clone(),
            settings: node.public_settings.clone(),
            secrets: hidden.names,
            inputs: node.inputs.clone(),
            output: node.output.clone(),
            columns: fields.map(|f| format!("{}: {}", f.name(), f.data_type())).collect(),
            rows: node.plan.rows.as_ref().map(|rows| rows.iter().map(RecordBatch::num_rows).sum()),
            file: Path::new("planned").join(file_name(position, &node.name)),
            facts: node.plan.facts.clone(),
            costs: node.plan.costs.clone(),
            memory: node.plan.memory,
        }
    }
}

/// Where real and public settings differ.
#[derive(Default)]
struct Hidden {
    /// JSON pointer → name of the secret.
    names: BTreeMap<String, String>,
    /// JSON pointer → the value: an address with credentials.
    values: BTreeMap<String, Value>,
}

impl Hidden {
    fn find(&mut self, real: &Value, public: &Value, pointer: String) {
        match (real, public) {
            (Value::Object(real), Value::Object(public)) => {
                for (key, value) in public {
                    let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                    self.find(real.get(key).unwrap_or(&Value::Null), value, pointer);
                }
            }
            (Value::Array(real), Value::Array(public)) => {
                for (i, (real, public)) in real.iter().zip(public).enumerate() {
                    self.find(real, public, format!("{pointer}/{i}"));
                }
            }
            (real, Value::String(text)) if real != public => {
                match text.strip_prefix("${secret:").and_then(|rest| rest.strip_suffix('}')) {
                    Some(name) => self.names.insert(pointer, name.to_owned()).map(Value::String),
                    None => self.values.insert(pointer, real.clone()),
                };
            }
            _ => {}
        }
    }
}

/// Reads a JSON file of a run's folder.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, EngineError> {
    let text = std::fs::read_to_string(path).map_err(|e| EngineError::file("read", path, e))?;
    serde_json::from_str(&text).map_err(|e| EngineError::Broken { path: path.to_owned(), reason: e.to_string() })
}

/// Writes a file that only its owner may read, from its first byte on.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|e| EngineError::file("write", path, e))
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
        plan.nodes[0].settings = json!({"auth": {"to~ken": "hunter2"}, "list": ["x", "http://u:geheim@h/"]});
        plan.nodes[0].public_settings = json!({"auth": {"to~ken": "${secret:TOKEN}"}, "list": ["x", "http://h/"]});
        plan.nodes[0].plan.state = json!({"href": "http://h/?sig=geheim"});
        let folder = tempfile::tempdir().unwrap();
        plan.write(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("plan.json")).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("geheim"), "{text}");
        let private = folder.path().join(PRIVATE);
        assert!(!std::fs::read_to_string(&private).unwrap().contains("hunter2"), "secrets are looked up again");
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&private.metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        let read = |secret: &dyn Fn(&str) -> Option<String>| read_plan(folder.path(), secret);
        let back = read(&|name| (name == "TOKEN").then(|| "hunter3".into())).unwrap();
        let settings = json!({"auth": {"to~ken": "hunter3"}, "list": ["x", "http://u:geheim@h/"]});
        assert_eq!(back.nodes[0].settings, settings);
        assert_eq!(back.nodes[0].public_settings, plan.nodes[0].public_settings);
        assert_eq!(back.nodes[0].plan.state, plan.nodes[0].plan.state);
        assert_eq!(back.nodes[0].plan.schema, plan.nodes[0].plan.schema);
        assert_eq!(back.nodes[0].plan.rows, plan.nodes[0].plan.rows);
        assert_eq!(back.to_json()["nodes"][0]["memory"], plan.to_json()["nodes"][0]["memory"]);
        assert!(read(&|_| None).err().unwrap().to_string().contains("TOKEN"));
        remove_private(folder.path());
        assert!(!private.exists());
    }
}
