//! Workflows: spec, plan, run.
