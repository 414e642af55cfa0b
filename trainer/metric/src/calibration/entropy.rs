//! Entropy of probabilities: how unsure a model is.

use crate::{MetricError, check};

/// −Σ p ln p, in nats: 0 where one class is certain.
///
/// # Errors
/// When a probability is not from 0 to 1, or they do not add up to 1 within 0.001.
pub fn entropy(probabilities: &[f64]) -> Result<f64, MetricError> {
    check::shares("probability", probabilities)?;
    let sum: f64 = probabilities.iter().sum();
    if (sum - 1.0).abs() > 1e-3 {
        let (what, expected) = ("sum of the probabilities of sample", "1; give probabilities, not logits");
        return Err(MetricError::Range { what, at: 0, found: sum, expected });
    }
    let terms = probabilities.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln());
    Ok(terms.sum::<f64>().max(0.0))
}

/// [`entropy`] as a share of the most that so many classes can have: 1 where all are equally likely, 0 with one class.
///
/// # Errors
/// As of [`entropy`].
pub fn relative_entropy(probabilities: &[f64]) -> Result<f64, MetricError> {
    let entropy = entropy(probabilities)?;
    let most = (probabilities.len() as f64).ln();
    Ok(if most > 0.0 { (entropy / most).min(1.0) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_and_uncertain() {
        assert_eq!((entropy(&[1.0, 0.0]), relative_entropy(&[1.0])), (Ok(0.0), Ok(0.0)));
        assert_eq!(relative_entropy(&[0.25; 4]), Ok(1.0));
        assert!((entropy(&[0.5, 0.5]).unwrap() - std::f64::consts::LN_2).abs() < 1e-15);
    }

    #[test]
    fn logits_are_no_probabilities() {
        for wrong in [vec![], vec![0.5, 0.6], vec![2.0, -1.0], vec![f64::NAN, 1.0]] {
            assert!(entropy(&wrong).is_err(), "{wrong:?}");
        }
    }
}
