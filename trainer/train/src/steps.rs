//! The loop of steps that every kind of training shares: time budget, checkpoints, progress, cancellation.

use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use skysense_collective::Group;
use skysense_model::Precision;

use crate::checkpoint::{Checkpoints, Keep, State};
use crate::loss_scale::LossScale;
use crate::optimiser::adamw;
use crate::{Hooks, Progress, Recipe, TrainError, together};

/// Steps after which the number of steps is fitted to a time budget, again and again: a machine that slows down
/// must still keep to it. The first step is not timed, for it also warms up.
const TIMED: usize = 4;

/// What learns: makes its network, and takes one step of it.
pub(crate) trait Learner: Sync {
    /// Everything that has weights to learn.
    type Network: Module + Send;

    /// The network with its weights at the start.
    fn network(&self) -> Result<Self::Network, TrainError>;

    /// What changes its weights.
    fn optimiser(&self, network: &Self::Network, recipe: &Recipe) -> ModuleOptimizer {
        adamw(network, recipe.weight_decay, recipe.clip)
    }

    /// Hears where the run begins, or goes on from.
    fn begins(&self, state: &State, hooks: &mut dyn Hooks) {
        let _ = (state, hooks);
    }

    /// Tells what is more than the loss of the step that was just taken, and keeps in the state what a run that goes on
    /// must know of it.
    fn tell(&self, state: &mut State, hooks: &mut dyn Hooks) {
        let _ = (state, hooks);
    }

    /// Which checkpoints stay.
    fn keep(&self) -> Keep {
        Keep::default()
    }

    /// How good the network is after a step, the higher the better, and after how many such looks without a better one
    /// training ends; `None` where nobody looks now.
    fn watch(&self, network: &Self::Network, step: usize) -> Result<Option<(f64, usize)>, TrainError> {
        let _ = (network, step);
        Ok(None)
    }

    /// What is computed in.
    fn precision(&self) -> Precision {
        Precision::F32
    }

    /// One step at a learning rate, with the loss scaled for half precision; gives the network and the loss. It depends
    /// on the step's number alone, so that a run that goes on does what it would have done.
    fn step(
        &self,
        network: Self::Network,
        optimiser: &mut ModuleOptimizer,
        scale: &mut LossScale,
        at: (usize, f64),
    ) -> Result<(Self::Network, f32), TrainError>;
}

/// Takes all steps, or goes on from the checkpoint of a run with this identity. Of a group rank 0 alone reads and writes
/// checkpoints; the others have from it what they start with.
pub(crate) fn run<L: Learner>(
    recipe: &Recipe,
    learner: &L,
    identity: &str,
    hooks: &mut dyn Hooks,
) -> Result<(L::Network, State), TrainError> {
    let started = Instant::now();
    let group = hooks.group();
    together::check_batch(&*group, recipe.batch)?;
    let hint = "plan all ranks on the same workflow, params, files and catalog state";
    group.agree("settings and samples with checksum", identity, hint)?;
    let folder = recipe.checkpoint.as_deref().filter(|_| group.rank() == 0);
    let checkpoints = folder.map(|folder| Checkpoints::new(folder, learner.keep()));
    let mut network = learner.network()?;
    let mut optimiser = learner.optimiser(&network, recipe);
    let mut state = State {
        identity: identity.into(),
        step: 0,
        steps: recipe.steps,
        scale: LossScale::new(learner.precision()),
        watched: Vec::new(),
        losses: Vec::new(),
        skipped: 0,
    };
    if let Some((path, found)) = checkpoints.as_ref().and_then(|c| c.latest(identity).transpose()).transpose()? {
        (network, optimiser) = load(network, &path, |network| learner.optimiser(network, recipe))?;
        tracing::info!(step = found.step, "going on from a checkpoint");
        state = found;
    }
    (network, optimiser, state) =
        shared(&*group, |network| learner.optimiser(network, recipe), (network, optimiser, state))?;
    learner.begins(&state, hooks);
    // A step runs on one of the threads that share its work: called from another, each of its hundreds of operations
    // would wait for a thread to wake, and its caller to wake again. A pool of this run alone: a thread that waits
    // takes up other work of its pool, and a step must not wait for one of another run that was begun in its midst.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).build();
    let pool = pool.map_err(|error| TrainError::Model(format!("no threads to train on: {error}")))?;
    let mut timed = None;
    while state.step < state.steps {
        if together::any(&*group, hooks.cancelled())? {
            if let Some(checkpoints) = &checkpoints {
                checkpoints.write(&state, |path| save(&network, &optimiser, path))?;
            }
            // Nobody leaves before all know: to the others it would look as if this process were lost.
            let _all_know = group.barrier();
            return Err(TrainError::Cancelled { step: state.step });
        }
        let rate = recipe.schedule(state.steps).rate(state.step);
        let at = (state.step, rate);
        let loss;
        (network, loss) = pool.install(|| learner.step(network, &mut optimiser, &mut state.scale, at))?;
        state.losses.push(loss);
        state.step += 1;
        let (since, first) = *timed.get_or_insert_with(|| (Instant::now(), state.step));
        if let Some(seconds) = recipe.seconds
            && state.step > first
            && (state.step - first).is_multiple_of(TIMED)
        {
            let one = since.elapsed().as_secs_f64() / (state.step - first) as f64;
            let left = seconds - started.elapsed().as_secs_f64();
            let steps = fitted(state.step, one, left, recipe.steps) as u64;
            let steps = group.broadcast(&steps.to_le_bytes())?;
            state.steps = steps.try_into().map_or(recipe.steps, |steps| u64::from_le_bytes(steps) as usize);
        }
        if let Some((score, patience)) = learner.watch(&network, state.step)? {
            // Rank 0 decides: another processor may round a score across another.
            let score = group.broadcast(&score.to_le_bytes())?;
            state.watched.push(score.try_into().map_or(f64::NAN, f64::from_le_bytes));
            if stale(&state.watched, patience) {
                tracing::info!(step = state.step, "no better score: training ends");
                state.steps = state.step;
            }
        }
        hooks.progress(&Progress { step: state.step, steps: state.steps, loss, learning_rate: rate });
        learner.tell(&mut state, hooks);
        if let Some(checkpoints) = &checkpoints
            && (state.step.is_multiple_of(recipe.every.max(1)) || state.step == state.steps)
        {
            checkpoints.write(&state, |path| save(&network, &optimiser, path))?;
        }
    }
    Ok((network, state))
}

/// What rank 0 starts with, on all ranks: the same seed need not give the same bits on another processor.
fn shared<M: Module>(
    group: &dyn Group,
    fresh: impl FnOnce(&M) -> ModuleOptimizer,
    (network, optimiser, state): (M, ModuleOptimizer, State),
) -> Result<(M, ModuleOptimizer, State), TrainError> {
    if group.size() == 1 {
        return Ok((network, optimiser, state));
    }
    let fault =
        |error: &dyn std::fmt::Display| TrainError::Model(format!("what rank 0 starts with is no use: {error}"));
    let (mut weights, mut moments, mut at) = Default::default();
    if group.rank() == 0 {
        weights = network.clone().into_record().into_bytes().map_err(|error| fault(&error))?.to_vec();
        moments =
            if state.step == 0 { Vec::new() } else { optimiser.into_bytes().map_err(|error| fault(&error))?.to_vec() };
        at = serde_json::to_vec(&state).map_err(|error| fault(&error))?;
    }
    let (weights, moments, at) = (group.broadcast(&weights)?, group.broadcast(&moments)?, group.broadcast(&at)?);
    if group.rank() == 0 {
        return Ok((network, optimiser, state));
    }
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(weights)).map_err(|error| fault(&error))?;
    let network = network.try_load_record(record).map_err(|error| fault(&error))?;
    // Moments belong to the ids of the weights that were loaded.
    let mut optimiser = fresh(&network);
    if !moments.is_empty() {
        optimiser = optimiser.from_bytes(Bytes::from_bytes_vec(moments)).map_err(|error| fault(&error))?;
    }
    Ok((network, optimiser, serde_json::from_slice(&at).map_err(|error| fault(&error))?))
}

/// Whether the best score came so many looks ago; of equal ones the first counts.
fn stale(scores: &[f64], patience: usize) -> bool {
    let mut best = (0, f64::NEG_INFINITY);
    for (at, score) in scores.iter().enumerate() {
        if *score > best.1 {
            best = (at, *score);
        }
    }
    scores.len() > best.0 + patience
}

/// Seed of what a step draws as it runs, such as stochastic depth.
pub(crate) fn step_seed(seed: u64, step: usize) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(step as u64)
}

/// Steps in all that fit into the seconds left, when one takes `one`: fewer when the machine slows down, more again
/// when it recovers, never more than `most`.
fn fitted(done: usize, one: f64, left: f64, most: usize) -> usize {
    (done + (left.max(0.0) / one.max(1e-6)) as usize).min(most)
}

fn save<M: Module>(network: &M, optimiser: &ModuleOptimizer, folder: &Path) -> Result<(), TrainError> {
    let fault = |error: burn::store::RecordError| checkpoint_fault(folder, error.to_string());
    network.clone().save_file(folder.join("model.bpk")).map_err(fault)?;
    optimiser.save(folder.join("optimizer.bpk")).map_err(fault)
}

/// Loads weights with the ids of their parameters, and then the moments that belong to these ids.
fn load<M: Module>(
    network: M,
    folder: &Path,
    optimiser: impl FnOnce(&M) -> ModuleOptimizer,
) -> Result<(M, ModuleOptimizer), TrainError> {
    let fault = |error: burn::store::RecordError| checkpoint_fault(folder, error.to_string());
    let network = network.try_load_file(folder.join("model.bpk")).map_err(fault)?;
    let optimiser = optimiser(&network).load(folder.join("optimizer.bpk")).map_err(fault)?;
    Ok((network, optimiser))
}

fn checkpoint_fault(folder: &Path, message: String) -> TrainError {
    TrainError::Checkpoint { path: folder.to_path_buf(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_ends_after_as_many_looks_without_a_better_score() {
        assert!(!stale(&[0.5], 1) && !stale(&[0.5, 0.6], 1) && stale(&[0.5, 0.6, 0.6], 1));
        assert!(!stale(&[0.5, 0.4, 0.6], 2) && !stale(&[0.6, 0.5], 2) && stale(&[0.6, 0.5, 0.5], 2));
        assert!(stale(&[f64::NAN, f64::NAN], 1));
    }

    #[test]
    fn steps_follow_the_time_that_is_left_both_ways() {
        assert_eq!(fitted(4, 1.0, 10.0, 100), 14);
        assert_eq!(fitted(8, 2.0, 6.0, 100), 11, "a machine that slows down");
        assert_eq!(fitted(10, 0.25, 4.0, 100), 26, "and one that recovers");
        assert_eq!(fitted(10, 0.25, 400.0, 100), 100, "never more than were asked for");
        assert_eq!(fitted(10, 1.0, -3.0, 100), 10, "none when time is over");
    }
}
