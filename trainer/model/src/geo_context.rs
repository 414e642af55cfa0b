//! Geo-context: what a region's prototypes say about a place.
//!
//! `F = concat(F, softmax(Q·Kᵀ / √d)·V)` with `Q` the fused features and `K = V` the prototypes of the chip's region.
//! The paper gives the formula and neither the width of the prototypes nor whether there are projections. Both readings
//! are settings: prototypes as wide as the features without projections, or with a width of their own, to which the
//! features are projected for the query, and from which what the prototypes say is projected back to the features'
//! channels. That the projections are two linear maps without bias is our choice.

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::linear::Linear;
use crate::onnx::{Attribute, Graph, Value};
use crate::precision::{like, single};

/// Shape of a [`GeoContext`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoContextConfig {
    /// Number of regions; 4096 in the paper.
    pub regions: usize,
    /// Prototypes of a region; 100 in the paper.
    pub prototypes: usize,
    /// Channels of the fused features.
    pub channels: usize,
    /// Width of the prototypes, where they have one of their own and projections; else that of the features, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
}

/// See the module.
#[derive(Module, Debug)]
pub struct GeoContext {
    /// `[region, prototype, width]`.
    prototypes: Param<Tensor<3>>,
    /// Features to the width of the prototypes.
    query: Option<Linear>,
    /// What prototypes say, to the channels of the features.
    context: Option<Linear>,
}

impl GeoContextConfig {
    /// Prototypes with fresh values.
    pub fn init(&self, device: &Device) -> GeoContext {
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let projection = |from: usize, to: usize| self.width.is_some().then(|| Linear::new(from, to, false, device));
        let (channels, width) = (self.channels, self.table_width());
        GeoContext {
            prototypes: normal.init([self.regions, self.prototypes, width], device),
            query: projection(channels, width),
            context: projection(width, channels),
        }
    }

    /// Width of the prototypes.
    pub fn table_width(&self) -> usize {
        self.width.unwrap_or(self.channels)
    }
}

impl GeoContext {
    /// The shape it was made with.
    pub fn config(&self) -> GeoContextConfig {
        let [regions, prototypes, width] = self.prototypes.dims();
        let projected = self.query.as_ref().map(|query| query.weight.dims()[1]);
        let channels = projected.unwrap_or(width);
        GeoContextConfig { regions, prototypes, channels, width: projected.map(|_| width) }
    }

    /// Channels of the features that go in.
    pub fn channels(&self) -> usize {
        self.config().channels
    }

    /// All prototypes, `[region, prototype, width]`.
    pub fn prototypes(&self) -> Tensor<3> {
        self.prototypes.val()
    }

    /// With another table of the same shape: prototypes follow features, and no gradient.
    #[must_use]
    pub fn with_prototypes(mut self, table: Tensor<3>) -> Self {
        let table = table.detach().set_require_grad(false);
        self.prototypes = Param::initialized(self.prototypes.id, table);
        self
    }

    /// Features `[…, channel]` in the width of the prototypes, which are compared with these and averages of these.
    pub fn queries<const D: usize>(&self, features: Tensor<D>) -> Tensor<D> {
        match &self.query {
            Some(query) => query.forward(features),
            None => features,
        }
    }

    /// Features `[batch, channel, height, width]` and regions `[batch]` → `[batch, 2 · channel, height, width]`.
    ///
    /// No gradient goes into the prototypes: as in the paper, they follow the features of their region by averages.
    pub fn forward(&self, features: Tensor<4>, region: Tensor<1, Int>) -> Tensor<4> {
        let [batch, channel, height, width] = features.dims();
        let query = self.queries(features.clone().reshape([batch, channel, height * width]).swap_dims(1, 2));
        let prototypes = like(self.prototypes.val().detach().select(0, region), &query);
        let scale = (prototypes.dims()[2] as f64).powf(-0.5);
        let logits = single(query.clone().matmul(prototypes.clone().swap_dims(1, 2))) * scale;
        let context = like(softmax(logits, 2), &query).matmul(prototypes);
        let context = match &self.context {
            Some(project) => project.forward(context),
            None => context,
        };
        let context = context.swap_dims(1, 2).reshape([batch, channel, height, width]);
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
        let table = graph.parameter("prototypes", self.prototypes.val());
        let prototypes = graph.op("Gather", &[&table, region], &[]);
        let rows = graph.reshape(features, &[0, 0, -1]);
        let rows = graph.permute(&rows, &[0, 2, 1]);
        let query = match &self.query {
            Some(query) => query.onnx(graph, &rows),
            None => rows,
        };
        let keys = graph.permute(&prototypes, &[0, 2, 1]);
        let logits = graph.op("MatMul", &[&query, &keys], &[]);
        let scale = graph.float((self.prototypes.dims()[2] as f32).powf(-0.5));
        let logits = graph.op("Mul", &[&logits, &scale], &[]);
        let weights = graph.op("Softmax", &[&logits], &[("axis", Attribute::Int(-1))]);
        let context = graph.op("MatMul", &[&weights, &prototypes], &[]);
        let context = match &self.context {
            Some(project) => project.onnx(graph, &context),
            None => context,
        };
        let context = graph.permute(&context, &[0, 2, 1]);
        let context = graph.reshape(&context, &[0, 0, height as i64, width as i64]);
        graph.concat(&[features, &context], 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One pixel of two channels, a prototype width of one, written out.
    #[test]
    fn the_formula_by_hand() {
        let device = Device::flex();
        let config = GeoContextConfig { regions: 2, prototypes: 2, channels: 2, width: Some(1) };
        let made = config.init(&device);
        assert_eq!(made.config(), config);
        let table = Tensor::<3>::from_floats([[[9.0], [9.0]], [[1.0], [-2.0]]], &device);
        let mut made = made.with_prototypes(table);
        let weights = |rows: [f32; 2]| Param::from_tensor(Tensor::<1>::from_floats(rows, &device).unsqueeze_dim(0));
        made.query.as_mut().unwrap().weight = weights([0.5, 0.25]);
        made.context.as_mut().unwrap().weight = weights([3.0, -1.0]).map(Tensor::transpose);
        let features = Tensor::<1>::from_floats([2.0, 4.0], &device).reshape([1, 2, 1, 1]);
        let found = made.forward(features, Tensor::from_ints([1], &device));
        // The query is 0.5·2 + 0.25·4 = 2; logits 2 and −4.
        let (first, second) = (2_f32.exp(), (-4_f32).exp());
        let context = (first - 2.0 * second) / (first + second);
        let found: Vec<f32> = found.into_data().iter::<f32>().collect();
        for (found, expected) in found.iter().zip([2.0, 4.0, 3.0 * context, -context]) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn a_width_of_their_own_makes_projections() {
        let device = Device::flex();
        let config = GeoContextConfig { regions: 3, prototypes: 5, channels: 8, width: None };
        assert_eq!(config.init(&device).num_params(), 3 * 5 * 8);
        let projected = GeoContextConfig { width: Some(8), ..config.clone() };
        assert_eq!(projected.init(&device).num_params(), 3 * 5 * 8 + 2 * 8 * 8, "as wide, and projected");
        assert_eq!(config.init(&device).config(), config);
    }
}
