//! Attention of many heads on packed projections.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::Tensor;
use skysense_kernels::{Attention, First, Hidden};

use super::primitive::{Place, give, ordered, place, tensor, values};

/// Packed queries, keys and values `[sequence, token, 3 · channel]` → the joined heads `[sequence, token, channel]`;
/// `hidden` `[group, 1, 1, token]` is added to the logits and learns nothing. `None` where there is no kernel.
pub(crate) fn attend(packed: &Tensor<3>, heads: usize, hidden: Option<&Tensor<4>>) -> Option<Tensor<3>> {
    let [sequences, tokens, channels] = packed.dims();
    let shape = Attention { tokens, heads, width: channels / 3 / heads };
    let joined = |values: Vec<f32>| tensor(values, [sequences, tokens, channels / 3]);
    let hidden = given(hidden, sequences)?;
    Some(match place([packed.into()])? {
        Place::Plain([packed]) => {
            let given = shape.apply(values(&ordered(&packed)), hidden.as_ref().map(Given::borrow));
            Tensor::from_primitive::<Flex>(joined(given))
        }
        Place::Recorded([packed]) => {
            let (packed, node) = packed.into_parts();
            let packed = ordered(&packed);
            let [given, weights] = shape.forward(values(&packed), hidden.as_ref().map(Given::borrow));
            let given = joined(given);
            let operation = Whole(shape);
            let given = match operation.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => {
                    let count = weights.len();
                    prepared.finish([packed, tensor(weights, [count])], given)
                }
                OpsKind::UnTracked(prepared) => prepared.finish(given),
            };
            Tensor::from_primitive::<Autodiff<Flex>>(given)
        }
    })
}

/// As [`attend`] for the first token alone: its queries `[sequence, 1, channel]` and packed keys and values
/// `[sequence, token, 2 · channel]` → `[sequence, 1, channel]`.
pub(crate) fn attend_first(
    query: &Tensor<3>,
    packed: &Tensor<3>,
    heads: usize,
    hidden: Option<&Tensor<4>>,
) -> Option<Tensor<3>> {
    let [sequences, tokens, channels] = packed.dims();
    let shape = First(Attention { tokens, heads, width: channels / 2 / heads });
    let joined = |values: Vec<f32>| tensor(values, [sequences, 1, channels / 2]);
    let hidden = given(hidden, sequences)?;
    Some(match place([query.into(), packed.into()])? {
        Place::Plain(inputs) => {
            let [query, packed] = inputs.map(|input| ordered(&input));
            let given = shape.apply(values(&query), values(&packed), hidden.as_ref().map(Given::borrow));
            Tensor::from_primitive::<Flex>(joined(given))
        }
        Place::Recorded(inputs) => {
            let [(query, query_node), (packed, packed_node)] = inputs.map(|input| input.into_parts());
            let [query, packed] = [query, packed].map(|input| ordered(&input));
            let [given, weights] = shape.forward(values(&query), values(&packed), hidden.as_ref().map(Given::borrow));
            let given = joined(given);
            let nodes = [query_node, packed_node];
            let given = match OfFirst(shape).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => {
                    let count = weights.len();
                    prepared.finish([query, packed, tensor(weights, [count])], given)
                }
                OpsKind::UnTracked(prepared) => prepared.finish(given),
            };
            Tensor::from_primitive::<Autodiff<Flex>>(given)
        }
    })
}

/// What is added to the logits, on the CPU.
struct Given {
    values: FlexTensor,
    members: usize,
}

impl Given {
    fn borrow(&self) -> Hidden<'_> {
        Hidden { values: values(&self.values), members: self.members }
    }
}

/// `None` where there is no kernel, `Some(None)` where nothing is added.
fn given(hidden: Option<&Tensor<4>>, sequences: usize) -> Option<Option<Given>> {
    let Some(hidden) = hidden else { return Some(None) };
    let members = sequences / hidden.dims()[0];
    let values = match place([hidden.into()])? {
        Place::Plain([hidden]) => hidden,
        Place::Recorded([hidden]) => hidden.into_primitive(),
    };
    Some(Some(Given { values: ordered(&values), members }))
}

#[derive(Debug)]
struct Whole(Attention);

impl Backward<Flex, 1> for Whole {
    /// Packed projections and weights.
    type State = [FlexTensor; 2];

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ordered(&gradients.consume::<Flex>(&ops.node));
        let [packed, weights] = &ops.state;
        let given = self.0.backward(values(packed), values(weights), values(&gradient));
        let given = tensor(given, packed.shape());
        give(ops, gradients, [Some(given)]);
    }
}

#[derive(Debug)]
struct OfFirst(First);

impl Backward<Flex, 2> for OfFirst {
    /// Queries, packed projections and weights.
    type State = [FlexTensor; 3];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ordered(&gradients.consume::<Flex>(&ops.node));
        let [query, packed, weights] = &ops.state;
        let given = self.0.backward(values(query), values(packed), values(weights), values(&gradient));
        let [to_query, to_packed] = given;
        let (to_query, to_packed) = (tensor(to_query, query.shape()), tensor(to_packed, packed.shape()));
        give(ops, gradients, [Some(to_query), Some(to_packed)]);
    }
}
