//! Student and teacher: encoders with projections, and what the teacher keeps of its outputs.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;
use skysense_contract::Modality;
use skysense_model::{Precision, SkySense, SkySenseConfig, Tape};

use super::PretrainConfig;
use super::head::{Dense, Head};
use super::stream::{Level, Stream};
use crate::TrainError;
use crate::batch::Batch;
use crate::encoded::Encoded;
use crate::network::{drawn, seeded};
use crate::random::{Purpose, rng};

/// Everything that changes while a run goes on.
#[derive(Module, Debug)]
pub(super) struct Network {
    pub(super) student: Branch,
    /// On a device that records nothing.
    pub(super) teacher: Branch,
    /// Of the teacher's outputs, `[output]`, in the order of streams and levels.
    centres: Vec<Param<Tensor<1>>>,
    /// How often each region's prototypes moved, `[region]`; one region where the model has none.
    visits: Param<Tensor<1>>,
}

/// One of the two networks.
#[derive(Module, Debug)]
pub(super) struct Branch {
    pub(super) encoder: SkySense,
    /// In the order of streams and levels; those that a setting leaves out are not there.
    heads: Vec<Option<Head>>,
    /// Projections for the alignment, in the order of the streams; the student's alone.
    aligned: Vec<Option<Dense>>,
}

/// Features of a batch of views.
#[derive(Debug)]
pub(super) struct Features {
    /// `[image, pixel, channel]` by stream, in single precision.
    pub(super) streams: BTreeMap<Stream, Tensor<3>>,
    /// Fused features before the geo-context, `[view, pixel, channel]`.
    pub(super) fused: Tensor<3>,
}

/// Places of heads and centres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order(pub(super) Vec<Stream>);

impl Order {
    /// Streams of a model: its modalities and the fused features.
    pub(super) fn new(modalities: impl Iterator<Item = Modality>) -> Self {
        Self(modalities.map(Stream::Modality).chain([Stream::Fused]).collect())
    }

    /// The modalities.
    pub(super) fn modalities(&self) -> Vec<Modality> {
        let modality = |stream: &Stream| match stream {
            Stream::Modality(modality) => Some(*modality),
            Stream::Fused => None,
        };
        self.0.iter().filter_map(modality).collect()
    }

    fn of(&self, stream: Stream, level: Level) -> Option<usize> {
        let place = self.0.iter().position(|other| *other == stream)?;
        Some(place * Level::ALL.len() + level as usize)
    }
}

impl PretrainConfig {
    /// Weight of a term, 0 where it is left out.
    pub(super) fn weight(&self, stream: Stream, level: Level) -> f64 {
        let of_stream = if stream == Stream::Fused { self.streams.fused } else { self.streams.modalities };
        of_stream
            * match level {
                Level::Pixel => self.levels.pixel,
                Level::Object => self.levels.object,
                Level::Image => self.levels.image,
            }
    }
}

/// Channels of the features of a stream.
pub(super) fn channels(sizes: &SkySenseConfig, stream: Stream) -> usize {
    match stream {
        Stream::Fused => sizes.channels(),
        Stream::Modality(_) => sizes.fusion.channels_in,
    }
}

impl Network {
    /// Around an encoder, which both begin with.
    pub(super) fn new(encoder: SkySense, order: &Order, config: &PretrainConfig, device: &Device) -> Self {
        let sizes = encoder.config().clone();
        let terms = order.0.iter().flat_map(|stream| Level::ALL.map(|level| (*stream, level)));
        let head = |(stream, level)| {
            (config.weight(stream, level) > 0.0).then(|| config.heads.init(channels(&sizes, stream), device))
        };
        let aligns = |stream: &Stream| *stream != Stream::Fused && config.alignment.weight > 0.0;
        let dense = |stream: &Stream| {
            aligns(stream).then(|| Dense::new(channels(&sizes, *stream), config.alignment.outputs, device))
        };
        let (heads, aligned) = seeded(device, rng(config.recipe.seed, Purpose::Projection, 0).random(), || {
            drawn((terms.clone().map(head).collect::<Vec<_>>(), order.0.iter().map(dense).collect::<Vec<_>>()))
        });
        let regions = sizes.geo_context.as_ref().map_or(1, |context| context.regions);
        let student = Branch { encoder, heads, aligned };
        // Told to learn nothing, or loading it would ask its device to record.
        let teacher = Branch { aligned: Vec::new(), ..student.valid().no_grad() };
        let inner = device.clone().inner();
        let zeros = |count: usize| Param::from_tensor(Tensor::zeros([count], &inner)).set_require_grad(false);
        let centres = terms.map(|_| zeros(config.heads.outputs)).collect();
        Self { student, teacher, centres, visits: zeros(regions) }
    }

    /// The centre of a term.
    pub(super) fn centre(&self, order: &Order, term: (Stream, Level)) -> Tensor<1> {
        let place = order.of(term.0, term.1).unwrap_or_default();
        self.centres[place].val()
    }

    /// With another centre of a term.
    pub(super) fn set_centre(&mut self, order: &Order, term: (Stream, Level), centre: Tensor<1>) {
        if let Some(place) = order.of(term.0, term.1) {
            let id = self.centres[place].id;
            self.centres[place] = Param::initialized(id, centre);
        }
    }

    /// How often the prototypes of a region moved.
    pub(super) fn visits(&self) -> Vec<f32> {
        self.visits.val().into_data().iter::<f32>().collect()
    }

    /// With prototypes of both, and the visits of their regions.
    pub(super) fn set_prototypes(&mut self, table: Tensor<3>, visits: Vec<f32>) {
        let device = self.visits.val().device();
        let count = visits.len();
        let counted = Tensor::from_data(TensorData::new(visits, [count]), &device);
        self.visits = Param::initialized(self.visits.id, counted);
        for (branch, table) in [(&mut self.student, table.clone().autodiff()), (&mut self.teacher, table)] {
            branch.encoder.geo_context =
                branch.encoder.geo_context.take().map(|context| context.with_prototypes(table));
        }
    }

    /// The teacher after a step: `θ' ← m·θ' + (1 − m)·θ`.
    pub(super) fn follow(mut self, momentum: f64) -> Self {
        let mut collect = Collect(GradientsParams::new());
        self.student.visit(&mut collect);
        self.teacher = self.teacher.map(&mut Follow { student: collect.0, momentum });
        // Prototypes are one table for both.
        if let Some(table) = self.student.encoder.geo_context.as_ref().map(|context| context.valid().prototypes()) {
            let context = self.teacher.encoder.geo_context.take();
            self.teacher.encoder.geo_context = context.map(|context| context.with_prototypes(table));
        }
        self
    }
}

impl Branch {
    /// Features of a batch; `region` `[view]` is needed where the encoder has prototypes.
    pub(super) fn features(
        &self,
        tape: &Tape,
        batch: &Batch,
        region: &Tensor<1, Int>,
        precision: Precision,
    ) -> Features {
        let encoded = Encoded::new(&self.encoder, tape, batch, precision);
        let of = |modality| Some((Stream::Modality(modality), Precision::F32.cast(encoded.modality(modality)?)));
        let mut streams: BTreeMap<_, _> = Modality::ALL.into_iter().filter_map(of).collect();
        let fused = Precision::F32.cast(encoded.fused(&self.encoder, tape));
        let whole = match &self.encoder.geo_context {
            Some(context) => context.forward(fused.clone(), region.clone()),
            None => fused.clone(),
        };
        let _new = streams.insert(Stream::Fused, rows(whole));
        Features { streams, fused: rows(fused) }
    }

    /// The projection of a term.
    pub(super) fn head(&self, order: &Order, (stream, level): (Stream, Level)) -> Option<&Head> {
        self.heads.get(order.of(stream, level)?)?.as_ref()
    }

    /// The projection of a modality for the alignment.
    pub(super) fn aligned(&self, order: &Order, stream: Stream) -> Option<&Dense> {
        let place = order.0.iter().position(|other| *other == stream)?;
        self.aligned.get(place)?.as_ref()
    }

    /// Takes the gradients of the last layers of all projections away.
    pub(super) fn pause_last(&self, gradients: &mut GradientsParams) {
        for head in self.heads.iter().flatten() {
            drop(gradients.remove::<2>(head.last.id));
        }
    }
}

/// `[batch, channel, height, width]` → `[batch, pixel, channel]`.
fn rows(map: Tensor<4>) -> Tensor<3> {
    let [batch, channel, height, width] = map.dims();
    map.reshape([batch, channel, height * width]).swap_dims(1, 2)
}

/// Weights by the ids of their parameters, which student and teacher share.
struct Collect(GradientsParams);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val().inner());
    }
}

struct Follow {
    student: GradientsParams,
    momentum: f64,
}

impl ModuleMapper for Follow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(student) = self.student.remove::<D>(param.id) else { return param };
        let momentum = self.momentum;
        param.map(|teacher| teacher * momentum + student * (1.0 - momentum))
    }
}

/// The encoder of a run with its weights at the start.
pub(super) fn encoder(
    setup: &crate::setup::Setup,
    sizes: &SkySenseConfig,
    seed: u64,
    device: &Device,
) -> Result<SkySense, TrainError> {
    let random = seeded(device, rng(seed, Purpose::Weights, 0).random(), || sizes.init(device).map(drawn))?;
    match &setup.package {
        Some(package) => Ok(crate::network::load_encoder(random, package)?.0.set_require_grad(true)),
        None => Ok(random),
    }
}
