//! Geo-context: what a region's prototypes say about a place.
//!
//! `F = concat(F, softmax(Q·Kᵀ / √d)·V)` with `Q` the fused features and `K = V` the prototypes of the chip's region.
//! The paper gives the formula and neither the width of the prototypes nor whether there are projections; here the
//! prototypes have the width of the features and there are none, which is our choice.

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::onnx::{Attribute, Graph, Value};

/// Shape of a [`GeoContext`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoContextConfig {
    /// Number of regions; 4096 in the paper.
    pub regions: usize,
    /// Prototypes of a region; 100 in the paper.
    pub prototypes: usize,
    /// Channels of the fused features.
    pub channels: usize,
}

/// See the module.
#[derive(Module, Debug)]
pub struct GeoContext {
    /// `[region, prototype, channel]`.
    prototypes: Param<Tensor<3>>,
}

impl GeoContextConfig {
    /// Prototypes with fresh values.
    pub fn init(&self, device: &Device) -> GeoContext {
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        GeoContext { prototypes: normal.init([self.regions, self.prototypes, self.channels], device) }
    }
}

impl GeoContext {
    /// All of them, `[region, prototype, channel]`.
    pub fn prototypes(&self) -> Tensor<3> {
        self.prototypes.val()
    }

    /// With others, which no gradient changes.
    #[must_use]
    pub fn with_prototypes(self, prototypes: Tensor<3>) -> Self {
        let prototypes = prototypes.detach().set_require_grad(false);
        Self { prototypes: Param::initialized(self.prototypes.id, prototypes) }
    }

    /// Channels of a prototype, and of the features that go in.
    pub fn channels(&self) -> usize {
        self.prototypes.dims()[2]
    }

    /// Features `[batch, channel, height, width]` and regions `[batch]` → `[batch, 2 · channel, height, width]`.
    pub fn forward(&self, features: Tensor<4>, region: Tensor<1, Int>) -> Tensor<4> {
        let [batch, channel, height, width] = features.dims();
        let prototypes = self.prototypes.val().select(0, region);
        let query = features.clone().reshape([batch, channel, height * width]).swap_dims(1, 2);
        let logits = query.matmul(prototypes.clone().swap_dims(1, 2)) * (channel as f64).powf(-0.5);
        let context = softmax(logits, 2).matmul(prototypes).swap_dims(1, 2).reshape([batch, channel, height, width]);
        Tensor::cat(vec![features, context], 1)
    }

    /// The nodes of [`GeoContext::forward`].
    pub(crate) fn onnx(
        &self,
        graph: &mut Graph,
        features: &Value,
        region: &Value,
        [height, width]: [usize; 2],
    ) -> Value {
        let channel = self.channels();
        let table = graph.parameter("prototypes", self.prototypes.val());
        let prototypes = graph.op("Gather", &[&table, region], &[]);
        let rows = graph.reshape(features, &[0, 0, -1]);
        let query = graph.permute(&rows, &[0, 2, 1]);
        let keys = graph.permute(&prototypes, &[0, 2, 1]);
        let logits = graph.op("MatMul", &[&query, &keys], &[]);
        let scale = graph.float((channel as f32).powf(-0.5));
        let logits = graph.op("Mul", &[&logits, &scale], &[]);
        let weights = graph.op("Softmax", &[&logits], &[("axis", Attribute::Int(-1))]);
        let context = graph.op("MatMul", &[&weights, &prototypes], &[]);
        let context = graph.permute(&context, &[0, 2, 1]);
        let context = graph.reshape(&context, &[0, 0, height as i64, width as i64]);
        graph.concat(&[features, &context], 1)
    }
}
