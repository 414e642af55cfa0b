//! Packages in smaller precisions, made as `skysense model reduce` makes them.

use std::collections::BTreeMap;
use std::path::Path;

use skysense_contract::{Package, Reduced};
use skysense_infer::{Options, likeness, ranges};
use skysense_train::{Precision, Reduction};

/// Writes `package` in a precision below `folder`, calibrated on its probe.
pub fn reduced(package: &Package, precision: Precision, folder: &Path, options: &Options) -> Package {
    let original = Reduction::read(package).unwrap();
    let place = |what: &str| folder.join(format!("{precision}-{what}"));
    let seen = if precision == Precision::Int8Static {
        let watched = original.clone().watched().write(&place("watched")).unwrap();
        ranges(&watched, &[&package.probe()], options).unwrap().0
    } else {
        BTreeMap::new()
    };
    let measured = original.reduced(precision, &seen).write(&place("measured")).unwrap();
    let likeness = likeness(package, &measured, options).unwrap();
    let note = Reduced {
        precision: precision.to_string(),
        batch_dependent: precision.batch_dependent(),
        from_weights_sha256: package.contract().weights_sha256.clone(),
        from_bytes: package.bytes(),
        calibration: None,
        largest_difference: likeness.largest_difference,
        feature_cosine: likeness.feature_cosine,
    };
    Reduction::publish(&measured, package, &place("model"), &note).unwrap()
}
