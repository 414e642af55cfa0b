//! Chips with objects, made ready for the detector.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use skysense_contract::{Checksum, Input, Modality};
use skysense_detect::{Object, RotatedBox, cut};

use super::samples::DetectionSamples;
use crate::augment::Turn;
use crate::dataset::{Bands, prepare_series};
use crate::pool::{Pool, Ready};
use crate::samples::Samples;
use crate::split::Split;
use crate::{Sample, TrainError, Use};

/// A chip that is ready.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    /// `[band, side, side]` in the contract's unit.
    pub(super) pixels: Vec<f32>,
    pub(super) side: usize,
    pub(super) objects: Vec<Object>,
    pub(super) part: Part,
}

/// What a chip is for. One that touches blocks of both kinds is for neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Trains,
    Validates,
    Neither,
}

impl Image {
    /// Adds all that it holds to a checksum.
    pub(super) fn tell(&self, sum: &mut Checksum) {
        sum.floats(&self.pixels);
        for Object { area, class, ignored } in &self.objects {
            sum.floats(&[area.centre[0], area.centre[1], area.size[0], area.size[1], area.angle]);
            sum.add(&[*class as u8, u8::from(*ignored)]);
        }
        sum.add(&[self.part as u8]);
    }

    /// The same, turned.
    pub(super) fn turned(&self, turn: Turn) -> Self {
        let area = |area: &RotatedBox| {
            let side = self.side as f32;
            let turned = RotatedBox::from_corners(area.corners().map(|corner| turn.point(corner, side)));
            // A quarter turn of an upright box is upright: its sides change their names.
            if area.angle == 0.0 { turned.bounds() } else { turned }
        };
        Self {
            pixels: turn.planes(&self.pixels, self.side),
            objects: self.objects.iter().map(|object| Object { area: area(&object.area), ..*object }).collect(),
            ..*self
        }
    }
}

impl Ready for Image {
    fn pixels(&mut self) -> impl Iterator<Item = &mut Vec<f32>> {
        std::iter::once(&mut self.pixels)
    }
}

/// What a detector reads of a chip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) input: &'a Input,
    pub(super) bands: &'a Bands,
    /// Side of a chip on the 10 m grid.
    pub(super) size: usize,
    pub(super) classes: usize,
    pub(super) rotated: bool,
}

impl Reading<'_> {
    /// Brings a chip to what the detector reads; one without a valid pixel gives nothing.
    pub(super) fn image(&self, image: &Sample, objects: &[Object]) -> Result<Option<Image>, String> {
        let Some(series) = image.series.get(&Modality::Hr) else { return Ok(None) };
        let side = self.size * self.input.scale;
        let (prepared, _) = prepare_series(series, self.input, self.bands, side)?;
        let Some(last) = prepared.days.len().checked_sub(1) else { return Ok(None) };
        let length = self.input.bands.len() * side * side;
        let pixels = prepared.pixels[last * length..].to_vec();
        let mut whole = Vec::new();
        for object in objects {
            if object.class >= self.classes {
                return Err(format!("an object has the class {}, expected one below {}", object.class, self.classes));
            }
            whole.extend(cut(object, [side as f32; 2], self.rotated).map_err(|error| error.to_string())?);
        }
        Ok(Some(Image { pixels, side, objects: whole, part: Part::Trains }))
    }

    /// The same of all chips, one by one, with the place of each image among them. Pixels of spooled ones are spooled as
    /// well.
    pub(super) fn images(
        &self,
        samples: &dyn DetectionSamples,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(Vec<usize>, Pool<Image>), TrainError> {
        let (mut places, mut images) = (Vec::new(), Pool::new(samples.spool())?);
        for index in 0..samples.count() {
            if cancelled() {
                return Err(TrainError::Cancelled { step: 0 });
            }
            let image = self.image(&*samples.sample(index)?, samples.objects(index));
            if let Some(image) = image.map_err(|fault| TrainError::Sample { sample: index, fault })? {
                places.push(index);
                images.push(image)?;
            }
        }
        Ok((places, images))
    }
}

/// Side of the blocks that validate, in pixels of the map. A chip that is larger than a block would touch several, of both
/// kinds as a rule, and be of no use: blocks of four chips a side leave most chips whole. Our choice.
pub(super) fn block_side(chip_size: usize, block: usize) -> usize {
    if chip_size > block { 4 * chip_size } else { block }
}

/// Says which chips train and which validate: those whose pixels all do, where that is given, else those that lie in blocks
/// of one kind alone.
pub(super) fn divide(
    samples: &dyn Samples,
    (places, images): (&[usize], &mut [Image]),
    split: &Split,
    size: usize,
    block: usize,
) {
    for (index, image) in places.iter().zip(images) {
        let sample = samples.outline(*index);
        if let Some(uses) = sample.uses {
            let all = |wanted: Use| !uses.is_empty() && uses.iter().all(|given| *given == wanted);
            image.part = match (all(Use::Trains), all(Use::Validates)) {
                (true, _) => Part::Trains,
                (_, true) => Part::Validates,
                _ => Part::Neither,
            };
            continue;
        }
        let [x, y] = sample.origin;
        let step = block.min(size).max(1);
        let places = |from: i64| (0..size).step_by(step).chain([size - 1]).map(move |at| from + at as i64);
        let mut kinds = places(y).flat_map(|y| places(x).map(move |x| split.validates(x, y)));
        let first = kinds.next().unwrap_or_default();
        image.part = match kinds.all(|kind| kind == first) {
            false => Part::Neither,
            true if first => Part::Validates,
            true => Part::Trains,
        };
    }
}

/// Objects by block of the map, so that a split can be made of them; a chip without one counts as a little.
pub(super) fn blocks(
    samples: &dyn Samples,
    (places, images): (&[usize], &[Image]),
    size: usize,
    block: usize,
) -> BTreeMap<(i64, i64), usize> {
    let mut blocks = BTreeMap::new();
    for (index, image) in places.iter().zip(images) {
        let [x, y] = samples.outline(*index).origin;
        let middle = Split::block_of(block, x + size as i64 / 2, y + size as i64 / 2);
        *blocks.entry(middle).or_insert(0) += 1;
        for object in image.objects.iter().filter(|object| !object.ignored) {
            let at = |axis: usize| (object.area.centre[axis] * size as f32 / image.side as f32) as i64;
            *blocks.entry(Split::block_of(block, x + at(0), y + at(1))).or_insert(0) += 4;
        }
    }
    blocks
}

/// Normalised pixels of images, `[batch, band, height, width]`.
pub(super) fn stack(images: &[&Image], input: &Input, device: &Device) -> Tensor<4> {
    let (bands, side) = (input.bands.len(), images[0].side);
    let mut pixels = Vec::with_capacity(images.len() * bands * side * side);
    for image in images {
        for (at, value) in image.pixels.iter().enumerate() {
            let band = at / (side * side);
            pixels.push((value - input.mean[band] as f32) / input.std[band] as f32);
        }
    }
    Tensor::from_data(TensorData::new(pixels, [images.len(), bands, side, side]), device)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use skysense_metric::Shape;

    use super::*;

    #[test]
    fn objects_turn_with_their_pixels() {
        let side = 8;
        for (seed, angle) in (0..24).map(|seed| (seed, if seed % 2 == 0 { 0.0 } else { 0.4 })) {
            let turn = Turn::draw(&mut ChaCha8Rng::seed_from_u64(seed));
            // One pixel is bright, and an object has its middle there.
            let mut pixels = vec![0.0; side * side];
            pixels[2 * side + 5] = 1.0;
            let area = RotatedBox { centre: [5.5, 2.5], size: [4.0, 2.0], angle };
            let object = Object { area, class: 0, ignored: false };
            let image = Image { pixels, side, objects: vec![object], part: Part::Trains };
            let turned = image.turned(turn);
            let bright = turned.pixels.iter().position(|value| *value == 1.0).unwrap();
            let found = turned.objects[0].area;
            let middle = [(bright % side) as f32 + 0.5, (bright / side) as f32 + 0.5];
            assert!((0..2).all(|axis| (found.centre[axis] - middle[axis]).abs() < 1e-5), "{turn:?}: {found:?}");
            let corners = area.corners().map(|corner| turn.point(corner, side as f32).map(f64::from));
            let expected = skysense_metric::Quad::new(corners).unwrap();
            assert!(found.quad().unwrap().iou(&expected) > 0.999, "{turn:?}: {found:?}");
            assert!(angle != 0.0 || found.angle == 0.0);
        }
    }

    fn image(side: usize) -> Image {
        Image { pixels: Vec::new(), side, objects: Vec::new(), part: Part::Trains }
    }

    #[test]
    fn a_chip_is_used_as_all_of_its_pixels_are() {
        let uses = [[Use::Trains; 2], [Use::Validates; 2], [Use::Trains, Use::Validates], [Use::Neither; 2]];
        let samples = uses.map(|uses| Sample { uses: Some(uses.to_vec()), ..Sample::default() });
        let mut images = vec![image(2); 4];
        divide(&samples, (&[0, 1, 2, 3], &mut images), &Split::new(8, 0.0, &BTreeMap::new(), 1), 2, 8);
        let parts: Vec<Part> = images.iter().map(|image| image.part).collect();
        assert_eq!(parts, [Part::Trains, Part::Validates, Part::Neither, Part::Neither]);
    }

    #[test]
    fn most_chips_that_are_larger_than_a_block_train_or_validate() {
        for (size, least) in [(8, 0.99), (16, 0.99), (32, 0.5), (64, 0.5)] {
            let block = block_side(size, 16);
            // A map of 16 × 16 chips that begins anywhere.
            let place = |at: usize| [3 + (at % 16 * size) as i64, 5 + (at / 16 * size) as i64];
            let origin =
                |at: usize| if size <= 16 { [at % 16, at / 16].map(|at| (at * size) as i64) } else { place(at) };
            let samples: Vec<Sample> = (0..256).map(|at| Sample { origin: origin(at), ..Sample::default() }).collect();
            let (places, mut images) = ((0..256).collect::<Vec<_>>(), vec![image(size); 256]);
            let split = Split::new(block, 0.25, &blocks(&samples, (&places, &images), size, block), 7);
            divide(&samples, (&places, &mut images), &split, size, block);
            let share = |part| images.iter().filter(|image| image.part == part).count() as f64 / 256.0;
            let (trains, validates) = (share(Part::Trains), share(Part::Validates));
            assert!(validates > 0.1 && trains + validates > least, "{size}: {trains} train, {validates} validate");
        }
    }
}
