//! A plugin as an engine sees it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ffi::FFI_ArrowSchema;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use serde::Deserialize;
use serde_json::Value;

use crate::describe::{NodeDescription, PluginDescription, ToolDescription};
use crate::error::{Fault, NodeError, PluginError};
use crate::guard::guarded;
use crate::host::Host;
use crate::layout::{
    ABI_MAJOR, OK, SYMBOL, SkysenseBuffer, SkysensePlanInput, SkysensePlanOutput, SkysensePlanned, SkysensePlugin,
    SkysenseRunInput, SkysenseText,
};
use crate::node::{NodePlan, PlanInputs, PlanText, RunInputs};
use crate::stream::{BatchStream, ImportedStream, export, import_schema, stream_of};

/// A loaded plugin. Cheap to clone; the library stays for the life of the process.
#[derive(Debug, Clone)]
pub struct Plugin {
    path: PathBuf,
    table: SkysensePlugin,
    description: Arc<PluginDescription>,
}

impl Plugin {
    /// Loads a plugin from a shared library.
    ///
    /// # Errors
    /// The library does not load, is no plugin, speaks another ABI, or breaks the contract.
    pub fn load(path: &Path) -> Result<Self, PluginError> {
        let load = |reason: String| PluginError::Load { path: path.to_owned(), reason };
        let path_text = std::path::absolute(path).map_err(|e| load(e.to_string()))?;
        crate::library::check(&path_text).map_err(load)?;
        // SAFETY: loading runs the library's initialisers. Whoever puts a library on the search path trusts it.
        let library = unsafe { libloading::Library::new(&path_text) }.map_err(|e| load(reason_of(&e)))?;
        // SAFETY: the contract gives the symbol this type.
        let entry = unsafe { library.get::<unsafe extern "C" fn() -> *const SkysensePlugin>(SYMBOL) }
            .map(|symbol| *symbol)
            .map_err(|_| PluginError::NoSymbol { path: path.to_owned() });
        // Code and data of the library may be referred to from anywhere by now.
        std::mem::forget(library);
        // SAFETY: as the contract says: a table that lives for ever.
        let table = unsafe { entry?() };
        // SAFETY: as above.
        unsafe { Self::from_table(path, table) }
    }

    /// A plugin that is linked into this program.
    ///
    /// # Errors
    /// As [`Plugin::load`].
    pub fn linked<P: crate::export::PluginParts>() -> Result<Self, PluginError> {
        // SAFETY: a table of ours, which lives for ever.
        unsafe { Self::from_table(Path::new(P::NAME), crate::export::plugin_table::<P>()) }
    }

    /// # Safety
    /// `table` is null or points to a table as the header describes it.
    unsafe fn from_table(path: &Path, table: *const SkysensePlugin) -> Result<Self, PluginError> {
        let broken = |reason: String| PluginError::Broken { path: path.to_owned(), reason };
        if table.is_null() {
            return Err(broken(format!("`{SYMBOL}` gave no table")));
        }
        // SAFETY: not null, and these three fields are in every version of the table.
        let (size, major, minor) = unsafe { ((*table).struct_size, (*table).abi_major, (*table).abi_minor) };
        if major != ABI_MAJOR {
            return Err(PluginError::Version { path: path.to_owned(), found: format!("{major}.{minor}") });
        }
        let mut known = std::mem::MaybeUninit::<SkysensePlugin>::zeroed();
        // SAFETY: copies what both sides know; the rest stays zero, which is a valid "absent" in each field.
        let table = unsafe {
            let bytes = (size as usize).min(size_of::<SkysensePlugin>());
            std::ptr::copy_nonoverlapping(table.cast::<u8>(), known.as_mut_ptr().cast::<u8>(), bytes);
            known.assume_init()
        };
        let (Some(describe), Some(_), Some(_)) = (table.describe, table.plan, table.run) else {
            return Err(broken(format!("its table of {size} bytes lacks describe, plan or run")));
        };
        let (mut out, mut error) = (SkysenseBuffer::empty(), SkysenseBuffer::empty());
        // SAFETY: as the header says; both buffers are ours, and filled or left empty.
        let (status, out, error) = unsafe { (describe(&mut out, &mut error), out.take(), error.take()) };
        if status != OK {
            return Err(broken(format!("describe failed: {}", NodeError::from_wire(&error))));
        }
        let description: PluginDescription =
            serde_json::from_str(&out).map_err(|e| broken(format!("describe gave no valid description: {e}")))?;
        Ok(Self { path: path.to_owned(), table, description: Arc::new(description) })
    }

    /// The library's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plugin's version of the contract.
    pub fn abi(&self) -> (u16, u16) {
        (self.table.abi_major, self.table.abi_minor)
    }

    /// All that it says about itself.
    pub fn description(&self) -> &PluginDescription {
        &self.description
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[NodeDescription] {
        &self.description.nodes
    }

    /// Its tools.
    pub fn tools(&self) -> &[ToolDescription] {
        &self.description.tools
    }

    /// Plans a node.
    ///
    /// # Errors
    /// Every mistake that the node sees; a panic in it is one of them.
    pub fn plan(&self, node: &str, settings: &Value, inputs: &PlanInputs, host: &Host) -> Result<NodePlan, Vec<Fault>> {
        let Some(plan) = self.table.plan else { return Err(absent("plan").into()) };
        let settings = settings.to_string();
        let mut parts = Vec::new();
        for (port, input) in &inputs.ports {
            let schema = FFI_ArrowSchema::try_from(input.schema.as_ref()).map_err(NodeError::from)?;
            let rows = input.rows.as_ref().map(|rows| export(input.schema.clone(), stream_of(rows.clone())));
            parts.push((port, input, input.facts.to_string(), schema, rows));
        }
        let ports: Vec<SkysensePlanInput> = parts
            .iter_mut()
            .map(|(port, input, facts, schema, rows)| SkysensePlanInput {
                port: SkysenseText::lend(port),
                kind: SkysenseText::lend(&input.kind),
                facts: SkysenseText::lend(facts),
                schema,
                rows: rows.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut),
            })
            .collect();
        let pointers: Vec<*const SkysensePlanInput> = ports.iter().map(std::ptr::from_ref).collect();
        let mut out = SkysensePlanOutput {
            plan: SkysenseBuffer::empty(),
            schema: FFI_ArrowSchema::empty(),
            rows: FFI_ArrowArrayStream::empty(),
        };
        let mut error = SkysenseBuffer::empty();
        // SAFETY: every pointer is live for the length of the call, and the plugin keeps to the header.
        let (status, error) = unsafe {
            let status = plan(
                SkysenseText::lend(node),
                SkysenseText::lend(&settings),
                pointers.as_ptr(),
                pointers.len(),
                host.as_raw(),
                &mut out,
                &mut error,
            );
            (status, error.take())
        };
        let SkysensePlanOutput { plan, schema, rows } = out;
        // SAFETY: filled by the plugin or left empty.
        let text = unsafe { plan.take() };
        if status != OK {
            return Err(faults_from_wire(&error));
        }
        // SAFETY: as above.
        unsafe { planned(&text, &schema, rows) }.map_err(Vec::from)
    }

    /// Starts a node. The stream is to be pulled from one thread at a time.
    ///
    /// # Errors
    /// Whatever keeps the node from starting.
    pub fn run(
        &self,
        node: &str,
        settings: &Value,
        plan: NodePlan,
        inputs: RunInputs,
        host: &Host,
    ) -> Result<(SchemaRef, BatchStream), NodeError> {
        let Some(run) = self.table.run else { return Err(absent("run")) };
        let settings = settings.to_string();
        let text = PlanText { facts: plan.facts, costs: plan.costs, memory: plan.memory, state: plan.state };
        let text = serde_json::to_string(&text).map_err(|e| NodeError::from_error("plan.invalid", &e))?;
        let schema = FFI_ArrowSchema::try_from(plan.schema.as_ref())?;
        let mut rows = plan.rows.map(|rows| export(plan.schema.clone(), stream_of(rows)));
        let planned = SkysensePlanned {
            plan: SkysenseText::lend(&text),
            schema: &schema,
            rows: rows.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut),
        };
        let mut parts: Vec<_> = inputs
            .ports
            .into_iter()
            .map(|(port, input)| (port, input.kind, export(input.schema, input.batches)))
            .collect();
        let ports: Vec<SkysenseRunInput> = parts
            .iter_mut()
            .map(|(port, kind, stream)| SkysenseRunInput {
                port: SkysenseText::lend(port),
                kind: SkysenseText::lend(kind),
                stream,
            })
            .collect();
        let pointers: Vec<*const SkysenseRunInput> = ports.iter().map(std::ptr::from_ref).collect();
        let (mut out, mut error) = (FFI_ArrowArrayStream::empty(), SkysenseBuffer::empty());
        // SAFETY: every pointer is live for the length of the call, and the plugin keeps to the header.
        let (status, error) = unsafe {
            let status = run(
                SkysenseText::lend(node),
                SkysenseText::lend(&settings),
                &planned,
                pointers.as_ptr(),
                pointers.len(),
                host.as_raw(),
                &mut out,
                &mut error,
            );
            (status, error.take())
        };
        if status != OK {
            return Err(NodeError::from_wire(&error));
        }
        // SAFETY: filled by the plugin.
        let stream = unsafe { ImportedStream::new(out) }?;
        let found = stream.schema();
        crate::stream::same_columns(&plan.schema, &found)?;
        // The planned schema: a simple plugin need not repeat metadata in its stream.
        Ok((plan.schema, Box::new(stream)))
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// No such tool, or whatever the tool says.
    pub fn call(&self, tool: &str, arguments: &Value, host: &Host) -> Result<Value, NodeError> {
        let Some(call) = self.table.call else {
            return Err(NodeError::new("tool.unknown", format!("plugin `{}` has no tools", self.description.name)));
        };
        let arguments = arguments.to_string();
        let (mut out, mut error) = (SkysenseBuffer::empty(), SkysenseBuffer::empty());
        // SAFETY: every pointer is live for the length of the call, and the plugin keeps to the header.
        let (status, out, error) = unsafe {
            let status =
                call(SkysenseText::lend(tool), SkysenseText::lend(&arguments), host.as_raw(), &mut out, &mut error);
            (status, out.take(), error.take())
        };
        if status != OK {
            return Err(NodeError::from_wire(&error));
        }
        serde_json::from_str(&out).map_err(|e| NodeError::from_error("answer.invalid", &e).at("tool", tool))
    }
}

/// Reads a plan that came from a plugin.
///
/// # Safety
/// `schema` and `rows` were filled by the plugin or left empty.
unsafe fn planned(text: &str, schema: &FFI_ArrowSchema, rows: FFI_ArrowArrayStream) -> Result<NodePlan, NodeError> {
    let text: PlanText = serde_json::from_str(text).map_err(|e| {
        NodeError::from_error("plan.invalid", &e).at("plan", text.chars().take(200).collect::<String>())
    })?;
    let schema = import_schema(schema)?;
    let rows = if rows.release.is_some() {
        // SAFETY: by this function's contract.
        let stream = unsafe { ImportedStream::new(rows) }?;
        crate::stream::same_columns(&schema, &stream.schema())?;
        Some(stream.collect::<Result<Vec<RecordBatch>, _>>()?)
    } else {
        None
    };
    Ok(NodePlan { schema, facts: text.facts, rows, costs: text.costs, memory: text.memory, state: text.state })
}

fn absent(function: &str) -> NodeError {
    NodeError::new("plugin.broken", format!("the plugin's table has no `{function}`"))
}

/// `libloading` says "dlopen failed"; what the system said is its source.
fn reason_of(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[derive(Deserialize)]
struct Faults {
    faults: Vec<Fault>,
}

fn faults_from_wire(text: &str) -> Vec<Fault> {
    match serde_json::from_str::<Faults>(text) {
        Ok(Faults { faults }) if !faults.is_empty() => faults,
        _ => NodeError::from_wire(text).into(),
    }
}

/// Panics in the host's own code on the way to a plugin, as errors.
///
/// # Errors
/// What `body` says, or its panic.
pub fn catch<T>(body: impl FnOnce() -> Result<T, NodeError>) -> Result<T, NodeError> {
    guarded(body)
}
