//! What training keeps of a block of layers: all that the backward pass reads, or its input alone.
//!
//! With [`Tape::recomputing`] a block runs forward without a record and its output starts a graph of its own. The
//! backward pass then takes the blocks from last to first: it runs each again, this time recorded, and sends the
//! gradient of its output through it (Chen et al., 2016, arXiv:1604.06174, with every block a segment). So what is kept
//! is one map for each block, and the record of one block at a time.
//!
//! Stochastic depth must drop the same branches both times, so every block draws from a stream of its own. [`Tape::keeping`]
//! seeds blocks in the same way: with and without recomputation a step gives the same gradients, but for rounding where a
//! gradient reaches a product in another order of its axes.

use std::cell::{Cell, RefCell};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};
use serde::{Deserialize, Serialize};

use crate::draws::Draws;

/// What training keeps for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checkpointing {
    /// All that it reads.
    #[default]
    Off,
    /// The input of each block of layers; the rest is computed again.
    Blocks,
}

/// Takes down the blocks of one forward pass.
pub struct Tape {
    /// `None` where nothing is drawn.
    seed: Option<u64>,
    recomputes: bool,
    /// Blocks that were run.
    count: Cell<u64>,
    blocks: RefCell<Vec<Box<dyn Block>>>,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tape").field("recomputes", &self.recomputes).field("blocks", &self.count).finish()
    }
}

impl Tape {
    /// For a pass without a backward pass, or one whose randomness is left to the device's generator.
    pub fn off() -> Self {
        Self { seed: None, recomputes: false, count: Cell::default(), blocks: RefCell::default() }
    }

    /// Keeps all that the backward pass reads.
    pub fn keeping(seed: u64) -> Self {
        Self { seed: Some(seed), ..Self::off() }
    }

    /// Keeps the input of each block and runs the block again in the backward pass.
    pub fn recomputing(seed: u64) -> Self {
        Self { seed: Some(seed), recomputes: true, ..Self::off() }
    }

    /// One or the other.
    pub fn new(checkpointing: Checkpointing, seed: u64) -> Self {
        match checkpointing {
            Checkpointing::Off => Self::keeping(seed),
            Checkpointing::Blocks => Self::recomputing(seed),
        }
    }

    /// Runs a block.
    ///
    /// Of recorded tensors it must read `x` alone, and `x` must be read by nothing else unless another block gave it.
    pub(crate) fn block<M, F, const I: usize, const O: usize>(&self, module: &M, x: Tensor<I>, forward: F) -> Tensor<O>
    where
        M: Module + 'static,
        F: Fn(&M, Tensor<I>, &Draws) -> Tensor<O> + Send + 'static,
    {
        let seed = self.seed.map(|seed| block_seed(seed, self.count.get()));
        self.count.set(self.count.get() + 1);
        if !self.recomputes {
            return forward(module, x, &draws(seed));
        }
        let unrecorded = x.clone().detach().set_require_grad(false);
        let output = forward(&module.clone().no_grad(), unrecorded, &draws(seed)).require_grad();
        let block = Recorded { module: module.clone(), input: x, output: output.clone(), forward, seed };
        self.blocks.borrow_mut().push(Box::new(block));
        output
    }

    /// The same tensor for several readers. Where blocks are run again, what comes before it is gone through once,
    /// with the sum of what its readers send back.
    pub fn junction<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if !self.recomputes {
            return x;
        }
        let output = x.clone().detach().require_grad();
        self.blocks.borrow_mut().push(Box::new(Junction { input: x, output: output.clone() }));
        output
    }

    /// Gradients of a loss of this pass with respect to the parameters of a module that is, or is part of, what it ran
    /// through.
    pub fn backward<N: Module>(self, loss: &Tensor<1>, network: &N) -> GradientsParams {
        let mut gradients = loss.backward();
        let mut sum = GradientsParams::from_module(&mut gradients, network);
        // What is left in these are the gradients of outputs of blocks.
        let mut outputs = vec![gradients];
        let mut blocks = self.blocks.into_inner();
        while let Some(block) = blocks.pop() {
            let Some(mut gradients) = block.backward(&mut outputs) else { continue };
            let mut part = GradientsParams::from_module(&mut gradients, network);
            add_gradients(network, &mut sum, &mut part);
            outputs.push(gradients);
        }
        sum
    }
}

/// The seed of a block of a step. Steps and blocks are multiplied by other numbers: were the blocks of a step numbered on
/// from its seed, a block would draw what the next one drew a step before.
fn block_seed(seed: u64, block: u64) -> u64 {
    seed.wrapping_add(block.wrapping_mul(0xD1B5_4A32_D192_ED03))
}

fn draws(seed: Option<u64>) -> Draws {
    seed.map_or_else(Draws::of_device, Draws::seeded)
}

/// A block that is run again, maybe on another thread.
trait Block: Send {
    /// Gradients of what the block reads, and of what led there from earlier blocks; `None` where nothing of the loss
    /// comes from this block.
    fn backward(self: Box<Self>, outputs: &mut [Gradients]) -> Option<Gradients>;
}

struct Recorded<M, F, const I: usize, const O: usize> {
    module: M,
    input: Tensor<I>,
    output: Tensor<O>,
    forward: F,
    seed: Option<u64>,
}

impl<M, F, const I: usize, const O: usize> Block for Recorded<M, F, I, O>
where
    M: Module,
    F: Fn(&M, Tensor<I>, &Draws) -> Tensor<O> + Send,
{
    fn backward(self: Box<Self>, outputs: &mut [Gradients]) -> Option<Gradients> {
        let Self { module, input, output, forward, seed } = *self;
        sent_back(&output, outputs, || forward(&module, input, &draws(seed)))
    }
}

struct Junction<const D: usize> {
    input: Tensor<D>,
    output: Tensor<D>,
}

impl<const D: usize> Block for Junction<D> {
    fn backward(self: Box<Self>, outputs: &mut [Gradients]) -> Option<Gradients> {
        let Self { input, output } = *self;
        sent_back(&output, outputs, || input)
    }
}

/// Sends the gradient of a block's output back through what is recorded of it.
fn sent_back<const D: usize>(
    output: &Tensor<D>,
    outputs: &mut [Gradients],
    recorded: impl FnOnce() -> Tensor<D>,
) -> Option<Gradients> {
    let parts = outputs.iter_mut().filter_map(|gradients| output.grad_remove(gradients));
    let gradient = parts.reduce(|sum, part| sum + part)?;
    // The derivative of this sum with respect to the tensor is its gradient. What learns nothing, as a block of an encoder
    // that only has adapters further on, has no record to go back through: with something that has one there always is.
    let sum = (recorded() * gradient).sum();
    let root = sum.clone().detach().require_grad();
    Some((sum + root).backward())
}

/// Adds the gradients of one backward pass through a module to the sum of those before.
pub fn add_gradients<N: Module>(network: &N, sum: &mut GradientsParams, part: &mut GradientsParams) {
    network.visit(&mut Add { part, sum });
}

struct Add<'a> {
    part: &'a mut GradientsParams,
    sum: &'a mut GradientsParams,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(part) = self.part.remove::<D>(param.id) else { return };
        let sum = match self.sum.remove::<D>(param.id) {
            Some(sum) => sum + part,
            None => part,
        };
        self.sum.register(param.id, sum);
    }
}
