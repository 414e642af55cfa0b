//! Cosine attention in windows on packed projections.

use rayon::prelude::*;

use crate::attention::{Attention, Rows, Written, product, softmax_backward};
use crate::columns;
use crate::math::{exp, sum};
use crate::wide::wide;

/// Windows of a part. Fixed, so that the gradients of what all windows share do not depend on the number of threads.
const WINDOWS: usize = 4;

/// Shorter vectors are divided by this instead of their length.
const TINY: f32 = 1e-12;

/// `softmax(scale · cos(q, k) + bias + mask)·v` for each head of each window.
#[derive(Debug, Clone, Copy)]
pub struct WindowAttention<'a> {
    /// Tokens of a window, heads, and channels of a head.
    pub shape: Attention,
    /// One for each head.
    pub scale: &'a [f32],
    /// `[head, query, key]`.
    pub bias: &'a [f32],
    /// `[window, query, key]`, over and over for window after window; `None` where all tokens see each other.
    pub mask: Option<&'a [f32]>,
}

/// What [`WindowAttention::backward`] gives.
#[derive(Debug)]
pub struct WindowGradients {
    /// As the packed projections.
    pub packed: Vec<f32>,
    /// One for each head.
    pub scale: Vec<f32>,
    /// `[head, query, key]`.
    pub bias: Vec<f32>,
}

/// Queries or keys of one head, made as long as one, and the lengths that they had.
#[derive(Default)]
struct Unit {
    values: Vec<f32>,
    lengths: Vec<f32>,
}

/// What a thread holds for the moment.
#[derive(Default)]
struct Scratch {
    query: Unit,
    key: Unit,
    /// Gradient of the weights, then of the logits.
    steep: Vec<f32>,
    /// Gradient of unit vectors.
    turn: Vec<f32>,
}

impl WindowAttention<'_> {
    /// Packed queries, keys and values `[window, token, 3 · channel]` → the joined heads `[window, token, channel]`, and
    /// the weights `[window, head, query, key]` for the backward pass.
    pub fn forward(self, packed: &[f32]) -> [Vec<f32>; 2] {
        let (tokens, channels) = (self.shape.tokens, self.shape.channels());
        let (row, square) = (3 * channels, self.shape.heads * tokens * tokens);
        self.check();
        let windows = packed.len() / (tokens * row);
        let (mut joined, mut weights) = (vec![0.0; windows * tokens * channels], vec![0.0; windows * square]);
        let parts = joined.par_chunks_mut(tokens * channels).zip(weights.par_chunks_mut(square));
        let parts = parts.zip(packed.par_chunks(tokens * row)).enumerate();
        parts.for_each_init(Scratch::default, |scratch, (window, ((joined, weights), packed))| {
            self.window(packed, self.mask_of(window), joined, weights, scratch);
        });
        [joined, weights]
    }

    /// Gradients from what [`WindowAttention::forward`] was given, the weights that it gave, and the gradient of the joined
    /// heads.
    pub fn backward(self, packed: &[f32], weights: &[f32], gradient: &[f32]) -> WindowGradients {
        let (tokens, channels, heads) = (self.shape.tokens, self.shape.channels(), self.shape.heads);
        let (row, square) = (3 * channels, heads * tokens * tokens);
        self.check();
        let mut given = vec![0.0; packed.len()];
        let parts = given
            .par_chunks_mut(WINDOWS * tokens * row)
            .zip(packed.par_chunks(WINDOWS * tokens * row))
            .zip(weights.par_chunks(WINDOWS * square))
            .zip(gradient.par_chunks(WINDOWS * tokens * channels));
        let sums: Vec<Vec<f32>> = parts
            .map_init(Scratch::default, |scratch, (((given, packed), weights), gradient)| {
                // Gradients of the bias, then of the scale.
                let mut sums = vec![0.0; square + heads];
                let windows = given.chunks_exact_mut(tokens * row).zip(packed.chunks_exact(tokens * row));
                let windows = windows.zip(weights.chunks_exact(square)).zip(gradient.chunks_exact(tokens * channels));
                for (((given, packed), weights), gradient) in windows {
                    self.window_backward(packed, weights, gradient, given, &mut sums, scratch);
                }
                sums
            })
            .collect();
        let mut bias = columns::join(sums, square + heads);
        let scale = bias.split_off(square);
        WindowGradients { packed: given, scale, bias }
    }

    fn check(self) {
        let Attention { tokens, heads, .. } = self.shape;
        let mask = self.mask.map_or(0, <[f32]>::len);
        assert!(
            self.scale.len() == heads
                && self.bias.len() == heads * tokens * tokens
                && mask.is_multiple_of(tokens * tokens),
            "a scale for each head, a bias for each of its pairs, and whole masks"
        );
    }

    fn mask_of(&self, window: usize) -> &[f32] {
        let square = self.shape.tokens * self.shape.tokens;
        self.mask.map_or(&[], |mask| {
            let at = window % (mask.len() / square);
            &mask[at * square..(at + 1) * square]
        })
    }

    fn window(self, packed: &[f32], mask: &[f32], joined: &mut [f32], weights: &mut [f32], scratch: &mut Scratch) {
        let Attention { tokens, width, .. } = self.shape;
        let (channels, square) = (self.shape.channels(), tokens * tokens);
        for (head, weights) in weights.chunks_exact_mut(square).enumerate() {
            let [query, key, value] = self.sources(packed, head);
            scratch.query.fill(query, tokens, width);
            scratch.key.fill(key, tokens, width);
            let logits = Written { first: weights.as_mut_ptr(), row: tokens };
            let [query, key] = [&scratch.query, &scratch.key].map(|unit| Rows::new(&unit.values, 0, width));
            // SAFETY: unit vectors were filled for all tokens; the weights of a head are ours alone and as many.
            unsafe { product([tokens, tokens, width], logits, query.plain(), key.turned(), self.scale[head]) };
            softmax(weights, tokens, &self.bias[head * square..(head + 1) * square], mask);
            let joined = Written { first: joined[head * width..].as_mut_ptr(), row: channels };
            let weights = Rows::new(weights, 0, tokens);
            // SAFETY: the values hold their rows, as `sources` checked; the head's columns of a window's tokens are ours
            // alone.
            unsafe { product([tokens, width, tokens], joined, weights.plain(), value.plain(), 1.0) };
        }
    }

    fn window_backward(
        self,
        packed: &[f32],
        weights: &[f32],
        gradient: &[f32],
        given: &mut [f32],
        sums: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let Attention { tokens, width, heads } = self.shape;
        let (channels, square) = (self.shape.channels(), tokens * tokens);
        let (of_bias, of_scale) = sums.split_at_mut(heads * square);
        let Scratch { query: query_unit, key: key_unit, steep, turn } = scratch;
        steep.resize(square, 0.0);
        turn.resize(tokens * width, 0.0);
        for (head, weights) in weights.chunks_exact(square).enumerate() {
            let [query, key, value] = self.sources(packed, head);
            query_unit.fill(query, tokens, width);
            key_unit.fill(key, tokens, width);
            let gradient = Rows::new(gradient, head * width, channels);
            gradient.check(tokens, width);
            let plain = Rows::new(weights, 0, tokens);
            let to_value = Written { first: given[2 * channels + head * width..].as_mut_ptr(), row: 3 * channels };
            let to_steep = Written { first: steep.as_mut_ptr(), row: tokens };
            // SAFETY: sources hold their rows, as was checked; a window's tokens have these columns, which are ours alone,
            // and `steep` has a place for each pair.
            unsafe {
                product([tokens, width, tokens], to_value, plain.turned(), gradient.plain(), 1.0);
                product([tokens, tokens, width], to_steep, gradient.plain(), value.turned(), 1.0);
            }
            softmax_backward(weights, steep, tokens);
            add(steep, &mut of_bias[head * square..(head + 1) * square]);
            let logits = Rows::new(steep, 0, tokens);
            let units = [Rows::new(&query_unit.values, 0, width), Rows::new(&key_unit.values, 0, width)];
            let to_turn = Written { first: turn.as_mut_ptr(), row: width };
            // SAFETY: as above; `turn` has a place for each value of a head.
            unsafe { product([tokens, width, tokens], to_turn, logits.plain(), units[1].plain(), 1.0) };
            // Σ steep · cos = Σ q̂ · (steep · k̂).
            of_scale[head] += sum([&query_unit.values, turn], |[unit, turn]| unit * turn);
            let to_query = &mut given[head * width..];
            straighten(turn, &query_unit.values, &query_unit.lengths, self.scale[head], to_query, 3 * channels);
            // SAFETY: as above.
            unsafe { product([tokens, width, tokens], to_turn, logits.turned(), units[0].plain(), 1.0) };
            let to_key = &mut given[channels + head * width..];
            straighten(turn, &key_unit.values, &key_unit.lengths, self.scale[head], to_key, 3 * channels);
        }
    }

    /// Queries, keys and values of a head.
    fn sources<'a>(&self, packed: &'a [f32], head: usize) -> [Rows<'a>; 3] {
        let (channels, width) = (self.shape.channels(), self.shape.width);
        let sources = [0, 1, 2].map(|part| Rows::new(packed, part * channels + head * width, 3 * channels));
        sources.iter().for_each(|rows| rows.check(self.shape.tokens, width));
        sources
    }
}

impl Unit {
    fn fill(&mut self, rows: Rows<'_>, tokens: usize, width: usize) {
        self.values.resize(tokens * width, 0.0);
        self.lengths.resize(tokens, 0.0);
        unit(rows.values(), rows.step(), &mut self.values, &mut self.lengths);
    }
}

wide! {
    /// Rows that lie apart by `step` values, made as long as one, and their lengths.
    fn unit(rows: &[f32], step: usize, units: &mut [f32], lengths: &mut [f32]) {
        let width = units.len() / lengths.len();
        for (at, (unit, length)) in units.chunks_exact_mut(width).zip(lengths).enumerate() {
            let row = &rows[at * step..at * step + width];
            *length = sum([row], |[value]| value * value).sqrt();
            // Padding makes zeros, which have no direction.
            *length = if *length < TINY { TINY } else { *length };
            let inverse = 1.0 / *length;
            for (unit, value) in unit.iter_mut().zip(row) {
                *unit = value * inverse;
            }
        }
    }
}

wide! {
    /// Gradients of vectors, from those of the unit vectors over `scale`: what is along the vector falls away.
    fn straighten(turn: &[f32], units: &[f32], lengths: &[f32], scale: f32, given: &mut [f32], step: usize) {
        let width = units.len() / lengths.len();
        for (at, ((turn, unit), length)) in turn.chunks_exact(width).zip(units.chunks_exact(width)).zip(lengths).enumerate() {
            let along = sum([turn, unit], |[turn, unit]| turn * unit);
            let factor = scale / length;
            for ((given, turn), unit) in given[at * step..at * step + width].iter_mut().zip(turn).zip(unit) {
                *given = factor * (turn - along * unit);
            }
        }
    }
}

wide! {
    fn add(values: &[f32], sum: &mut [f32]) {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

wide! {
    /// Softmax of each row after bias and mask, which may be empty, were added to it.
    fn softmax(rows: &mut [f32], length: usize, bias: &[f32], mask: &[f32]) {
        for (at, row) in rows.chunks_exact_mut(length).enumerate() {
            let place = at * length..(at + 1) * length;
            for (value, bias) in row.iter_mut().zip(&bias[place.clone()]) {
                *value += bias;
            }
            for (value, mask) in row.iter_mut().zip(mask.get(place).unwrap_or(&[])) {
                *value += mask;
            }
            let most = row.iter().fold(f32::NEG_INFINITY, |most, &value| if value > most { value } else { most });
            for value in row.iter_mut() {
                *value = exp(*value - most);
            }
            let share = 1.0 / sum([row], |[value]| value);
            for value in row.iter_mut() {
                *value *= share;
            }
        }
    }
}
