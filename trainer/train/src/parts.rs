//! A step in parts: the samples of a batch are shared out, the parts run forward and backward side by side, and their
//! gradients are added.
//!
//! Shared out by samples, threads meet once a step. Shared out operation by operation, they meet hundreds of times, and
//! whatever an operation does on one thread the others wait for.
//!
//! What a step gives depends on the number of parts, by rounding and by what each part draws, and on nothing else: the
//! number is a setting and not that of the threads, and gradients are added in the order of the parts. So a machine with
//! more threads gives the same weights.

use std::panic::resume_unwind;
use std::thread;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};
use skysense_model::add_gradients;

use crate::TrainError;

/// Shares the samples of steps out over the threads of this process.
#[derive(Debug)]
pub struct Parts {
    most: usize,
    device: Device,
    /// One for each part that runs beside others.
    pools: Vec<ThreadPool>,
}

impl Parts {
    /// At most so many parts, which run on the processor side by side as far as there are threads, and share those that
    /// are left. On another device a step is one part: it is its queue that keeps it busy.
    ///
    /// # Errors
    /// [`TrainError::Model`] where the system gives no threads.
    pub fn new(most: usize, device: &Device) -> Result<Self, TrainError> {
        let on_processor = *device == Device::flex() || *device == Device::flex().autodiff();
        let most = if on_processor { most.max(1) } else { 1 };
        let threads = rayon::current_num_threads();
        let beside = most.min(threads);
        let pool = |at: usize| {
            let share = threads / beside + usize::from(at < threads % beside);
            ThreadPoolBuilder::new().num_threads(share).build()
        };
        let pools = (0..beside).map(pool).collect::<Result<_, _>>();
        let pools = pools.map_err(|error| TrainError::Model(format!("no threads to train on: {error}")))?;
        Ok(Self { most, device: device.clone(), pools })
    }

    /// Most parts of a step.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Cuts samples into parts of the same size, the first ones larger by one where that cannot be; fewer samples than
    /// parts are one each.
    pub fn share<T>(&self, samples: Vec<T>) -> Vec<Vec<T>> {
        let (count, parts) = (samples.len(), self.most.min(samples.len()));
        let mut samples = samples.into_iter();
        (0..parts).map(|at| samples.by_ref().take(count / parts + usize::from(at < count % parts)).collect()).collect()
    }

    /// The sums of the losses and of the gradients that `pass` gives for each part. It gets a network of its own, whose
    /// parameters have the ids of those of `network`, and the number of the part; what it draws must come from a seed
    /// that this number is part of, see [`part_seed`].
    ///
    /// # Errors
    /// The first one of `pass`, by the order of the parts.
    pub fn gradients<M, P, F>(&self, network: &M, parts: Vec<P>, pass: F) -> Result<(f32, GradientsParams), TrainError>
    where
        M: Module + Send,
        P: Send,
        F: Fn(M, usize, P) -> Result<(f32, GradientsParams), TrainError> + Sync,
    {
        let (mut loss, mut sum) = (0.0, GradientsParams::new());
        let mut parts = parts.into_iter().enumerate();
        loop {
            let round: Vec<_> = parts.by_ref().take(self.pools.len()).collect();
            if round.is_empty() {
                return Ok((loss, sum));
            }
            for found in self.round(network, round, &pass) {
                let (value, mut gradients) = found?;
                loss += value;
                add_gradients(network, &mut sum, &mut gradients);
            }
        }
    }

    /// Parts that run side by side, in their order.
    fn round<M, P, F>(
        &self,
        network: &M,
        round: Vec<(usize, P)>,
        pass: &F,
    ) -> Vec<Result<(f32, GradientsParams), TrainError>>
    where
        M: Module + Send,
        P: Send,
        F: Fn(M, usize, P) -> Result<(f32, GradientsParams), TrainError> + Sync,
    {
        let round = round.into_iter().map(|(at, part)| (at, self.own(network), part)).collect();
        self.side_by_side(round, |(at, network, part)| pass(network, at, part))
    }

    /// A network for one part. It has parameters of its own over the same values: recorded on those of another, the
    /// passes of parts would be one graph, which one thread at a time may touch.
    pub(crate) fn own<M: Module>(&self, network: &M) -> M {
        network.clone().fork(&self.device)
    }

    /// What `work` gives for each part, in their order. As many parts run at once as there are threads for; what they give
    /// does not depend on how many.
    pub(crate) fn each<P: Send, R: Send>(&self, parts: Vec<P>, work: impl Fn(P) -> R + Sync) -> Vec<R> {
        let (mut parts, mut all) = (parts.into_iter(), Vec::new());
        loop {
            let round: Vec<P> = parts.by_ref().take(self.pools.len()).collect();
            if round.is_empty() {
                return all;
            }
            all.extend(self.side_by_side(round, &work));
        }
    }

    /// As [`Parts::each`], of no more parts than there are pools.
    fn side_by_side<P: Send, R: Send>(&self, round: Vec<P>, work: impl Fn(P) -> R + Sync) -> Vec<R> {
        let work = &work;
        thread::scope(|scope| {
            let started: Vec<_> = round
                .into_iter()
                .zip(&self.pools)
                .map(|(part, pool)| scope.spawn(move || pool.install(|| work(part))))
                .collect();
            started.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        })
    }
}

/// The seed of a part of a step; that of the step for the first one.
pub fn part_seed(step: u64, part: usize) -> u64 {
    // By another number than steps and blocks, so that no part draws what another draws a step or a block later.
    step.wrapping_add((part as u64).wrapping_mul(0xA24B_AED4_963E_E407))
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::{Distribution, Tensor};
    use skysense_model::{Checkpointing, Tape, Vit, preset};

    use super::*;
    use crate::network::{drawn, seeded};

    /// A series encoder that drops branches often.
    fn encoder(drop_path: f64, device: &Device) -> Vit {
        let (vit, _) = preset("tiny").unwrap().s2.unwrap();
        drawn(skysense_model::VitConfig { drop_path, positions: [4, 4], ..vit }.init(device))
    }

    struct Values(GradientsParams, Vec<f32>);

    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.extend(gradient.into_data().iter::<f32>());
            }
        }
    }

    /// Loss and gradients of the mean square over a batch of images.
    fn gradients(
        most: usize,
        threads: usize,
        network: &Vit,
        images: &[Tensor<4>],
        how: Checkpointing,
    ) -> (f32, Vec<f32>) {
        let device = Device::flex().autodiff();
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (loss, gradients) = pool
            .install(|| {
                let parts = Parts::new(most, &device).unwrap();
                let shared = parts.share(images.to_vec());
                parts.gradients(network, shared, |network, at, part| {
                    let share = part.len() as f32 / images.len() as f32;
                    let tape = Tape::new(how, part_seed(5, at));
                    let features = network.forward_on(&tape, Tensor::cat(part, 0));
                    let loss = (features.clone() * features).mean() * share;
                    Ok((loss.clone().into_scalar::<f32>(), tape.backward(&loss, &network)))
                })
            })
            .unwrap();
        let mut values = Values(gradients, Vec::new());
        network.visit(&mut values);
        (loss, values.1)
    }

    fn images(count: usize, device: &Device) -> Vec<Tensor<4>> {
        // Seeded: nothing may draw from the device's generator while another test has it to itself.
        let one = |_| Tensor::random([1, 10, 16, 16], Distribution::Default, device);
        seeded(device, 7, || (0..count).map(one).collect())
    }

    #[test]
    fn parts_give_the_gradients_of_the_whole() {
        let device = Device::flex().autodiff();
        let network = encoder(0.0, &device);
        for (count, how) in [(5, Checkpointing::Off), (5, Checkpointing::Blocks), (1, Checkpointing::Off)] {
            let images = images(count, &device);
            let (loss, whole) = gradients(1, 2, &network, &images, how);
            assert!(whole.len() > 500_000 && loss > 0.0);
            let size = whole.iter().map(|value| value * value).sum::<f32>().sqrt();
            for most in [2, 3, 8] {
                let (other, parted) = gradients(most, 2, &network, &images, how);
                let apart = whole.iter().zip(&parted).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
                assert!(apart <= 1e-5 * size, "{count} images in {most} parts: {apart} of {size}");
                assert!((loss - other).abs() <= 1e-5 * loss && whole.len() == parted.len());
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit_and_every_part_draws_for_itself() {
        let device = Device::flex().autodiff();
        let (network, images) = (encoder(0.5, &device), images(4, &device));
        let with = |threads| gradients(4, threads, &network, &images, Checkpointing::Off);
        let first = with(4);
        for threads in [1, 2, 3, 4, 4] {
            assert!(first == with(threads), "{threads} threads");
        }
        // The same image in each part: only what is dropped differs.
        let same: Vec<_> = images.iter().map(|_| images[0].clone()).collect();
        let alone = gradients(1, 2, &network, &same[..1], Checkpointing::Off);
        let all = gradients(4, 2, &network, &same, Checkpointing::Off);
        assert!((alone.0 - all.0).abs() > 1e-4 * alone.0, "all parts dropped the same branches");
    }

    #[test]
    fn samples_are_shared_out_evenly_and_in_order() {
        let share = |most, count: usize| Parts::new(most, &Device::flex()).unwrap().share((0..count).collect());
        assert_eq!(share(2, 5), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(share(4, 2), [vec![0], vec![1]]);
        assert_eq!(share(3, 0), Vec::<Vec<usize>>::new());
        assert_eq!(share(0, 2), [vec![0, 1]]);
    }

    #[test]
    fn the_first_part_that_fails_is_told() {
        let network = encoder(0.0, &Device::flex().autodiff());
        let parts = Parts::new(3, &Device::flex()).unwrap();
        let failed = parts.gradients(&network, vec![0, 1, 2], |_, at, _| match at {
            0 => Ok((0.0, GradientsParams::new())),
            _ => Err(TrainError::Model(format!("part {at}"))),
        });
        assert_eq!(failed.unwrap_err().to_string(), TrainError::Model("part 1".into()).to_string());
    }
}
