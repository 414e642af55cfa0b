//! Multi-granularity contrastive learning: a student's features against its teacher's at the level of pixels, of objects
//! and of the whole image (`L_FGCL` of the paper).
//!
//! - pixel: `1 / (N_S T) Σ_{s,t} L(f[s,t], f'[s,t])`
//! - object: the `N_S` pixels of a date fall into `N_C` clusters by Sinkhorn–Knopp; `1 / (N_C T) Σ_{c,t} L` over their
//!   centres
//! - image: `1 / T Σ_t L` over the means of all pixels
//!
//! with `L` of [`super::self_distillation()`] on `f`, the projection of `F`: features are averaged first and projected
//! then, each level by a head of its own. Both sides show the same pixels: where views are cropped or turned, the
//! teacher's pixels are brought to the student's before. Pixels that do not count weigh nothing, and a date without one
//! that does has no object and no image.
//!
//! The paper does not say how clusters of student and teacher are matched. Here the teacher's pixels are clustered, and
//! both sides are averaged over the same clusters. Features are taken from the mean of their image, or all that pixels have
//! in common would make all cosines 1; the first centre is the first pixel that counts, each further one the pixel least
//! like those before; then scores are cosines, and centres move [`Objects::rounds`] times. That is our choice.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::sinkhorn::Sinkhorn;

/// How pixels become objects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objects {
    /// `N_C`, clusters of a date.
    pub clusters: usize,
    /// How often centres move to the mean of their pixels.
    pub rounds: usize,
    /// The assignment.
    pub sinkhorn: Sinkhorn,
}

impl Default for Objects {
    fn default() -> Self {
        Self { clusters: 8, rounds: 3, sinkhorn: Sinkhorn::default() }
    }
}

/// Which levels count, and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Granularity {
    /// Weight of the loss of pixels, 0 to leave it out.
    pub pixel: f64,
    /// Weight of the loss of objects, 0 to leave it out.
    pub object: f64,
    /// Weight of the loss of the image, 0 to leave it out.
    pub image: f64,
    /// How pixels become objects.
    pub objects: Objects,
}

impl Default for Granularity {
    fn default() -> Self {
        Self { pixel: 1.0, object: 1.0, image: 1.0, objects: Objects::default() }
    }
}

/// What is compared at one level.
#[derive(Debug, Clone)]
pub struct Grain {
    /// The student's, `[image, feature, channel]`.
    pub student: Tensor<3>,
    /// The teacher's, of the same shape; without a gradient.
    pub teacher: Tensor<3>,
    /// `[image, feature]`, 0 where a feature does not count.
    pub weights: Tensor<2>,
}

/// What is compared at the levels; `None` where one is left out.
#[derive(Debug, Clone)]
pub struct Levels {
    /// Every pixel.
    pub pixel: Option<Grain>,
    /// The centres of objects.
    pub object: Option<Grain>,
    /// The mean of each image.
    pub image: Option<Grain>,
}

impl Granularity {
    /// The features of a batch at the levels that count, to be projected and compared.
    ///
    /// # Shapes
    /// - `student`, `teacher`: features `[image, pixel, channel]`, an image for each chip and date
    /// - `weights`: `[image, pixel]`, 0 where a pixel does not count
    ///
    /// The teacher's may lie outside of what is recorded; they are brought to the student's side then.
    pub fn levels(&self, student: &Tensor<3>, teacher: &Tensor<3>, weights: &Tensor<2>) -> Levels {
        let teacher = teacher.clone().detach();
        let average = |features: &Tensor<3>, shares: Tensor<3>| shares.swap_dims(1, 2).matmul(features.clone());
        let present = present(weights.clone());
        let pixel = || Grain { student: student.clone(), teacher: teacher.clone(), weights: weights.clone() };
        let averaged = |shares: Tensor<3>| Grain {
            student: average(student, shares.clone()),
            teacher: average(&teacher, shares.clone()),
            // A cluster has pixels wherever its date has.
            weights: present.clone().repeat_dim(1, shares.dims()[2]),
        };
        Levels {
            pixel: (self.pixel > 0.0).then(pixel),
            object: (self.object > 0.0).then(|| averaged(self.objects.shares(teacher.clone(), weights.clone()))),
            image: (self.image > 0.0).then(|| averaged(column_shares(weights.clone().unsqueeze_dim::<3>(2)))),
        }
    }
}

impl Objects {
    /// How much each pixel `[image, pixel, cluster]` has of each cluster's centre; the shares of a cluster sum to 1.
    fn shares(&self, features: Tensor<3>, weights: Tensor<2>) -> Tensor<3> {
        let [images, pixels, _] = features.dims();
        let clusters = self.clusters.clamp(1, pixels);
        let all = column_shares(weights.clone().unsqueeze_dim::<3>(2)).swap_dims(1, 2);
        let features = unit(features.clone() - all.matmul(features));
        let mut centres = first_centres(&features, &weights, clusters);
        let mut shares = None;
        for _ in 0..self.rounds.max(1) {
            let scores = features.clone().matmul(centres.swap_dims(1, 2));
            let assigned =
                column_shares(self.sinkhorn.assign(scores, weights.clone()) * weights.clone().unsqueeze_dim::<3>(2));
            centres = unit(assigned.clone().swap_dims(1, 2).matmul(features.clone()));
            shares = Some(assigned);
        }
        shares.unwrap_or_else(|| Tensor::zeros([images, pixels, clusters], &features.device()))
    }
}

/// Pixels of features `[image, pixel, output]` that are far from each other: `[image, cluster, output]`.
fn first_centres(features: &Tensor<3>, weights: &Tensor<2>, clusters: usize) -> Tensor<3> {
    let outputs = features.dims()[2];
    // Cosines are at most 1, so what does not count is never the least alike.
    let absent = weights.clone().equal_elem(0.0).float() * 10.0;
    let mut alike = absent.clone();
    let mut centres: Vec<Tensor<3>> = Vec::with_capacity(clusters);
    for cluster in 0..clusters {
        let pixel = alike.clone().argmin(1).unsqueeze_dim::<3>(2).repeat_dim(2, outputs);
        let centre = features.clone().gather(1, pixel);
        let cosine = features.clone().matmul(centre.clone().swap_dims(1, 2)).squeeze_dim::<2>(2) + absent.clone();
        alike = if cluster == 0 { cosine } else { alike.max_pair(cosine) };
        centres.push(centre);
    }
    Tensor::cat(centres, 1)
}

/// `[image, pixel, column]` with columns that sum to 1, or to 0 where nothing counts.
pub(crate) fn column_shares(weights: Tensor<3>) -> Tensor<3> {
    let sums = weights.clone().sum_dim(1).clamp_min(1e-12);
    weights / sums
}

/// 1 for each image with a pixel that counts, 0 for others: `[image, 1]`.
fn present(weights: Tensor<2>) -> Tensor<2> {
    weights.max_dim(1).greater_elem(0.0).float()
}

/// Features of length 1.
pub(crate) fn unit(features: Tensor<3>) -> Tensor<3> {
    let lengths = features.clone().powf_scalar(2.0).sum_dim(2).clamp_min(1e-12).sqrt();
    features / lengths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{finite_differences, numbers, tensor1, tensor2, tensor3, values};
    use crate::loss::{Temperatures, self_distillation};

    const SHAPE: [usize; 3] = [2, 6, 4];
    const WEIGHTS: [f32; 12] = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0];

    const TEMPERATURES: Temperatures = Temperatures { student: 0.5, teacher: 0.3 };

    fn settings() -> Granularity {
        Granularity {
            objects: Objects { clusters: 2, rounds: 2, sinkhorn: Sinkhorn { epsilon: 0.3, iterations: 4 } },
            ..Granularity::default()
        }
    }

    fn levels(student: Tensor<3>) -> Levels {
        settings().levels(&student, &tensor3(&numbers(48, 9), SHAPE), &tensor2(&WEIGHTS, [2, 6]))
    }

    /// The loss of a level without a projection.
    fn loss(grain: Option<Grain>) -> Tensor<1> {
        let Grain { student, teacher, weights } = grain.unwrap();
        self_distillation(student, teacher, tensor1(&[0.1; 4]), weights, TEMPERATURES)
    }

    #[test]
    fn the_image_is_the_mean_of_pixels_that_count() {
        let (student, teacher) = (numbers(48, 8), numbers(48, 9));
        let mean = |features: &[f32]| -> Vec<f32> {
            let image = |i: usize| {
                let counted: Vec<usize> = (0..6).filter(|p| WEIGHTS[i * 6 + p] > 0.0).collect();
                (0..4)
                    .map(move |k| {
                        counted.iter().map(|p| features[(i * 6 + p) * 4 + k]).sum::<f32>() / counted.len() as f32
                    })
                    .collect::<Vec<_>>()
            };
            [image(0), image(1)].concat()
        };
        let image = levels(tensor3(&student, SHAPE)).image.unwrap();
        for (found, expected) in [(image.student, mean(&student)), (image.teacher, mean(&teacher))] {
            assert_eq!(found.dims(), [2, 1, 4]);
            for (found, expected) in values(found).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn objects_of_both_sides_are_means_over_the_clusters_of_the_teacher() {
        let (student, teacher) = (numbers(48, 8), numbers(48, 9));
        let weights = tensor2(&WEIGHTS, [2, 6]);
        let shares = values(settings().objects.shares(tensor3(&teacher, SHAPE), weights));
        let object = levels(tensor3(&student, SHAPE)).object.unwrap();
        for (found, features) in [(values(object.student), &student), (values(object.teacher), &teacher)] {
            for (at, found) in found.into_iter().enumerate() {
                let (image, cluster, channel) = (at / 8, at / 4 % 2, at % 4);
                let of = |pixel: usize| {
                    shares[(image * 6 + pixel) * 2 + cluster] * features[(image * 6 + pixel) * 4 + channel]
                };
                let expected: f32 = (0..6).map(of).sum();
                assert!((found - expected).abs() < 1e-5, "{at}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn gradients_are_difference_quotients_at_every_level() {
        let student = numbers(48, 8);
        finite_differences(&student, SHAPE, |x| loss(levels(x).pixel));
        finite_differences(&student, SHAPE, |x| loss(levels(x).object));
        finite_differences(&student, SHAPE, |x| loss(levels(x).image));
    }

    #[test]
    fn clusters_gather_alike_pixels_and_leave_out_what_does_not_count() {
        // Two kinds of pixel, the last one of neither.
        let (a, b) = ([1.0, 0.0, 0.1, 0.0], [0.0, 1.0, 0.0, 0.1]);
        let pixels = [a, a, b, b, a, [9.0, -9.0, 9.0, 9.0]].concat();
        let objects = Objects { clusters: 2, rounds: 4, sinkhorn: Sinkhorn { epsilon: 0.05, iterations: 20 } };
        let weights = tensor2(&[1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [1, 6]);
        let shares = values(objects.shares(tensor3(&pixels, [1, 6, 4]), weights));
        let of = |cluster: usize| shares.iter().skip(cluster).step_by(2).copied().collect::<Vec<f32>>();
        for cluster in [of(0), of(1)] {
            assert!((cluster.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert_eq!(cluster[5], 0.0);
        }
        // The pixels of `b` are all but alone in one of the two.
        let of_b = [of(0), of(1)].map(|cluster| cluster[2] + cluster[3]);
        assert!(of_b[0].max(of_b[1]) > 0.9, "{of_b:?}");
    }

    #[test]
    fn a_date_without_pixels_has_no_loss_and_levels_can_be_left_out() {
        let only_pixels = Granularity { object: 0.0, image: 0.0, ..settings() };
        let (student, teacher) = (tensor3(&numbers(48, 8), SHAPE), tensor3(&numbers(48, 9), SHAPE));
        let none = tensor2(&[0.0; 12], [2, 6]);
        let found = only_pixels.levels(&student, &teacher, &none);
        assert!(found.object.is_none() && found.image.is_none());
        let found = settings().levels(&student, &teacher, &none);
        for level in [found.pixel, found.object, found.image] {
            assert_eq!(loss(level).into_scalar::<f32>(), 0.0);
        }
    }
}
