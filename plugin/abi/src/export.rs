//! A plugin's entry points, made of its table.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ffi::FFI_ArrowSchema;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use serde_json::json;

use crate::describe::PluginDescription;
use crate::error::{Fault, NodeError};
use crate::guard::guarded;
use crate::host::Host;
use crate::layout::{
    ABI_MAJOR, ABI_MINOR, ERROR, OK, SkysenseBuffer, SkysenseHost, SkysensePlanInput, SkysensePlanOutput,
    SkysensePlanned, SkysensePlugin, SkysenseRunInput, SkysenseText,
};
use crate::node::{NodePlan, PlanInput, PlanInputs, PlanText, RunInput, RunInputs};
use crate::stream::{ImportedStream, export, import_schema, stream_of};
use crate::table::{NodeEntry, ToolEntry};

/// What a plugin is made of; implemented by [`export_plugin!`](crate::export_plugin).
pub trait PluginParts: 'static {
    /// The plugin's name.
    const NAME: &'static str;
    /// The plugin's version.
    const VERSION: &'static str;
    /// Its nodes, in the order of the docs.
    const NODES: &'static [NodeEntry];
    /// Its tools.
    const TOOLS: &'static [ToolEntry];
}

/// Exports the one symbol of a plugin.
///
/// ```ignore
/// skysense_abi::export_plugin! { nodes: NODES, tools: TOOLS }
/// ```
#[macro_export]
macro_rules! export_plugin {
    (nodes: $nodes:expr, tools: $tools:expr $(,)?) => {
        struct ExportedPlugin;

        impl $crate::PluginParts for ExportedPlugin {
            const NAME: &'static str = env!("CARGO_PKG_NAME");
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const NODES: &'static [$crate::NodeEntry] = $nodes;
            const TOOLS: &'static [$crate::ToolEntry] = $tools;
        }

        /// The plugin's table.
        // SAFETY: the one symbol that the contract names; a library exports it once.
        #[unsafe(no_mangle)]
        pub extern "C" fn skysense_plugin() -> *const $crate::layout::SkysensePlugin {
            $crate::plugin_table::<ExportedPlugin>()
        }
    };
    (nodes: $nodes:expr $(,)?) => {
        $crate::export_plugin! { nodes: $nodes, tools: &[] }
    };
}

/// The C table of a plugin; it lives for ever.
pub fn plugin_table<P: PluginParts>() -> *const SkysensePlugin {
    const {
        &SkysensePlugin {
            struct_size: size_of::<SkysensePlugin>() as u32,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            describe: Some(describe::<P>),
            plan: Some(plan::<P>),
            run: Some(run::<P>),
            call: Some(call::<P>),
        }
    }
}

/// Writes an answer, or the error in its place.
///
/// # Safety
/// `error` points to room for a buffer.
unsafe fn answer(error: *mut SkysenseBuffer, outcome: Result<(), NodeError>) -> i32 {
    match outcome {
        Ok(()) => OK,
        Err(e) => {
            // SAFETY: by this function's contract.
            unsafe { error.write(SkysenseBuffer::give(e.to_wire())) };
            ERROR
        }
    }
}

fn entry<P: PluginParts>(name: &str) -> Result<&'static NodeEntry, NodeError> {
    P::NODES
        .iter()
        .find(|n| n.name == name)
        .ok_or_else(|| NodeError::new("node.unknown", format!("plugin `{}` has no node `{name}`", P::NAME)))
}

/// # Safety
/// As the header says of `host`.
unsafe fn host_of(host: *const SkysenseHost) -> Result<Host, NodeError> {
    // SAFETY: by this function's contract.
    unsafe { Host::borrow(host) }.ok_or_else(|| NodeError::new("host.missing", "the engine gave no host"))
}

unsafe extern "C" fn describe<P: PluginParts>(out: *mut SkysenseBuffer, error: *mut SkysenseBuffer) -> i32 {
    let outcome = guarded(|| {
        let description = PluginDescription {
            name: P::NAME.into(),
            version: P::VERSION.into(),
            nodes: P::NODES.iter().map(NodeEntry::describe).collect(),
            tools: P::TOOLS.iter().map(ToolEntry::describe).collect(),
        };
        let text = serde_json::to_string(&description).map_err(|e| NodeError::from_error("describe", &e))?;
        // SAFETY: `out` points to room for a buffer.
        unsafe { out.write(SkysenseBuffer::give(text)) };
        Ok(())
    });
    // SAFETY: as the header says.
    unsafe { answer(error, outcome) }
}

/// The pointers of an array of pointers, none of them null.
///
/// # Safety
/// `items` holds `count` pointers to live structs.
unsafe fn each<'a, T>(items: *const *const T, count: usize) -> Vec<&'a T> {
    if items.is_null() {
        return Vec::new();
    }
    // SAFETY: by this function's contract.
    unsafe { std::slice::from_raw_parts(items, count).iter().filter_map(|p| p.as_ref()).collect() }
}

/// Takes over the rows that a call brought, if there are any.
///
/// # Safety
/// `rows` is null or a live stream that is ours to take.
unsafe fn take_rows(rows: *mut FFI_ArrowArrayStream) -> Result<Option<Vec<RecordBatch>>, NodeError> {
    if rows.is_null() {
        return Ok(None);
    }
    // SAFETY: by this function's contract; the other side sees a released stream afterwards.
    unsafe {
        let stream = FFI_ArrowArrayStream::from_raw(rows);
        ImportedStream::new(stream)?.collect::<Result<Vec<_>, _>>().map(Some)
    }
}

/// # Safety
/// `schema` is null or lent by the other side.
unsafe fn lent_schema(schema: *const FFI_ArrowSchema) -> Result<arrow::datatypes::SchemaRef, NodeError> {
    // SAFETY: by this function's contract.
    match unsafe { schema.as_ref() } {
        Some(schema) => import_schema(schema),
        None => Ok(Arc::new(Schema::empty())),
    }
}

unsafe extern "C" fn plan<P: PluginParts>(
    node: SkysenseText,
    settings: SkysenseText,
    inputs: *const *const SkysensePlanInput,
    n_inputs: usize,
    host: *const SkysenseHost,
    out: *mut SkysensePlanOutput,
    error: *mut SkysenseBuffer,
) -> i32 {
    let mut faults: Vec<Fault> = Vec::new();
    let outcome = guarded(|| {
        // SAFETY: all pointers are as the header says, for the length of this call.
        let (node, settings, host, inputs) =
            unsafe { (node.read(), settings.read(), host_of(host)?, each(inputs, n_inputs)) };
        let mut ports = PlanInputs::default();
        for input in inputs {
            // SAFETY: as above.
            let (port, kind, facts, schema, rows) = unsafe {
                (
                    input.port.read(),
                    input.kind.read(),
                    input.facts.read(),
                    lent_schema(input.schema)?,
                    take_rows(input.rows)?,
                )
            };
            let facts = serde_json::from_str(&facts).unwrap_or_default();
            ports = ports.with(&port, PlanInput::new(kind, schema, facts, rows));
        }
        let planned = entry::<P>(&node)?.plan(&settings, &ports, &host);
        let planned = match planned {
            Ok(planned) => planned,
            Err(found) => {
                faults = found;
                return Err(NodeError::new("plan.faults", "the node cannot be planned"));
            }
        };
        let text =
            PlanText { facts: planned.facts, costs: planned.costs, memory: planned.memory, state: planned.state };
        let text = serde_json::to_string(&text).map_err(|e| NodeError::from_error("plan.invalid", &e))?;
        let schema = FFI_ArrowSchema::try_from(planned.schema.as_ref())?;
        let rows = match planned.rows {
            Some(rows) => export(planned.schema.clone(), stream_of(rows)),
            None => FFI_ArrowArrayStream::empty(),
        };
        // SAFETY: `out` points to room for one struct, zeroed by the host.
        unsafe { out.write(SkysensePlanOutput { plan: SkysenseBuffer::give(text), schema, rows }) };
        Ok(())
    });
    if outcome.is_err() && !faults.is_empty() {
        // SAFETY: as the header says.
        unsafe { error.write(SkysenseBuffer::give(json!({"faults": faults}).to_string())) };
        return ERROR;
    }
    // SAFETY: as the header says.
    unsafe { answer(error, outcome) }
}

unsafe extern "C" fn run<P: PluginParts>(
    node: SkysenseText,
    settings: SkysenseText,
    planned: *const SkysensePlanned,
    inputs: *const *const SkysenseRunInput,
    n_inputs: usize,
    host: *const SkysenseHost,
    out: *mut FFI_ArrowArrayStream,
    error: *mut SkysenseBuffer,
) -> i32 {
    let outcome = guarded(|| {
        // SAFETY: all pointers are as the header says, for the length of this call.
        let (node, settings, host, inputs, planned) =
            unsafe { (node.read(), settings.read(), host_of(host)?, each(inputs, n_inputs), planned.as_ref()) };
        let planned = planned.ok_or_else(|| NodeError::new("plan.missing", "the engine gave no plan to run"))?;
        // SAFETY: as above.
        let (text, schema, rows) =
            unsafe { (planned.plan.read(), lent_schema(planned.schema)?, take_rows(planned.rows)?) };
        let text: PlanText = serde_json::from_str(&text).map_err(|e| NodeError::from_error("plan.invalid", &e))?;
        let plan = NodePlan {
            schema: schema.clone(),
            facts: text.facts,
            rows,
            costs: text.costs,
            memory: text.memory,
            state: text.state,
        };
        let mut ports = RunInputs::default();
        for input in inputs {
            // SAFETY: as above; the stream is ours to take, and the other side sees a released one.
            let (port, kind, stream) = unsafe {
                (
                    input.port.read(),
                    input.kind.read(),
                    ImportedStream::new(FFI_ArrowArrayStream::from_raw(input.stream))?,
                )
            };
            ports = ports.with(&port, RunInput::new(kind, stream.schema(), Box::new(stream)));
        }
        let stream = entry::<P>(&node)?.run(&settings, plan, ports, host)?;
        // SAFETY: `out` points to room for one struct.
        unsafe { out.write(export(schema, stream)) };
        Ok(())
    });
    // SAFETY: as the header says.
    unsafe { answer(error, outcome) }
}

unsafe extern "C" fn call<P: PluginParts>(
    tool: SkysenseText,
    arguments: SkysenseText,
    host: *const SkysenseHost,
    out: *mut SkysenseBuffer,
    error: *mut SkysenseBuffer,
) -> i32 {
    let outcome = guarded(|| {
        // SAFETY: all pointers are as the header says, for the length of this call.
        let (tool, arguments, host) = unsafe { (tool.read(), arguments.read(), host_of(host)?) };
        let entry = P::TOOLS
            .iter()
            .find(|t| t.name == tool)
            .ok_or_else(|| NodeError::new("tool.unknown", format!("plugin `{}` has no tool `{tool}`", P::NAME)))?;
        let text = entry.call(&arguments, &host)?;
        // SAFETY: `out` points to room for a buffer.
        unsafe { out.write(SkysenseBuffer::give(text)) };
        Ok(())
    });
    // SAFETY: as the header says.
    unsafe { answer(error, outcome) }
}
