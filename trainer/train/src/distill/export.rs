//! A student as a package.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use serde_json::{Value as Json, json};
use skysense_contract::{MlmContext, Package, PackageWriter};
use skysense_model::{Precision, Tape};

use super::Distilled;
use crate::TrainError;
use crate::batch::stack;
use crate::export::{TOLERANCE, encoder_graphs, probe_file, weights};
use crate::graphs::SHARD;
use crate::network::tokens;

/// Writes a student as a package without a head at `folder`, which must not exist. It gives features as it is, and a head
/// when fine-tuning starts from it. The same weights give the same bytes. `context` as in [`crate::export()`].
///
/// # Errors
/// [`TrainError::Contract`] when the folder exists or cannot be written.
pub fn export_student(distilled: &Distilled, folder: &Path, context: &MlmContext) -> Result<Package, TrainError> {
    let (plan, encoder) = (&distilled.plan, &distilled.student.encoder);
    let setup = &plan.student;
    let mut writer = PackageWriter::new(folder)?;
    encoder_graphs(encoder, setup, &mut writer)?;
    let files = weights(encoder, None, writer.folder(), SHARD)?;
    writer.weights_written(&files)?;
    let sample = &distilled.probe;
    let batch = stack(&[sample], &setup.inputs, &Device::flex());
    let output = encoder.fusion.forward(tokens(encoder, &Tape::off(), &batch, Precision::F32));
    writer.probe(&probe_file(sample, &setup.inputs, output)?, TOLERANCE, TOLERANCE)?;
    let mut contract = setup.contract(&distilled.config.name, &plan.licence, None)?;
    contract.notes = notes(distilled)?;
    let parameters = Some(encoder.num_params() as u64);
    Ok(writer.finish(contract, &MlmContext { parameters, ..context.clone() })?)
}

/// How the model came to be. Nothing here depends on the clock or on where the teacher lay: the same run gives the same
/// package.
fn notes(distilled: &Distilled) -> Result<BTreeMap<String, Json>, TrainError> {
    let config = &distilled.config;
    let teacher = distilled.plan.package.contract();
    let settings = serde_json::to_value(config).map_err(|error| TrainError::Model(error.to_string()))?;
    let levels: Vec<String> = distilled.plan.levels.iter().map(ToString::to_string).collect();
    let split = format!("blocks of {} pixels, share {}", config.recipe.block, config.recipe.validation);
    let from = json!({
        "teacher": teacher.name,
        "teacher_preset": teacher.preset,
        "teacher_weights_sha256": teacher.weights_sha256,
        "teacher_licence": teacher.licence,
        "features": levels,
        "projection": "linear to the teacher's channels, not part of this package",
        "held_out": distilled.held_out,
        "held_out_before": distilled.before,
        "samples": distilled.samples,
    });
    Ok(BTreeMap::from([
        ("distilled".into(), from),
        ("settings".into(), settings),
        ("start".into(), distilled.plan.student.start()),
        ("split".into(), json!(split)),
        ("steps".into(), json!(distilled.steps)),
        ("final_loss".into(), json!(distilled.losses.last())),
        ("normalisation".into(), json!(distilled.plan.student.normalisation)),
    ]))
}
