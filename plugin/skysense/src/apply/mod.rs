//! A model applied to chips: what `skysense.embed` and `skysense.segment` share.

mod fit;
mod maps;

pub(crate) use fit::{ModelState, Settings, fit, offers, plan_facts};
pub(crate) use maps::{Task, run};
