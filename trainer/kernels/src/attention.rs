//! Attention of many heads on packed projections, read and written where they lie: no tensor is permuted.

use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use crate::math::{exp, sum};
use crate::wide::wide;

/// Multiplications that are worth a thread of their own; sequences are taken together until they make as many.
const WORTH: usize = 1 << 17;

/// `softmax(q·kᵀ/√width + hidden)·v` for each head.
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// Tokens of a sequence.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub width: usize,
}

/// Attention of the first token of each sequence alone.
#[derive(Debug, Clone, Copy)]
pub struct First(pub Attention);

/// Added to the logits, `[group, token]`: each sequence of a group lacks the same keys.
#[derive(Debug, Clone, Copy)]
pub struct Hidden<'a> {
    /// `[group, token]`.
    pub values: &'a [f32],
    /// Sequences of a group.
    pub members: usize,
}

impl Attention {
    pub(crate) fn channels(self) -> usize {
        self.heads * self.width
    }

    /// Packed queries, keys and values `[sequence, token, 3 · channel]` → the joined heads
    /// `[sequence, token, channel]`, and the weights `[sequence, head, query, key]` for the backward pass.
    pub fn forward(self, packed: &[f32], hidden: Option<Hidden<'_>>) -> [Vec<f32>; 2] {
        let (length, channels) = (self.tokens * 3 * self.channels(), self.channels());
        self.forwards(self.tokens, [packed, packed], [length, length], hidden, |[packed, _]| {
            [0, 1, 2].map(|part| Rows::new(packed, part * channels, 3 * channels))
        })
    }

    /// The gradient of what [`Attention::forward`] was given, in its layout, from that, the weights that it gave, and
    /// the gradient of the joined heads.
    pub fn backward(self, packed: &[f32], weights: &[f32], gradient: &[f32]) -> Vec<f32> {
        let (tokens, channels) = (self.tokens, self.channels());
        let mut given = vec![0.0; packed.len()];
        let (row, square) = (3 * channels, self.heads * tokens * tokens);
        let parts = given
            .par_chunks_mut(tokens * row)
            .zip(packed.par_chunks(tokens * row))
            .zip(weights.par_chunks(square))
            .zip(gradient.par_chunks(tokens * channels))
            .with_min_len(self.together(tokens));
        parts.for_each_init(Vec::new, |scratch, (((given, packed), weights), gradient)| {
            let sources = [0, 1, 2].map(|part| Rows::new(packed, part * channels, row));
            let given = given.as_mut_ptr();
            // SAFETY: three columns of one matrix of `tokens` rows, which do not overlap and which nobody else holds.
            let written = [0, 1, 2].map(|part| unsafe { Written { first: given.add(part * channels), row } });
            self.sequence_backward(tokens, sources, weights, gradient, written, scratch);
        });
        given
    }

    /// Sequences that a thread takes together at least.
    fn together(self, queries: usize) -> usize {
        (WORTH / (queries * self.tokens * self.channels()).max(1)).max(1)
    }

    fn forwards<'a>(
        self,
        queries: usize,
        sources: [&'a [f32]; 2],
        lengths: [usize; 2],
        hidden: Option<Hidden<'_>>,
        parted: impl Fn([&'a [f32]; 2]) -> [Rows<'a>; 3] + Sync,
    ) -> [Vec<f32>; 2] {
        let (sequences, channels) = (sources[0].len() / lengths[0], self.channels());
        let square = self.heads * queries * self.tokens;
        let mut joined = vec![0.0; sequences * queries * channels];
        let mut weights = vec![0.0; sequences * square];
        let parts = joined.par_chunks_mut(queries * channels).zip(weights.par_chunks_mut(square));
        let parts = parts.zip(sources[0].par_chunks(lengths[0]).zip(sources[1].par_chunks(lengths[1])));
        parts.enumerate().with_min_len(self.together(queries)).for_each(|(at, ((joined, weights), (a, b)))| {
            let hidden = hidden.map(|hidden| {
                let group = at / hidden.members;
                &hidden.values[group * self.tokens..(group + 1) * self.tokens]
            });
            self.sequence(queries, parted([a, b]), hidden, joined, weights);
        });
        [joined, weights]
    }

    fn sequence(
        self,
        queries: usize,
        [query, key, value]: [Rows<'_>; 3],
        hidden: Option<&[f32]>,
        joined: &mut [f32],
        weights: &mut [f32],
    ) {
        let (tokens, width, channels) = (self.tokens, self.width, self.channels());
        let scale = (width as f32).sqrt().recip();
        for (head, weights) in weights.chunks_exact_mut(queries * tokens).enumerate() {
            let [query, key, value] = [query, key, value].map(|rows| rows.skip(head * width));
            let logits = Written { first: weights.as_mut_ptr(), row: tokens };
            query.check(queries, width);
            key.check(tokens, width);
            value.check(tokens, width);
            // SAFETY: the sources hold their rows, as was just checked; the weights of a head and its columns of the
            // joined heads are ours alone and as large as is written.
            unsafe { product([queries, tokens, width], logits, query.plain(), key.turned(), scale) };
            softmax(weights, tokens, hidden.unwrap_or(&[]));
            let joined = Written { first: joined[head * width..].as_mut_ptr(), row: channels };
            let weights = Rows::new(weights, 0, tokens);
            // SAFETY: as above.
            unsafe { product([queries, width, tokens], joined, weights.plain(), value.plain(), 1.0) };
        }
    }

    /// Writes the gradients of queries, keys and values of one sequence.
    fn sequence_backward(
        self,
        queries: usize,
        [query, key, value]: [Rows<'_>; 3],
        weights: &[f32],
        gradient: &[f32],
        [to_query, to_key, to_value]: [Written; 3],
        scratch: &mut Vec<f32>,
    ) {
        let (tokens, width, channels) = (self.tokens, self.width, self.channels());
        let scale = (width as f32).sqrt().recip();
        scratch.resize(queries * tokens, 0.0);
        for (head, weights) in weights.chunks_exact(queries * tokens).enumerate() {
            let [query, key, value] = [query, key, value].map(|rows| rows.skip(head * width));
            let gradient = Rows::new(gradient, head * width, channels);
            query.check(queries, width);
            gradient.check(queries, width);
            key.check(tokens, width);
            value.check(tokens, width);
            let steep = Written { first: scratch.as_mut_ptr(), row: tokens };
            let plain = Rows::new(weights, 0, tokens);
            // SAFETY: the sources hold their rows, as was just checked; scratch has a place for each weight, and the
            // caller's places are columns of this head.
            unsafe {
                let [to_query, to_key, to_value] = [to_query, to_key, to_value].map(|to| to.skip(head * width));
                product([tokens, width, queries], to_value, plain.turned(), gradient.plain(), 1.0);
                product([queries, tokens, width], steep, gradient.plain(), value.turned(), 1.0);
                softmax_backward(weights, scratch, tokens);
                let steep = Rows::new(scratch, 0, tokens);
                product([queries, width, tokens], to_query, steep.plain(), key.plain(), scale);
                product([tokens, width, queries], to_key, steep.turned(), query.plain(), scale);
            }
        }
    }
}

impl First {
    /// Queries of first tokens `[sequence, channel]` and packed keys and values `[sequence, token, 2 · channel]` → the
    /// joined heads `[sequence, channel]`, and the weights `[sequence, head, key]` for the backward pass.
    pub fn forward(self, query: &[f32], packed: &[f32], hidden: Option<Hidden<'_>>) -> [Vec<f32>; 2] {
        let (tokens, channels) = (self.0.tokens, self.0.channels());
        let lengths = [channels, tokens * 2 * channels];
        self.0.forwards(1, [query, packed], lengths, hidden, |[query, packed]| {
            let [key, value] = [0, 1].map(|part| Rows::new(packed, part * channels, 2 * channels));
            [Rows::new(query, 0, channels), key, value]
        })
    }

    /// The gradients of what [`First::forward`] was given.
    pub fn backward(self, query: &[f32], packed: &[f32], weights: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
        let (tokens, channels) = (self.0.tokens, self.0.channels());
        let (mut to_query, mut to_packed) = (vec![0.0; query.len()], vec![0.0; packed.len()]);
        let (row, line) = (2 * channels, self.0.heads * tokens);
        let parts = to_query
            .par_chunks_mut(channels)
            .zip(to_packed.par_chunks_mut(tokens * row))
            .zip(query.par_chunks(channels).zip(packed.par_chunks(tokens * row)))
            .zip(weights.par_chunks(line).zip(gradient.par_chunks(channels)))
            .with_min_len(self.0.together(1));
        parts.for_each_init(Vec::new, |scratch, (((to_query, to_packed), (query, packed)), (weights, gradient))| {
            let [key, value] = [0, 1].map(|part| Rows::new(packed, part * channels, row));
            let to_packed = to_packed.as_mut_ptr();
            // SAFETY: two columns of one matrix of `tokens` rows, which do not overlap and which nobody else holds.
            let [to_key, to_value] =
                [0, 1].map(|part| unsafe { Written { first: to_packed.add(part * channels), row } });
            let written = [Written { first: to_query.as_mut_ptr(), row: channels }, to_key, to_value];
            let sources = [Rows::new(query, 0, channels), key, value];
            self.0.sequence_backward(1, sources, weights, gradient, written, scratch);
        });
        [to_query, to_packed]
    }
}

/// Rows of a matrix that lie apart by `row` values.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    values: &'a [f32],
    row: usize,
}

/// A matrix to read, with the steps from row to row and from column to column.
#[derive(Clone, Copy)]
pub(crate) struct Read {
    first: *const f32,
    row: isize,
    column: isize,
}

/// A matrix to write, with the step from row to row.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    pub(crate) first: *mut f32,
    pub(crate) row: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(values: &'a [f32], skipped: usize, row: usize) -> Self {
        Self { values: &values[skipped..], row }
    }

    pub(crate) fn skip(self, columns: usize) -> Self {
        Self { values: &self.values[columns..], row: self.row }
    }

    pub(crate) fn values(self) -> &'a [f32] {
        self.values
    }

    pub(crate) fn step(self) -> usize {
        self.row
    }

    pub(crate) fn check(self, rows: usize, columns: usize) {
        assert!((rows.max(1) - 1) * self.row + columns <= self.values.len(), "a sequence of another length");
    }

    pub(crate) fn plain(self) -> Read {
        Read { first: self.values.as_ptr(), row: self.row as isize, column: 1 }
    }

    pub(crate) fn turned(self) -> Read {
        Read { first: self.values.as_ptr(), row: 1, column: self.row as isize }
    }
}

impl Written {
    /// # Safety
    /// The columns that are skipped must belong to the matrix.
    pub(crate) unsafe fn skip(self, columns: usize) -> Self {
        // SAFETY: the caller's promise.
        Self { first: unsafe { self.first.add(columns) }, row: self.row }
    }
}

/// `to = scale · a·b`; `a` is `[m, k]`, `b` is `[k, n]`.
///
/// # Safety
/// All three must be as large, and nothing else may refer to `to`.
pub(crate) unsafe fn product([m, n, k]: [usize; 3], to: Written, a: Read, b: Read, scale: f32) {
    let none = Parallelism::None;
    // SAFETY: the caller's promise.
    unsafe {
        gemm(
            m,
            n,
            k,
            to.first,
            1,
            to.row as isize,
            false,
            a.first,
            a.column,
            a.row,
            b.first,
            b.column,
            b.row,
            1.0,
            scale,
            false,
            false,
            false,
            none,
        );
    }
}

wide! {
    /// Softmax of each row after `hidden`, empty for none, was added to it.
    fn softmax(rows: &mut [f32], length: usize, hidden: &[f32]) {
        for row in rows.chunks_exact_mut(length) {
            for (value, hidden) in row.iter_mut().zip(hidden) {
                *value += hidden;
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

wide! {
    /// Turns gradients of weights into gradients of logits.
    pub(crate) fn softmax_backward(weights: &[f32], gradient: &mut [f32], length: usize) {
        for (weights, gradient) in weights.chunks_exact(length).zip(gradient.chunks_exact_mut(length)) {
            let level = sum([weights, gradient], |[weight, gradient]| weight * gradient);
            for (gradient, weight) in gradient.iter_mut().zip(weights) {
                *gradient = weight * (*gradient - level);
            }
        }
    }
}
