//! What is put on the features: a file for each kind of head, and one table.

mod change;
mod pixel;
mod scene;
mod segmentation;
mod uper;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::onnx::{Graph, Value};

pub use change::{ChangeHead, ChangeHeadConfig};
pub use pixel::{PixelHead, PixelHeadConfig};
pub use scene::{SceneHead, SceneHeadConfig};
pub use segmentation::{SegmentationHead, SegmentationHeadConfig};
pub use uper::{UperHead, UperHeadConfig};

/// Shape of a [`Head`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadConfig {
    /// See [`SegmentationHead`].
    Light(SegmentationHeadConfig),
    /// See [`UperHead`].
    Uper(UperHeadConfig),
    /// See [`SceneHead`].
    Scene(SceneHeadConfig),
    /// See [`ChangeHead`].
    Change(ChangeHeadConfig),
    /// See [`PixelHead`].
    Pixel(PixelHeadConfig),
}

/// A head of any kind. Its parameters have the names of the module inside.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a model has one head, which is moved a few times in its life")]
pub enum Head {
    /// See [`SegmentationHead`].
    Light(SegmentationHead),
    /// See [`UperHead`].
    Uper(UperHead),
    /// See [`SceneHead`].
    Scene(SceneHead),
    /// See [`ChangeHead`].
    Change(ChangeHead),
    /// See [`PixelHead`].
    Pixel(PixelHead),
}

impl HeadConfig {
    /// A head with fresh weights.
    pub fn init(&self, device: &Device) -> Head {
        match self {
            Self::Light(config) => Head::Light(config.init(device)),
            Self::Uper(config) => Head::Uper(config.init(device)),
            Self::Scene(config) => Head::Scene(config.init(device)),
            Self::Change(config) => Head::Change(config.init(device)),
            Self::Pixel(config) => Head::Pixel(config.init(device)),
        }
    }
}

impl Head {
    /// Features `[batch, channel, height, width]` → `[batch, class, height, width]`.
    pub fn forward(&self, features: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Light(head) => head.forward(features),
            Self::Uper(head) => head.forward(features),
            Self::Scene(head) => head.forward(features),
            Self::Change(head) => head.forward(features),
            Self::Pixel(head) => head.forward(features),
        }
    }

    /// The nodes of [`Head::forward`] for features of a size.
    pub(crate) fn onnx(&self, graph: &mut Graph, features: &Value, size: [usize; 2]) -> Value {
        match self {
            Self::Light(head) => head.onnx(graph, features),
            Self::Uper(head) => head.onnx(graph, features, size),
            Self::Scene(head) => head.onnx(graph, features, size),
            Self::Change(head) => head.onnx(graph, features),
            Self::Pixel(head) => head.onnx(graph, features),
        }
    }

    /// Channels of what it gives.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Light(head) => head.classes(),
            Self::Uper(head) => head.classes(),
            Self::Scene(head) => head.classes(),
            Self::Change(head) => head.classes(),
            Self::Pixel(head) => head.classes(),
        }
    }
}
