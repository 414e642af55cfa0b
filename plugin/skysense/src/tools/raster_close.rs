//! `raster.close`: closes images that stay open between readings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use skysense_abi::{Host, NodeError, Tool};

/// Nothing is asked for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {}

/// Nothing is answered.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {}

/// The tool.
pub(crate) struct RasterClose;

impl Tool for RasterClose {
    const NAME: &'static str = "raster.close";
    const SUMMARY: &'static str = "Closes images that stay open between readings; those that are being read stay open";
    type Arguments = Arguments;
    type Answer = Answer;

    fn call(_: Arguments, _: &Host) -> Result<Answer, NodeError> {
        skysense_raster::close_idle();
        Ok(Answer {})
    }
}
