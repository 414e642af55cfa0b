//! Workflows: spec, plan, run.

mod spec;

pub use spec::{
    Edge, Fault, Faults, MAX_BYTES, NodeSpec, NodeType, NodeTypes, Place, PortType, Source, Span, Spec, TriggerSpec,
};
