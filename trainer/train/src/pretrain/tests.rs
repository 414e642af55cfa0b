//! What pretraining is made of, held against values by hand.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use skysense_contract::{Dtype, Input, Modality, Unit};
use skysense_model::preset;

use super::augment::{Crops, Photometric};
use super::network::{Network, Order};
use super::pairs::Compared;
use super::stream::{Level, Stream};
use super::view::{View, Viewer};
use super::{Place, PretrainConfig};
use crate::SampleSeries;
use crate::augment::Augmentation;
use crate::dataset::Bands;
use crate::random::{Purpose, rng};

/// Side of the places of these tests.
const OF: usize = 12;

fn input(dates: usize, scale: usize) -> Input {
    Input {
        bands: vec!["a".into()],
        unit: Unit::Decibel,
        dtype: Dtype::F32,
        mean: vec![0.0],
        std: vec![1.0],
        dates,
        scale,
    }
}

/// A place whose pixels say where they lie: date · 10000 + place on the 10 m grid.
fn place(dates: usize, modalities: &[Modality]) -> Place {
    let series = |modality: &Modality| {
        let scale = if *modality == Modality::Hr { 32 } else { 1 };
        let dates = if scale == 32 { 1 } else { dates };
        let side = OF * scale;
        let value = |at: usize| {
            let (date, place) = (at / (side * side), at % (side * side));
            (date * 10_000 + place / side / scale * OF + place % side / scale) as f32
        };
        let series = SampleSeries {
            pixels: (0..dates * side * side).map(value).collect(),
            valid: vec![1; dates * side * side],
            datetimes: (0..dates as i64).map(|date| date * 86_400_000 * 20).collect(),
        };
        (*modality, series)
    };
    Place { name: "here".into(), series: modalities.iter().map(series).collect(), centre: [14.5, 48.0] }
}

fn viewer(modalities: &[Modality], dates: usize) -> Viewer {
    let input = |modality: &Modality| (*modality, input(dates, if *modality == Modality::Hr { 32 } else { 1 }));
    Viewer {
        inputs: modalities.iter().map(input).collect(),
        bands: modalities.iter().map(|modality| (*modality, Bands { sources: vec![0], of: 1 })).collect(),
        of: OF,
        size: 8,
        crops: Crops { overlap: 0.5, locals: 1, local_size: 4, ..Crops::default() },
        augmentation: Augmentation { turns: true, dates: 0.4, modality_dropout: 0.0 },
        photometric: Photometric::none(),
        day_jitter: 0,
    }
}

#[test]
fn a_pixel_of_a_view_shows_the_ground_that_it_names_in_every_modality() {
    let modalities = Modality::ALL;
    let place = place(5, &modalities);
    let mut turned = false;
    for step in 0..40 {
        let views = viewer(&modalities, 5).views(&place, &mut rng(1, Purpose::View, step)).unwrap();
        for view in views.globals.iter().chain(&views.locals) {
            let size = view.sample.size;
            turned |= !view.ground.is_sorted();
            for (modality, series) in &view.sample.series {
                let scale = series.side / size;
                for (at, value) in series.pixels.iter().enumerate() {
                    let (date, pixel) = (at / (series.side * series.side), at % (series.side * series.side));
                    let pixel = pixel / series.side / scale * size + pixel % series.side / scale;
                    let expected = view.shown[modality].dates[date] as u32 * 10_000 + view.ground[pixel];
                    // High resolution is bytes to its augmentation.
                    let expected = if *modality == Modality::Hr { expected.min(255) } else { expected };
                    assert_eq!(*value as u32, expected, "{modality} of step {step}");
                }
            }
        }
    }
    assert!(turned);
}

#[test]
fn pairs_show_the_same_ground_on_the_same_date() {
    let place = place(6, &[Modality::S2]);
    let mut images = 0;
    for step in 0..30 {
        let views = viewer(&[Modality::S2], 6).views(&place, &mut rng(2, Purpose::View, step)).unwrap();
        let teachers: Vec<&View> = views.globals.iter().collect();
        let small: Vec<&View> = views.locals.iter().collect();
        for (students, pairs) in [(&teachers, [(0, 1), (1, 0)]), (&small, [(0, 0), (0, 1)])] {
            let compared = Compared { students, teachers: &teachers, pairs: &pairs, pixels: Some(5) };
            let found = compared.of(Stream::Modality(Modality::S2));
            // Rows of features as the networks give them, here the pixels themselves.
            let values = |views: &[&View]| -> Vec<f32> {
                let time = views.iter().map(|view| view.shown[&Modality::S2].dates.len()).max().unwrap();
                let padded = |view: &&View| {
                    let mut pixels = view.sample.series[&Modality::S2].pixels.clone();
                    pixels.resize(time * view.ground.len(), -1.0);
                    pixels
                };
                views.iter().flat_map(padded).collect()
            };
            let (ours, theirs) = (values(students), values(&teachers));
            for (index, image) in found.images.iter().enumerate() {
                images += 1;
                for pixel in 0..found.area {
                    let at = index * found.area + pixel;
                    let (a, b) = (ours[*image as usize * found.area + pixel], theirs[found.rows[at] as usize]);
                    assert!(found.weights[at] == 0.0 || a == b, "step {step}: {a} beside {b}");
                }
            }
            assert!(found.weights.contains(&1.0), "two views have a date and ground in common");
            assert_eq!(found.looked.len(), 5 * found.images.len());
            for (looked, weight) in found.looked.iter().zip(&found.looked_weights) {
                assert_eq!(found.weights[*looked as usize], *weight);
                // Small views may share less ground than is looked at.
                assert!(*weight == 1.0 || students.len() == 1, "there are more pixels that count than are looked at");
            }
            let fused = compared.of(Stream::Fused);
            // A small view may lie beside one of the large ones.
            let fewest = if students.len() == 2 { 2 } else { 1 };
            assert!((fewest..=2).contains(&fused.images.len()), "each view once: {}", fused.images.len());
        }
    }
    assert!(images > 60);
}

#[test]
fn what_was_not_seen_and_dates_and_modalities_that_lack_do_not_count() {
    let both = [Modality::S2, Modality::S1];
    let mut place = place(3, &both);
    let series = place.series.get_mut(&Modality::S2).unwrap();
    // Date 1 is seen nowhere, and the upper half of all dates neither.
    for (at, valid) in series.valid.iter_mut().enumerate() {
        *valid = u8::from(at / (OF * OF) != 1 && at % (OF * OF) >= OF * OF / 2);
    }
    let mut viewer = viewer(&both, 3);
    viewer.augmentation.dates = 1.0;
    let views = viewer.views(&place, &mut rng(3, Purpose::View, 0)).unwrap();
    let [mut first, second] = views.globals;
    for view in [&first, &second] {
        assert_eq!(view.shown[&Modality::S2].dates, [0, 2]);
        assert_eq!(view.sample.series[&Modality::S2].days.len(), 2);
    }
    let pairs = |first: &View, stream| {
        let views = [first, &second];
        Compared { students: &views, teachers: &views, pairs: &[(0, 1), (1, 0)], pixels: None }.of(stream)
    };
    let found = pairs(&first, Stream::Modality(Modality::S2));
    assert_eq!(found.images.len(), 4, "two dates of each view");
    let seen = |view: &View, pixel: usize| view.ground[pixel] as usize >= OF * OF / 2;
    for (at, weight) in found.weights.iter().enumerate() {
        let (image, pixel) = (at / found.area, at % found.area);
        let view = if found.images[image] < 2 { &first } else { &second };
        assert!(*weight == 0.0 || seen(view, pixel));
    }
    // Radar sees all of it, so the fused features count where no optical date does.
    let fused = pairs(&first, Stream::Fused);
    let first_half = fused.weights.iter().enumerate().filter(|(at, weight)| {
        let view = if fused.images[at / fused.area] == 0 { &first } else { &second };
        **weight > 0.0 && !seen(view, at % fused.area)
    });
    assert!(first_half.count() > 0);
    drop(first.sample.series.remove(&Modality::S1));
    drop(first.shown.remove(&Modality::S1));
    assert!(pairs(&first, Stream::Modality(Modality::S1)).images.is_empty(), "a modality that one view lacks");
}

#[test]
fn places_that_do_not_fit_are_told() {
    let fault = |change: &dyn Fn(&mut Place)| {
        let mut place = place(2, &[Modality::S2]);
        change(&mut place);
        viewer(&[Modality::S2], 2).views(&place, &mut rng(4, Purpose::View, 0)).unwrap_err()
    };
    assert!(fault(&|p| p.series.clear()).contains("no acquisition"));
    assert!(fault(&|p| p.series.get_mut(&Modality::S2).unwrap().pixels.truncate(287)).contains("s2: 287 pixel values"));
    assert!(fault(&|p| p.series.get_mut(&Modality::S2).unwrap().valid.fill(0)).contains("no pixel of one view"));
    assert!(fault(&|p| p.centre = [0.0, f64::NAN]).contains("latitude NaN"));
    assert!(
        fault(&|p| {
            let series = p.series[&Modality::S2].clone();
            let _new = p.series.insert(Modality::S1, series);
        })
        .contains("s1 is not among the offers")
    );
}

struct First(Vec<(Vec<f32>, bool)>);

impl ModuleVisitor for First {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let recorded = value.is_autodiff();
        self.0.push((value.into_data().iter::<f32>().take(3).collect(), recorded));
    }
}

fn first<M: Module>(module: &M) -> Vec<(Vec<f32>, bool)> {
    let mut first = First(Vec::new());
    module.visit(&mut first);
    first.0
}

#[test]
fn the_teacher_follows_the_student_by_its_momentum_and_records_nothing() {
    let mut config = PretrainConfig::new("test");
    config.alignment.weight = 0.0;
    let mut sizes = preset("tiny").unwrap();
    (sizes.hr, sizes.s1) = (None, None);
    let device = Device::flex().autodiff();
    let network = |seed: u64| {
        let mut config = config.clone();
        config.recipe.seed = seed;
        let encoder = crate::network::seeded(&device, seed, || crate::network::drawn(sizes.init(&device).unwrap()));
        Network::new(encoder, &Order::new([Modality::S2].into_iter()), &config, &device)
    };
    let (mut ours, other) = (network(1), network(2));
    assert!(first(&ours.student).iter().all(|(_, recorded)| *recorded));
    assert!(first(&ours.teacher).iter().all(|(_, recorded)| !*recorded));
    let (before, student) = (first(&ours.teacher), first(&other.student));
    // The teacher of one network beside the student of the other: ids are those of the student.
    ours.student = other.student;
    ours.teacher = rekeyed(&ours.student, ours.teacher);
    let after = first(&ours.follow(0.75).teacher);
    assert_eq!(before.len(), after.len());
    for ((before, student), (after, _)) in before.iter().zip(&student).zip(&after) {
        for ((before, student), after) in before.0.iter().zip(&student.0).zip(after) {
            let expected = 0.75 * before + 0.25 * student;
            assert!((after - expected).abs() < 1e-6, "{after} instead of {expected}");
        }
    }
}

/// A branch with the ids of another, its parameters in the same order.
fn rekeyed(like: &super::network::Branch, branch: super::network::Branch) -> super::network::Branch {
    struct Ids(Vec<burn::module::ParamId>);
    impl ModuleVisitor for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.id);
        }
    }
    struct Rekey(std::vec::IntoIter<burn::module::ParamId>);
    impl burn::module::ModuleMapper for Rekey {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            Param::initialized(self.0.next().unwrap(), param.val())
        }
    }
    let mut ids = Ids(Vec::new());
    like.visit(&mut ids);
    branch.map(&mut Rekey(ids.0.into_iter()))
}

#[test]
fn terms_that_are_left_out_have_no_weight() {
    let mut config = PretrainConfig::new("test");
    (config.levels.object, config.streams.fused) = (0.0, 0.5);
    let s2 = Stream::Modality(Modality::S2);
    let of = |stream| Level::ALL.map(|level| config.weight(stream, level));
    assert_eq!((of(s2), of(Stream::Fused)), ([1.0, 0.0, 1.0], [0.5, 0.0, 0.5]));
}
