//! The inner loops of training on processors: whole operations on slices of `f32`, forward and backward, where a
//! composition of small operations would write every step between to memory and run on one core.
//!
//! Knows no tensors and no graphs; `skysense-model` puts these under its layers. The same inputs give the same bits for
//! any number of threads: work is cut into parts of fixed size, and sums over parts are taken in their order.

mod adamw;
mod attention;
mod columns;
mod fresh;
mod gelu;
mod layer_norm;
mod linear;
mod math;
mod moved;
mod wide;
mod window;

pub use adamw::AdamW;
pub use attention::{Attention, First, Hidden};
pub use gelu::{gelu, gelu_backward};
pub use layer_norm::{LayerNorm, NormGradients, Normed};
pub use linear::Linear;
pub use moved::{NOWHERE, moved};
pub use window::{WindowAttention, WindowGradients};
