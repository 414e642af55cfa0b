//! Graphs of a package, opened and held against the contract.

use std::collections::BTreeMap;

use ort::session::SessionInputValue;
use ort::value::{TensorElementType, TensorRef};
use skysense_contract::{Contract, Dtype, Modality, Module, Package};

use crate::session::{Build, Graph, element};
use crate::subset::{patch_embedding, subset_fault};
use crate::{InferError, Pixel};

/// Loads a graph behind the encoders, whose inputs must be those of its module.
pub(super) fn open(package: &Package, build: &Build<'_>, module: Module) -> Result<Graph, InferError> {
    let contract = package.contract();
    let graph = build.graph(module, package.graph(module)?, None)?;
    let side = Some(contract.chip_size);
    match module {
        Module::Fusion => check_fusion(&graph, contract).map(drop)?,
        Module::GeoContext => {
            let channels = Some(contract.channels / 2);
            graph.check_input("features", TensorElementType::Float32, &[None, channels, side, side])?;
            graph.check_input("region", TensorElementType::Int64, &[None])?;
        }
        Module::Head => {
            let compares = contract.head.as_ref().is_some_and(|head| head.task.compares());
            let channels = Some(if compares { 2 * contract.channels } else { contract.channels });
            graph.check_input("features", TensorElementType::Float32, &[None, channels, side, side])?;
        }
        Module::Hr | Module::S2 | Module::S1 => {}
    }
    Ok(graph)
}

/// Loads an encoder; where bands are lacking, with rescaled weights, and shows that these took effect.
pub(super) fn encoder(
    package: &Package,
    build: &Build<'_>,
    modality: Modality,
    bands: &[Option<usize>],
) -> Result<Graph, InferError> {
    let contract = package.contract();
    let input = &contract.modalities[&modality];
    let module = Module::from(modality);
    let subset = bands.contains(&None);
    let weights = subset.then(|| patch_embedding(package, modality, bands)).transpose()?;
    let mut graph = build.graph(module, package.graph(module)?, weights)?;
    let side = contract.chip_size * input.scale;
    let shape = [None, Some(input.bands.len()), Some(side), Some(side)];
    graph.check_input("pixels", element(input.dtype), &shape)?;
    if subset {
        let absent: Vec<bool> = bands.iter().map(Option::is_none).collect();
        let unseen = match input.dtype {
            Dtype::U8 => deaf::<u8>(&mut graph, module, side, &absent)?,
            Dtype::I16 => deaf::<i16>(&mut graph, module, side, &absent)?,
            Dtype::F32 => deaf::<f32>(&mut graph, module, side, &absent)?,
        };
        if !unseen {
            let reason = "the graph does not take its patch embedding by name; export the model again";
            return Err(subset_fault(package, modality, reason.into()));
        }
    }
    Ok(graph)
}

/// Whether a graph gives the same whatever stands in the absent bands. The runtime takes weights for a name that
/// it does not know without a word, so this is looked at and not believed.
fn deaf<T: Pixel>(graph: &mut Graph, module: Module, side: usize, absent: &[bool]) -> Result<bool, InferError> {
    let mut outputs = Vec::new();
    for absent_value in [0.0, 100.0] {
        let values: Vec<T> = absent
            .iter()
            .flat_map(|absent| {
                (0..side * side).map(|i| T::from_f64(if *absent { absent_value } else { (i % 97) as f64 }))
            })
            .collect();
        let pixels = tensor(module, vec![1, absent.len(), side, side], &values)?;
        outputs.push(graph.run_any(vec![("pixels", pixels)])?);
    }
    Ok(outputs[0] == outputs[1])
}

/// Channels of what each encoder gives, and whether the fusion had to be opened to know.
pub(super) fn widths(
    package: &Package,
    build: &Build<'_>,
) -> Result<(BTreeMap<Modality, usize>, Option<Graph>), InferError> {
    let contract = package.contract();
    if !contract.encoders.is_empty() {
        return Ok((contract.encoders.clone(), None));
    }
    let fused = contract.graphs.contains_key(&Module::Fusion);
    let fusion = fused.then(|| build.graph(Module::Fusion, package.graph(Module::Fusion)?, None)).transpose()?;
    let width = match &fusion {
        Some(fusion) => check_fusion(fusion, contract)?,
        // One encoder alone.
        None => contract.channels,
    };
    Ok((contract.modalities.keys().map(|modality| (*modality, width)).collect(), fusion))
}

/// Checks the fusion's inputs; gives the width of its tokens.
fn check_fusion(fusion: &Graph, contract: &Contract) -> Result<usize, InferError> {
    let size = Some(contract.chip_size);
    let width = contract.encoders.values().next().copied();
    let dims = fusion.check_input("tokens", TensorElementType::Float32, &[None, None, width, size, size])?;
    for (name, dtype) in [
        ("day", TensorElementType::Int64),
        ("calendar", TensorElementType::Float32),
        ("present", TensorElementType::Bool),
    ] {
        fusion.check_input(name, dtype, &[None, None])?;
    }
    dims[2].ok_or_else(|| fusion.fault("input tokens does not fix its channels".into()))
}

/// A tensor over borrowed values.
pub(super) fn tensor<'v, T>(
    module: Module,
    shape: Vec<usize>,
    values: &'v [T],
) -> Result<SessionInputValue<'v>, InferError>
where
    T: ort::value::PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    let tensor = TensorRef::from_array_view((shape, values))
        .map_err(|error| InferError::Run { module, message: error.to_string() })?;
    Ok(tensor.into())
}
