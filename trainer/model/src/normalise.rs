//! Normalising pixels: `(pixel − mean) / std` for each band.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::onnx::{Graph, Value};

/// Mean and deviation of each band in the pixels' unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// Mean of each band.
    pub mean: Vec<f64>,
    /// Standard deviation of each band.
    pub std: Vec<f64>,
}

impl Normalisation {
    /// Constants of the official family's `dataset_colors.py` for eight-bit red, green and blue.
    pub fn hr() -> Self {
        let scaled = |values: [f64; 3]| values.map(|value| value * 255.0).to_vec();
        Self { mean: scaled([0.485, 0.456, 0.406]), std: scaled([0.229, 0.224, 0.225]) }
    }

    /// Constants of the same file for Sentinel-2 in reflectance × 10000, bands 2, 3, 4, 5, 6, 7, 8, 8A, 11, 12.
    pub fn s2() -> Self {
        Self {
            mean: vec![
                884.29673756,
                1144.16202635,
                1297.47289228,
                1624.90992062,
                2194.6423161,
                2422.21248945,
                2517.76053101,
                2581.64687018,
                2368.51236873,
                1805.06846033,
            ],
            std: vec![
                1155.15170768,
                1183.6292542,
                1368.11351514,
                1370.265037,
                1355.55390699,
                1416.51487101,
                1474.78900051,
                1439.3086061,
                1455.52084939,
                1343.48379601,
            ],
        }
    }

    /// Constants of the same file for Sentinel-1 in dB, VV and VH.
    pub fn s1() -> Self {
        Self { mean: vec![-12.54847273, -20.19237134], std: vec![5.25697717, 5.91150917] }
    }

    /// `[batch, band, height, width]` → the same shape.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        let device = pixels.device();
        (pixels - tensor(&self.mean, &device)) / tensor(&self.std, &device)
    }

    /// The nodes of [`Normalisation::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, pixels: &Value) -> Value {
        let bands = [1, self.mean.len(), 1, 1];
        let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
        let (mean, std) =
            (graph.floats("mean", &single(&self.mean), &bands), graph.floats("std", &single(&self.std), &bands));
        let centred = graph.op("Sub", &[pixels, &mean], &[]);
        graph.op("Div", &[&centred, &std], &[])
    }
}

fn tensor(values: &[f64], device: &Device) -> Tensor<4> {
    let single: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let bands = single.len();
    Tensor::from_data(TensorData::new(single, [1, bands, 1, 1]), device)
}
