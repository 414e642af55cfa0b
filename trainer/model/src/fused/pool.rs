//! Features of regions of a map: the sums of `skysense-detect`, forward and backward.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Int, Tensor, TensorData};
use skysense_detect::{Places, pool as pooled, pool_backward};

use super::primitive::{Place, give, ordered, place, tensor, values};

/// Maps `[image, channel, height, width]` → `[region, channel, bins, bins]`.
pub(crate) fn pool(maps: Tensor<4>, places: Places, bins: usize) -> Tensor<4> {
    let [images, channels, height, width] = maps.dims();
    let regions = places.index.len() / (bins * bins * places.each);
    let shape = [regions, channels, bins, bins];
    let operation = Pool { size: [images, channels, height, width], bins };
    match place([(&maps).into()]) {
        Some(Place::Plain([x])) => {
            let x = ordered(&x);
            let given = pooled(values(&x), channels, height * width, &places, bins);
            Tensor::from_primitive::<Flex>(tensor(given, shape))
        }
        Some(Place::Recorded([x])) => {
            let (x, node) = x.into_parts();
            let x = ordered(&x);
            let given = tensor(pooled(values(&x), channels, height * width, &places, bins), shape);
            let given = match operation.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(places, given),
                OpsKind::UnTracked(prepared) => prepared.finish(given),
            };
            Tensor::from_primitive::<Autodiff<Flex>>(given)
        }
        None => composed(maps, &places, bins),
    }
}

/// The same of ordinary operations.
pub(super) fn composed(maps: Tensor<4>, places: &Places, bins: usize) -> Tensor<4> {
    let ([images, channels, height, width], device) = (maps.dims(), maps.device());
    let cells = places.index.len() / places.each;
    let index: Vec<i64> = places.index.iter().map(|index| i64::from(*index)).collect();
    let index = Tensor::<1, Int>::from_data(TensorData::new(index, [places.index.len()]), &device);
    let weight = TensorData::new(places.weight.clone(), [cells, places.each, 1]);
    let weight = Tensor::<3>::from_data(weight, &device);
    let rows = maps.permute([0, 2, 3, 1]).reshape([images * height * width, channels]);
    let picked = rows.select(0, index).reshape([cells, places.each, channels]) * weight;
    let sums = picked.sum_dim(1).reshape([cells / (bins * bins), bins, bins, channels]);
    sums.permute([0, 3, 1, 2])
}

#[derive(Debug)]
struct Pool {
    size: [usize; 4],
    bins: usize,
}

impl Backward<Flex, 1> for Pool {
    type State = Places;

    fn backward(self, ops: Ops<Places, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ordered(&gradients.consume::<Flex>(&ops.node));
        let [images, channels, height, width] = self.size;
        let given = pool_backward(values(&gradient), (images, channels, height * width), &ops.state, self.bins);
        let given = tensor(given, self.size);
        give(ops, gradients, [Some(given)]);
    }
}
