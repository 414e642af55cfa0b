//! Between tensors of the network and the arithmetic of boxes.

use burn::tensor::{Int, Tensor, TensorData};
use skysense_contract::Detector;
use skysense_detect::{Found, LevelMaps, Region, RotatedBox, anchors, detections, proposals};
use skysense_metric::MetricError;
use skysense_model::{Dense, DetectorNetwork, Tape};

use crate::TrainError;

impl From<MetricError> for TrainError {
    fn from(error: MetricError) -> Self {
        Self::Model(error.to_string())
    }
}

/// Anchors of all levels for images of a side.
pub(super) fn all_anchors(detector: &Detector, side: usize) -> Vec<Vec<RotatedBox>> {
    detector.strides.iter().map(|stride| anchors(detector, *stride, [side; 2])).collect()
}

/// Proposals of each image of a batch, which no gradient goes through.
pub(super) fn propose(
    detector: &Detector,
    dense: &Dense,
    anchors: &[Vec<RotatedBox>],
    side: usize,
) -> Result<Vec<Vec<RotatedBox>>, TrainError> {
    let images = dense.objectness[0].dims()[0];
    let plain = |maps: &[Tensor<4>]| -> Vec<Vec<f32>> {
        maps.iter().map(|map| map.clone().into_data().iter::<f32>().collect()).collect()
    };
    let (objectness, codes) = (plain(&dense.objectness), plain(&dense.codes));
    let of_image = |values: &'_ [f32], image: usize| {
        let length = values.len() / images;
        image * length..(image + 1) * length
    };
    let one = |image: usize| {
        let levels: Vec<LevelMaps<'_>> = anchors
            .iter()
            .zip(objectness.iter().zip(&codes))
            .map(|(anchors, (logits, told))| LevelMaps {
                anchors,
                objectness: &logits[of_image(logits, image)],
                codes: &told[of_image(told, image)],
            })
            .collect();
        let found = proposals(detector, &levels, [side as f32; 2])?;
        Ok(found.into_iter().map(|(area, _)| area).collect())
    };
    (0..images).map(one).collect()
}

/// Objects of each image of a batch of normalised pixels.
pub(super) fn detect(network: &DetectorNetwork, pixels: Tensor<4>) -> Result<Vec<Vec<Found>>, TrainError> {
    let (detector, side) = (network.detector(), pixels.dims()[2]);
    let dense = network.dense(&Tape::off(), pixels, false);
    let proposed = propose(detector, &dense, &all_anchors(detector, side), side)?;
    let regions: Vec<Region> = proposed
        .iter()
        .enumerate()
        .flat_map(|(image, areas)| areas.iter().map(move |area| Region { image, area: *area }))
        .collect();
    if regions.is_empty() {
        return Ok(vec![Vec::new(); proposed.len()]);
    }
    let (logits, codes) = judge(network, &dense, &regions);
    let (classes, width) = (logits.len() / regions.len(), codes.len() / regions.len());
    let mut from = 0;
    let mut found = Vec::with_capacity(proposed.len());
    for areas in &proposed {
        let end = from + areas.len();
        let judged = (&logits[from * classes..end * classes], &codes[from * width..end * width]);
        found.push(detections(detector, areas, judged, [side as f32; 2])?);
        from = end;
    }
    Ok(found)
}

/// What the second stage says of regions, in their order.
pub(super) fn judge(network: &DetectorNetwork, dense: &Dense, regions: &[Region]) -> (Vec<f32>, Vec<f32>) {
    let (judged, order) = network.judge(dense, regions);
    let mut back = vec![0_i64; order.len()];
    order.iter().enumerate().for_each(|(at, region)| back[*region] = at as i64);
    let back = Tensor::<1, Int>::from_data(TensorData::new(back, [order.len()]), &judged.logits.device());
    let plain = |rows: Tensor<2>| rows.select(0, back.clone()).into_data().iter::<f32>().collect();
    (plain(judged.logits), plain(judged.codes))
}
