//! A batch as the encoders give it: features of each modality by itself, and all of them fused.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::Tensor;
use skysense_contract::Modality;
use skysense_model::{Precision, SkySense, Tape, Tokens};

use crate::batch::Batch;
use crate::network::tokens;

/// What the encoders give for a batch, for several readers.
pub(crate) struct Encoded {
    tokens: Tokens,
    places: BTreeMap<Modality, Range<usize>>,
}

impl Encoded {
    pub(crate) fn new(encoder: &SkySense, tape: &Tape, batch: &Batch, precision: Precision) -> Self {
        let mut tokens = tokens(encoder, tape, batch, precision);
        // Those who look at modalities and the fusion both read them.
        tokens.features = tape.junction(tokens.features);
        Self { tokens, places: batch.places() }
    }

    /// Features of a modality, `[image, pixel, channel]` with the images of `[batch, time]`; `None` where the batch lacks it.
    pub(crate) fn modality(&self, modality: Modality) -> Option<Tensor<3>> {
        let place = self.places.get(&modality)?;
        let part = self.tokens.features.clone().narrow(1, place.start, place.len());
        let [batch, time, channel, height, width] = part.dims();
        Some(part.permute([0, 1, 3, 4, 2]).reshape([batch * time, height * width, channel]))
    }

    /// Fused features, `[batch, channel, height, width]`.
    pub(crate) fn fused(self, encoder: &SkySense, tape: &Tape) -> Tensor<4> {
        encoder.fusion.forward_on(tape, self.tokens)
    }
}
