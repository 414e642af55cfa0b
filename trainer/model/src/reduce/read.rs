//! Reading a graph that this crate wrote, and refusing any other.

use prost::Message as _;

use super::fault;
use crate::Result;
use crate::onnx::{ElementType, GraphProto, ModelProto, PRODUCER};

/// The graph of a file. What a field that we do not know would mean cannot be told, so a file is refused that does not
/// come out byte for byte as it went in.
pub(super) fn read(bytes: &[u8]) -> Result<ModelProto> {
    let model = ModelProto::decode(bytes).map_err(|error| fault("", format!("it is no ONNX file: {error}")))?;
    let name = model.graph.as_ref().map_or("", |graph| graph.name.as_str());
    if model.producer_name != PRODUCER {
        let message =
            format!("it was written by {:?}, expected {PRODUCER:?}: export the model again", model.producer_name);
        return Err(fault(name, message));
    }
    if model.encode_to_vec() != bytes {
        return Err(fault(name, "it holds fields that this program does not write: export the model again"));
    }
    if let Some(graph) = &model.graph {
        let small = [ElementType::F16, ElementType::Bf16, ElementType::I8].map(|element| element as i32);
        if let Some(tensor) = graph.initializer.iter().find(|tensor| small.contains(&tensor.data_type)) {
            let message = format!("its weight {} has a smaller type already: start from the float model", tensor.name);
            return Err(fault(name, message));
        }
    }
    Ok(model)
}

/// The graph inside.
pub(super) fn graph(model: &mut ModelProto) -> Result<&mut GraphProto> {
    model.graph.as_mut().ok_or_else(|| fault("", "the file holds no graph"))
}

#[cfg(test)]
mod tests {
    use super::super::{Precision, Ranges, reduce};
    use super::*;
    use crate::reduce::tests::linear;

    fn message(bytes: &[u8]) -> String {
        reduce(bytes, Precision::Fp16, &Ranges::new(), None).unwrap_err().to_string()
    }

    #[test]
    fn strangers_are_refused_by_name() {
        assert!(message(b"no protobuf").contains("no ONNX file"));
        let mut model = ModelProto::decode(linear(&[1.0; 64], [8, 8]).as_slice()).unwrap();
        model.producer_name = "pytorch".into();
        let told = message(&model.encode_to_vec());
        assert!(told.contains("graph linear") && told.contains("pytorch"), "{told}");
        model.producer_name = PRODUCER.into();
        // Field 4 of a model is its domain, a text: tag 0x22, length 1.
        let strange = [model.encode_to_vec(), vec![0x22, 1, b'x']].concat();
        assert!(message(&strange).contains("fields that this program does not write"));
    }

    #[test]
    fn a_small_graph_is_not_made_smaller_again() {
        for precision in Precision::ALL {
            let ranges = Ranges::from([("x".into(), [0.0, 1.0])]);
            let once = reduce(&linear(&[1.0; 64], [8, 8]), precision, &ranges, None).unwrap();
            assert!(message(&once).contains("start from the float model"), "{precision}");
        }
    }
}
