//! Operations that Burn's CPU backend would compose of many small ones, each as one: forward and backward in
//! `skysense-kernels`, as custom operations of `burn-autodiff`.
//!
//! Each function here looks where its input lives. On the CPU in single precision it runs the kernel; on any other
//! device, in any other precision and under a checkpointing strategy it composes the ordinary operations of Burn,
//! which the tests hold the kernels to.

mod attention;
mod gelu;
mod layer_norm;
mod linear;
mod moved;
mod pool;
mod primitive;
mod window;

pub(crate) use attention::{attend, attend_first};
pub(crate) use gelu::gelu;
pub(crate) use layer_norm::layer_norm;
pub(crate) use linear::linear;
pub(crate) use moved::{Places, moved};
pub(crate) use pool::pool;
pub(crate) use primitive::on_processor;
pub(crate) use window::attend_in_windows;

#[cfg(test)]
mod tests;
