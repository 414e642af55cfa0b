//! One node of a run: pulls its stream, hands batches over, keeps small outputs.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use serde_json::json;
use skysense_abi::{Host, NodeError, Plugin, RunInput, RunInputs};

use super::edge::{Timed, Wanted, size_of_batch};
use super::event::Event;
use super::folder::Finished;
use super::host::NodeHost;
use super::state::RunState;
use crate::error::folder_error;
use crate::plan::file_name;
use crate::report::{NodeOutcome, NodeReport};

/// Kinds of edge that are small: a row stands for a file or an item, not for pixels. They are kept in the
/// run's folder, so that a resumed run does not make them again.
const SMALL_KINDS: [&str; 3] = ["item", "model", "raster"];

/// Runs a node to its end, and says how it ended.
pub(super) fn run_node(state: &Arc<RunState>, plugin: &Plugin, position: usize) {
    let node = &state.plan.nodes[position];
    let begun = Instant::now();
    state.events.event(&Event::NodeStarted { node: node.name.clone() });
    let mut report = NodeReport::default();
    let waited = Arc::new(AtomicU64::new(0));
    let outcome = skysense_abi::catch(|| work(state, plugin, position, &mut report, &waited));
    report.seconds = begun.elapsed().as_secs_f64();
    report.waited_for_input = waited.load(Ordering::Relaxed) as f64 / 1e9;
    report.outcome = match &outcome {
        Ok(Wanted::More) => NodeOutcome::Done,
        Ok(Wanted::Nothing) => NodeOutcome::Unneeded,
        Err(error) if error.is_cancelled() => NodeOutcome::Stopped,
        Err(_) => NodeOutcome::Failed,
    };
    let error = outcome.err().map(|error| {
        // An error that came down an edge keeps the name of the node where it arose.
        if error.place.contains_key("node") { error } else { error.at("node", &node.name) }
    });
    state.set_report(&node.name, report.clone());
    if let Some(error) = &error {
        state.fail(error.clone());
    }
    if let Some(channel) = state.channel(position) {
        channel.close(error.is_none());
    }
    state.events.event(&Event::NodeFinished {
        node: node.name.clone(),
        outcome: report.outcome,
        rows: report.rows,
        error: error.filter(|e| !e.is_cancelled()),
    });
}

fn work(
    state: &Arc<RunState>,
    plugin: &Plugin,
    position: usize,
    report: &mut NodeReport,
    waited: &Arc<AtomicU64>,
) -> Result<Wanted, NodeError> {
    let node = &state.plan.nodes[position];
    let Some(channel) = state.channel(position) else { return Ok(Wanted::Nothing) };
    let mut inputs = RunInputs::default();
    for edge in &node.inputs {
        let Some(source) = state.plan.node(&edge.from) else { continue };
        let batches = Timed { inner: state.reader(&edge.from)?, nanos: waited.clone() };
        let input = RunInput::new(&source.output, source.plan.schema.clone(), Box::new(batches));
        inputs = inputs.with(&edge.port, input);
    }
    let host = Host::new(NodeHost::new(state.clone(), position));
    let (schema, mut stream) = plugin.run(&node.uses, &node.settings, node.plan.clone(), inputs, &host)?;
    let mut keeper =
        SMALL_KINDS.contains(&node.output.as_str()).then(|| Keeper::new(state, position, &schema)).transpose()?;
    let planned = node.plan.rows.as_ref().map(|rows| rows.iter().map(|b| b.num_rows() as u64).sum());
    loop {
        if state.stop.is_cancelled() {
            return Err(NodeError::cancelled());
        }
        let Some(batch) = stream.next().transpose()? else { break };
        report.rows += batch.num_rows() as u64;
        report.batches += 1;
        report.largest_batch = report.largest_batch.max(size_of_batch(&batch));
        if let Some(keeper) = &mut keeper {
            keeper.add(&batch)?;
        }
        let handed = Instant::now();
        let wanted = channel.push(batch)?;
        report.waited_for_readers += handed.elapsed().as_secs_f64();
        state.events.event(&Event::Batch { node: node.name.clone(), rows: report.rows, planned });
        if wanted == Wanted::Nothing {
            return Ok(Wanted::Nothing);
        }
    }
    // The node's last words, said when its stream is dropped, belong to its records.
    drop(stream);
    if let Some(keeper) = keeper {
        keeper.finish(report)?;
    }
    Ok(Wanted::More)
}

/// Keeps a node's rows in the run's folder, under a temporary name until they are complete.
struct Keeper<'a> {
    state: &'a RunState,
    position: usize,
    writer: FileWriter<BufWriter<File>>,
    part: PathBuf,
}

impl<'a> Keeper<'a> {
    fn new(state: &'a RunState, position: usize, schema: &SchemaRef) -> Result<Self, NodeError> {
        let folder = state.folder.scratch();
        let part = folder.join(format!("{}.part", file_name(position, &state.plan.nodes[position].name)));
        let failed = |e: io::Error| folder_error("create", &part, &e);
        let file = File::create(&part).map_err(failed)?;
        let writer = FileWriter::try_new(BufWriter::new(file), schema).map_err(|e| unwritten(&part, e))?;
        Ok(Self { state, position, writer, part })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), NodeError> {
        self.writer.write(batch).map_err(|e| unwritten(&self.part, e))
    }

    fn finish(self, report: &NodeReport) -> Result<(), NodeError> {
        let node = &self.state.plan.nodes[self.position].name;
        let kept = self.state.folder.path().join("kept");
        let file = PathBuf::from("kept").join(file_name(self.position, node));
        let path = self.state.folder.path().join(&file);
        let failed = |e: io::Error| folder_error("write", &path, &e);
        let written = self.writer.into_inner().map_err(|e| unwritten(&self.part, e))?;
        let written = written.into_inner().map_err(|e| failed(e.into_error()))?;
        written.sync_all().map_err(failed)?;
        std::fs::create_dir_all(&kept).map_err(failed)?;
        std::fs::rename(&self.part, &path).map_err(failed)?;
        let done = Finished {
            node: node.clone(),
            file,
            rows: report.rows,
            batches: report.batches,
            records: self.state.records_of(node),
        };
        let mut entry = serde_json::to_value(done).unwrap_or_default();
        entry["event"] = json!("node-done");
        Ok(self.state.folder.journal(&entry)?)
    }
}

/// The error of rows that could not be kept.
fn unwritten(path: &Path, error: ArrowError) -> NodeError {
    match &error {
        ArrowError::IoError(_, error) => folder_error("write", path, error),
        other => NodeError::from_error("arrow", other).at("file", path.display()),
    }
}
