//! Workflows: spec, plan, run.

mod spec;

pub use spec::{
    Bindings, Edge, Fault, Faults, MAX_BYTES, NodeSpec, NodeType, NodeTypes, PARAM_TYPES, ParamType, Place, PortType,
    ProcessSurroundings, Source, Span, Spec, Surroundings, TriggerSpec, format,
};
