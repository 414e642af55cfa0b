//! Counting, by the kind of task. Memory is that of the blocks, whatever the size of the map.

use skysense_contract::Task;
use skysense_edges::ClassFacts;
use skysense_metric::{
    Accumulator, AveragePrecision, BiasPlot, Binary, Blocks, Bootstrap, Confusion, MetricError, MultiLabel, Regression,
    Reliability, Thinning,
};

use super::record::{Block, ClassRow, Evaluation, Of, Score};

/// Bars of the reliability diagram, and bins of the bias plot.
const BARS: usize = 15;
const BINS: usize = 10;
/// Pairs that the bias plot is drawn from, spread evenly over all.
const PAIRS: usize = 1 << 16;
/// Probability from which on a label is found.
const THRESHOLD: f64 = 0.5;

/// What is counted.
pub(crate) enum Counts {
    /// One class of several.
    Classes {
        task: Task,
        blocks: Blocks<Confusion>,
        sure: Reliability,
        ranking: Option<AveragePrecision>,
        /// Probabilities of the pixel that is counted, kept so that none needs room of its own.
        given: Vec<f64>,
    },
    /// Any classes.
    Labels { blocks: Blocks<MultiLabel>, ranking: AveragePrecision },
    /// A quantity.
    Values { blocks: Blocks<Regression>, pairs: Vec<[f64; 2]>, thinning: Thinning },
}

impl Counts {
    /// Nothing yet, of a task with so many classes, in blocks of so many pixels.
    ///
    /// # Errors
    /// A block without pixels.
    pub(crate) fn new(task: Task, classes: usize, block: usize) -> Result<Self, MetricError> {
        let side = block as f64;
        Ok(match task {
            Task::Regression => Self::Values {
                blocks: Blocks::new(side, Regression::default())?,
                pairs: Vec::new(),
                thinning: Thinning::new(PAIRS),
            },
            Task::MultiLabel => Self::Labels {
                blocks: Blocks::new(side, MultiLabel::new(classes))?,
                ranking: AveragePrecision::new(classes),
            },
            _ => Self::Classes {
                task,
                blocks: Blocks::new(side, Confusion::new(classes))?,
                sure: Reliability::new(BARS)?,
                // Of chips only: a ranking holds every score.
                ranking: task.of_chips().then(|| AveragePrecision::new(classes)),
                given: Vec::with_capacity(classes),
            },
        })
    }

    /// Counts a pixel or chip at a place in pixels: its class, and the probabilities of all.
    ///
    /// # Errors
    /// Probabilities that are none.
    pub(crate) fn class(
        &mut self,
        place: [f64; 2],
        truth: usize,
        probabilities: impl Iterator<Item = f32>,
    ) -> Result<(), MetricError> {
        let Self::Classes { blocks, sure, ranking, given, .. } = self else { return Ok(()) };
        given.clear();
        // Means of probabilities may leave the range by a rounding.
        given.extend(probabilities.map(|share| f64::from(share).clamp(0.0, 1.0)));
        let best = given.iter().enumerate().fold(0, |best, (at, share)| if *share > given[best] { at } else { best });
        sure.add_probabilities(given, truth)?;
        if let Some(ranking) = ranking {
            ranking.add_class(truth, given)?;
        }
        blocks.at(place)?.add(truth, best);
        Ok(())
    }

    /// Counts a chip of any classes.
    ///
    /// # Errors
    /// Probabilities that are none.
    pub(crate) fn labels(&mut self, place: [f64; 2], truth: &[bool], given: &[f64]) -> Result<(), MetricError> {
        let Self::Labels { blocks, ranking } = self else { return Ok(()) };
        let given: Vec<f64> = given.iter().map(|share| share.clamp(0.0, 1.0)).collect();
        ranking.add(truth, &given)?;
        blocks.at(place)?.add_probabilities(truth, &given, THRESHOLD)
    }

    /// Counts a value.
    ///
    /// # Errors
    /// A value that is not finite.
    pub(crate) fn value(&mut self, place: [f64; 2], truth: f64, given: f64) -> Result<(), MetricError> {
        let Self::Values { blocks, pairs, thinning } = self else { return Ok(()) };
        blocks.at(place)?.add(&[truth], &[given])?;
        if thinning.takes(|| *pairs = pairs.iter().step_by(2).copied().collect()) {
            pairs.push([truth, given]);
        }
        Ok(())
    }

    /// What was found, with intervals from whole blocks.
    ///
    /// # Errors
    /// None that is known: what was counted adds up.
    pub(crate) fn evaluation(
        &self,
        about: Of,
        classes: &[ClassFacts],
        bootstrap: Bootstrap,
    ) -> Result<Evaluation, MetricError> {
        match self {
            Self::Classes { task, blocks, sure, ranking, .. } => {
                let total = blocks.total()?;
                let mut named: Vec<(&str, Rule<'_, Confusion>)> = Vec::new();
                if *task == Task::Change {
                    named.push(("f1_of_change", &|counts| Binary::against_first(counts).f1()));
                    named.push(("iou_of_change", &|counts| Binary::against_first(counts).iou()));
                }
                named.push(("overall_accuracy", &Confusion::overall_accuracy));
                named.push(("mean_iou", &Confusion::mean_iou));
                named.push(("macro_f1", &Confusion::macro_f1));
                named.push(("kappa", &Confusion::kappa));
                let mut scores = scored(blocks, &total, bootstrap, &named)?;
                if let Some(ranking) = ranking {
                    scores.push(plain("mean_average_precision", ranking.macro_mean()));
                }
                scores.push(plain("expected_calibration_error", sure.expected_error()));
                let precisions = ranking.as_ref().map(AveragePrecision::by_class).unwrap_or_default();
                let row = |(at, class): (usize, &ClassFacts)| ClassRow {
                    value: class.value,
                    name: class.name.clone(),
                    color: class.color.clone(),
                    count: total.in_truth(at),
                    iou: total.iou(at),
                    precision: total.precision(at),
                    recall: total.recall(at),
                    f1: total.f1(at),
                    average_precision: precisions.get(at).copied().flatten(),
                };
                let line = |truth| (0..classes.len()).map(|found| total.count(truth, found)).collect();
                Ok(Evaluation {
                    about,
                    count: total.total(),
                    scores,
                    classes: classes.iter().enumerate().map(row).collect(),
                    confusion: (0..classes.len()).map(line).collect(),
                    reliability: sure.bins(),
                    bias: Vec::new(),
                    blocks: places(blocks, |b| (b.total(), b.overall_accuracy().map(|share| 1.0 - share))),
                })
            }
            Self::Labels { blocks, ranking } => {
                let total = blocks.total()?;
                let named: [(&str, Rule<'_, MultiLabel>); 4] = [
                    ("macro_f1", &MultiLabel::macro_f1),
                    ("micro_f1", &MultiLabel::micro_f1),
                    ("label_accuracy", &MultiLabel::label_accuracy),
                    ("exact_accuracy", &MultiLabel::exact_accuracy),
                ];
                let mut scores = vec![plain("mean_average_precision", ranking.macro_mean())];
                scores.extend(scored(blocks, &total, bootstrap, &named)?);
                let precisions = ranking.by_class();
                let row = |((class, label), precision): ((&ClassFacts, &Binary), Option<f64>)| ClassRow {
                    value: class.value,
                    name: class.name.clone(),
                    color: class.color.clone(),
                    count: label.true_positive + label.false_negative,
                    iou: label.iou(),
                    precision: label.precision(),
                    recall: label.recall(),
                    f1: label.f1(),
                    average_precision: precision,
                };
                Ok(Evaluation {
                    about,
                    count: total.samples(),
                    scores,
                    classes: classes.iter().zip(total.labels()).zip(precisions).map(row).collect(),
                    confusion: Vec::new(),
                    reliability: Vec::new(),
                    bias: Vec::new(),
                    blocks: places(blocks, |b| (b.samples(), b.label_accuracy().map(|share| 1.0 - share))),
                })
            }
            Self::Values { blocks, pairs, .. } => {
                let total = blocks.total()?;
                let found = total.scores();
                let named: [(&str, Rule<'_, Regression>); 4] = [
                    ("rmse", &|sums| sums.scores().map(|errors| errors.rmse)),
                    ("mae", &|sums| sums.scores().map(|errors| errors.mae)),
                    ("bias", &|sums| sums.scores().map(|errors| errors.bias)),
                    ("r2", &|sums| sums.scores().and_then(|errors| errors.r2)),
                ];
                let scores = scored(blocks, &total, bootstrap, &named)?;
                Ok(Evaluation {
                    about,
                    count: found.map_or(0, |errors| errors.count),
                    scores,
                    classes: Vec::new(),
                    confusion: Vec::new(),
                    reliability: Vec::new(),
                    bias: bias(pairs)?,
                    blocks: places(blocks, |b| (b.count(), b.scores().map(|errors| errors.rmse))),
                })
            }
        }
    }
}

/// What a score makes of counts.
type Rule<'a, A> = &'a dyn Fn(&A) -> Option<f64>;

/// Scores with their intervals, from the same draws.
fn scored<A: Accumulator>(
    blocks: &Blocks<A>,
    total: &A,
    bootstrap: Bootstrap,
    named: &[(&str, Rule<'_, A>)],
) -> Result<Vec<Score>, MetricError> {
    let rules: Vec<Rule<'_, A>> = named.iter().map(|(_, rule)| *rule).collect();
    let intervals = blocks.intervals(bootstrap, &rules)?;
    let score = |((name, rule), interval): (&(&str, Rule<'_, A>), _)| Score {
        name: (*name).into(),
        value: rule(total),
        interval,
    };
    Ok(named.iter().zip(intervals).map(score).collect())
}

/// A score without an interval.
fn plain(name: &str, value: Option<f64>) -> Score {
    Score { name: name.into(), value, interval: None }
}

fn bias(pairs: &[[f64; 2]]) -> Result<Vec<skysense_metric::BiasBin>, MetricError> {
    let truths = || pairs.iter().map(|pair| pair[0]);
    let (least, most) = (truths().fold(f64::INFINITY, f64::min), truths().fold(f64::NEG_INFINITY, f64::max));
    // A truth that does not vary has no size to plot by.
    if least >= most {
        return Ok(Vec::new());
    }
    let mut plot = BiasPlot::new(least, most, BINS)?;
    pairs.iter().try_for_each(|[truth, given]| plot.add(&[*truth], &[*given]))?;
    Ok(plot.points())
}

fn places<A: Accumulator>(blocks: &Blocks<A>, of: impl Fn(&A) -> (u64, Option<f64>)) -> Vec<Block> {
    let block = |([column, row], sum): ([i64; 2], &A)| {
        let (count, error) = of(sum);
        Some(Block { column, row, count, error: error? })
    };
    blocks.iter().filter_map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> Of {
        Of {
            task: String::new(),
            model: "m".into(),
            unit: String::new(),
            weights_sha256: String::new(),
            labels: vec![],
            part: "all".into(),
            block: 10,
            workflow_sha256: String::new(),
        }
    }

    fn classes() -> Vec<ClassFacts> {
        (1..=2).map(|value| ClassFacts { value, name: format!("class {value}"), color: "00ff00".into() }).collect()
    }

    #[test]
    fn pixels_are_counted_by_block_and_scored_with_intervals() {
        let mut counts = Counts::new(Task::Change, 2, 10).unwrap();
        // Four blocks: one all wrong, the others right.
        for block in 0..4_u32 {
            for at in 0..10_u32 {
                let (place, truth) = ([f64::from(10 * block), f64::from(at)], usize::from(at % 2 == 0));
                let right: [f32; 2] = if truth == 1 { [0.2, 0.8] } else { [0.8, 0.2] };
                let given = if block == 3 { [right[1], right[0]] } else { right };
                counts.class(place, truth, given.into_iter()).unwrap();
            }
        }
        let found = counts.evaluation(about(), &classes(), Bootstrap::default()).unwrap();
        assert_eq!((found.count, &found.confusion), (40, &vec![vec![15, 5], vec![5, 15]]));
        let score = |name: &str| found.scores.iter().find(|score| score.name == name).unwrap();
        assert_eq!((score("f1_of_change").value, score("overall_accuracy").value), (Some(0.75), Some(0.75)));
        let interval = score("overall_accuracy").interval.unwrap();
        assert!(interval.lower < 0.75 && interval.upper > 0.75 && interval.blocks == 4, "{interval:?}");
        assert_eq!(found.blocks.iter().map(|block| block.error).collect::<Vec<_>>(), [0.0, 0.0, 0.0, 1.0]);
        let sure = found.reliability.iter().find(|bar| bar.count > 0).unwrap();
        assert!((sure.accuracy.unwrap() - 0.75).abs() < 1e-6 && (sure.confidence.unwrap() - 0.8).abs() < 1e-6);
    }

    #[test]
    fn values_and_labels_are_scored() {
        let mut counts = Counts::new(Task::Regression, 0, 10).unwrap();
        for at in 0..20_u32 {
            counts.value([f64::from(at), 0.0], f64::from(at), f64::from(at) + 2.0).unwrap();
        }
        let found = counts.evaluation(about(), &[], Bootstrap::default()).unwrap();
        assert_eq!((found.scores[0].value, found.scores[2].value, found.count), (Some(2.0), Some(2.0), 20));
        assert!(found.bias.len() == 10 && found.bias.iter().all(|bin| bin.bias == Some(2.0)), "{:?}", found.bias);
        assert!(counts.value([0.0, 0.0], f64::NAN, 1.0).is_err());
        let mut counts = Counts::new(Task::MultiLabel, 2, 10).unwrap();
        counts.labels([0.0, 0.0], &[true, false], &[0.9, 0.6]).unwrap();
        counts.labels([20.0, 0.0], &[false, true], &[0.1, 0.7]).unwrap();
        let found = counts.evaluation(about(), &classes(), Bootstrap::default()).unwrap();
        assert_eq!((found.scores[0].value, found.classes[1].precision), (Some(1.0), Some(0.5)));
    }
}
