//! Pretraining without labels: a student and its moving average, the teacher, look at two views of each place and learn to
//! say the same of what both show (`docs/PRETRAINING.md`).
//!
//! [`pretrain()`] takes [`Places`] and gives a [`Pretrained`] model, which [`export_pretrained`] writes as a package without
//! a head. A step draws views (`view`), finds what they share on the ground (`pairs`), compares features of both networks
//! part by part (`part`, `whole`), and moves student, teacher, centres and prototypes (`run`); `loader` is ahead of it with threads.

mod augment;
mod config;
mod contrast;
mod cost;
mod export;
mod head;
mod held;
mod inspect;
mod loader;
mod measures;
mod network;
mod pairs;
mod part;
mod place;
mod plan;
#[cfg(test)]
pub(crate) mod processes;
mod prototypes;
mod run;
mod stream;
mod sums;
#[cfg(test)]
mod tests;
mod validation;
mod view;
mod whole;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use rand::seq::SliceRandom;
use skysense_collective::Group;
use skysense_model::{SkySense, SkySenseConfig};

use self::loader::{Closing, Loader};
use self::network::Order;
use self::plan::Plan;
use self::run::{Run, Told};
use self::validation::Validating;
use self::view::{View, Viewer};
use crate::adamw::Decay;
use crate::normalise::{Moments, Statistics};
use crate::parts::Parts;
use crate::random::{Purpose, rng};
use crate::setup::Setup;
use crate::{Compute, Hooks, TrainError, steps, together};

pub use augment::{Crops, Photometric};
pub use config::{Alignment, Momentum, PretrainConfig, Prototypes, Sharpness, Side, Streams, Targets};
pub use cost::{Assumed, PretrainCost, pretrain_cost};
pub use export::export_pretrained;
pub use head::HeadSizes;
pub use held::HeldPlaces;
pub use measures::Measures;
pub use place::{Place, Places};
pub use plan::planned_pretrained;
pub use prototypes::PrototypeUpdate;
pub use validation::Validation;

/// A model that was pretrained. [`export_pretrained`] writes it as a package.
#[derive(Debug)]
pub struct Pretrained {
    /// Steps of the run: those asked for, or what fitted into the time budget.
    pub steps: usize,
    /// Loss of each step.
    pub losses: Vec<f32>,
    /// How long it took, without what an earlier part of a resumed run took.
    pub seconds: f64,
    /// Places of an epoch.
    pub places: usize,
    /// How often a place was left out because it could not be read.
    pub skipped: usize,
    /// Regions whose prototypes moved.
    pub regions: usize,
    encoder: SkySense,
    sizes: SkySenseConfig,
    setup: Setup,
    config: PretrainConfig,
    /// Checksum of the places.
    checksum: String,
    /// A view that becomes the package's probe, and its region.
    probe: (View, usize),
}

/// Pretrains a model on places.
///
/// The result is the same for the same places, settings and machine, whether or not the run was killed and went on from
/// its checkpoint, and however many threads load; a time budget is the exception. Places that cannot be read are left
/// out, and `hooks` are told.
///
/// # Errors
/// [`TrainError`]: settings out of range, places that the model cannot take, a step without a place that can be read, a
/// checkpoint of another run, a loss that is not finite, [`TrainError::Cancelled`] when `hooks` say so.
pub fn pretrain(places: &dyn Places, config: &PretrainConfig, hooks: &mut dyn Hooks) -> Result<Pretrained, TrainError> {
    let started = Instant::now();
    let ready = Ready::new(places, config, hooks.group())?;
    let probe = probe(places, &ready.viewer, config)?;
    let (network, state) = ready.run(|run| steps::run(&config.recipe, run, &run.identity(), hooks))?;
    let Ready { setup, sizes, .. } = ready;
    let visits = network.visits();
    let branch = match config.export {
        Side::Student => network.student.valid(),
        Side::Teacher => network.teacher,
    };
    let encoder = export::settled(branch.encoder.to_device(&Device::flex()), &visits);
    Ok(Pretrained {
        steps: state.steps,
        losses: state.losses,
        seconds: started.elapsed().as_secs_f64(),
        places: places.count(),
        skipped: state.skipped,
        regions: if config.prototypes.is_some() { visits.iter().filter(|visits| **visits > 0.0).count() } else { 0 },
        encoder,
        sizes,
        setup,
        config: config.clone(),
        checksum: places.checksum().into(),
        probe,
    })
}

/// What is decided before the first step.
struct Ready<'a> {
    places: &'a dyn Places,
    config: &'a PretrainConfig,
    setup: Setup,
    sizes: SkySenseConfig,
    viewer: Viewer,
    device: Device,
    group: Arc<dyn Group>,
}

impl<'a> Ready<'a> {
    fn new(places: &'a dyn Places, config: &'a PretrainConfig, group: Arc<dyn Group>) -> Result<Self, TrainError> {
        config.check()?;
        let Compute { device, precision, .. } = config.compute;
        let device = device.of_rank(group.local_rank(), group.size()).open(precision)?.autodiff();
        let measure = || measured(places, config);
        let Plan { setup, sizes } = plan::plan(places.offers(), places.size(), config, &measure)?;
        if places.count() == 0 {
            return Err(TrainError::NoPlaces { step: 0, why: "there are no places".into() });
        }
        together::check_batch(&*group, config.recipe.batch.min(places.count()))?;
        let viewer = Viewer {
            inputs: setup.inputs.clone(),
            bands: setup.bands.clone(),
            of: places.size(),
            size: setup.chip_size,
            crops: config.crops,
            augmentation: config.recipe.augmentation.clone(),
            photometric: config.photometric,
            day_jitter: config.day_jitter,
        };
        Ok(Self { places, config, setup, sizes, viewer, device, group })
    }

    /// Has something done with what takes the steps, while threads load for it.
    fn run<R>(&self, work: impl FnOnce(&Run<'_>) -> Result<R, TrainError>) -> Result<R, TrainError> {
        let Self { places, config, .. } = *self;
        let shared = |batch| together::share(&*self.group, batch);
        let ahead = (config.ahead, config.recipe.seed);
        let loader = Loader::new(places, self.viewer.clone(), (config.recipe.batch, shared), ahead);
        let run = Run {
            config,
            setup: &self.setup,
            sizes: &self.sizes,
            order: Order::new(self.setup.inputs.keys().copied()),
            loader: &loader,
            count: places.count(),
            checksum: places.checksum(),
            device: self.device.clone(),
            group: self.group.clone(),
            parts: Parts::new(config.recipe.parts, &self.device)?,
            decay: Decay::new(config.recipe.weight_decay),
            probing: match &config.probing {
                Some(probing) => Some((probing.probe.view(&self.setup)?, probing.every)),
                None => None,
            },
            validating: places
                .validation()
                .filter(|places| places.count() > 0)
                .map(|places| Validating { places, viewer: Viewer { of: places.size(), ..self.viewer.clone() } }),
            told: Mutex::new(Told::default()),
        };
        std::thread::scope(|scope| {
            // Also where a step fails or panics: threads that nobody takes from would never end.
            let closing = Closing(&loader);
            for _ in 0..config.loaders {
                let _joined_by_the_scope = scope.spawn(|| loader.serve());
            }
            let done = work(&run);
            drop(closing);
            done
        })
    }
}

/// Statistics of some places, drawn from all.
fn measured(places: &dyn Places, config: &PretrainConfig) -> Result<Statistics, TrainError> {
    let mut order: Vec<usize> = (0..places.count()).collect();
    order.shuffle(&mut rng(config.recipe.seed, Purpose::Measured, 0));
    let mut moments = Moments::new(places.offers());
    let mut read = 0;
    let mut fault = None;
    for index in order {
        if read == config.measured {
            break;
        }
        match places.read(index) {
            Ok(place) => {
                moments.add(&place.series);
                read += 1;
            }
            // It is told when its turn comes.
            Err(error) => fault = Some(error),
        }
    }
    match fault {
        Some(error) if read == 0 => Err(error),
        _ => Ok(moments.statistics()),
    }
}

/// A view of the first place that can be read, for the package's probe.
fn probe(places: &dyn Places, viewer: &Viewer, config: &PretrainConfig) -> Result<(View, usize), TrainError> {
    let plain = Viewer {
        augmentation: crate::Augmentation::none(),
        photometric: Photometric::none(),
        day_jitter: 0,
        crops: Crops { locals: 0, ..viewer.crops },
        ..viewer.clone()
    };
    let mut why = String::new();
    for index in 0..places.count() {
        let views = places.read(index).map_err(|error| error.to_string()).and_then(|place| {
            plain
                .views(&place, &mut rng(config.recipe.seed, Purpose::View, 0))
                .map_err(|fault| format!("{}: {fault}", place.name))
        });
        match views {
            Ok(views) => {
                let [longitude, latitude] = views.centre;
                let region = config.prototypes.map_or(0, |prototypes| prototypes.region(longitude, latitude));
                let [view, _] = views.globals;
                return Ok((view, region));
            }
            Err(fault) => why = fault,
        }
    }
    Err(TrainError::NoPlaces { step: 0, why })
}
