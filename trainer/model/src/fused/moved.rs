//! Rows that change their places.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use skysense_kernels as kernels;

use super::primitive::{Place, give, ordered, place, tensor, values};

/// Where the rows of groups go; [`kernels::NOWHERE`] stands for a row of zeros.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// For each row that is given, the one it comes from.
    pub(crate) from: Vec<u32>,
    /// For each row, the one that it becomes.
    pub(crate) to: Vec<u32>,
}

impl Places {
    /// The way back.
    pub(crate) fn inverse(self) -> Self {
        Self { from: self.to, to: self.from }
    }
}

/// `[group · row, channel]` → the rows of each group at their places; `None` where there is no kernel.
pub(crate) fn moved(x: &Tensor<2>, places: &Places) -> Option<Tensor<2>> {
    Some(match place([x.into()])? {
        Place::Plain([x]) => Tensor::from_primitive::<Flex>(forward(&x, places)),
        Place::Recorded([x]) => {
            let (x, node) = x.into_parts();
            let given = forward(&x, places);
            let given = match Moved.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(places.clone().inverse(), given),
                OpsKind::UnTracked(prepared) => prepared.finish(given),
            };
            Tensor::from_primitive::<Autodiff<Flex>>(given)
        }
    })
}

fn forward(x: &FlexTensor, places: &Places) -> FlexTensor {
    let (x, [rows, width]) = (ordered(x), x.layout().shape().dims());
    let given = kernels::moved(values(&x), width, places.to.len(), &places.from);
    tensor(given, [rows / places.to.len() * places.from.len(), width])
}

#[derive(Debug)]
struct Moved;

impl Backward<Flex, 1> for Moved {
    /// The way back.
    type State = Places;

    fn backward(self, ops: Ops<Places, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let given = forward(&gradient, &ops.state);
        give(ops, gradients, [Some(given)]);
    }
}
