//! What a package says of itself whose numbers were made smaller: the note `reduced`.

use serde::{Deserialize, Serialize};

use crate::Contract;

/// Name of the note.
const NOTE: &str = "reduced";

/// How a package was made smaller, and what that costs on its probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reduced {
    /// Name of the precision, such as `int8-static`.
    pub precision: String,
    /// Whether what a graph gives for one member of a batch depends on the others. Inference gives such graphs one
    /// acquisition and one chip at a time.
    pub batch_dependent: bool,
    /// Checksum of the weights that it was made from.
    pub from_weights_sha256: String,
    /// Bytes of the package that it was made from: graphs and weights.
    pub from_bytes: u64,
    /// What inputs were scaled by, where they were calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<String>,
    /// Largest difference to the probe's output, which is that of the float model; the probe's absolute tolerance
    /// is twice this, and no less than it was.
    pub largest_difference: f64,
    /// Mean over pixels of the cosine between features of the float model and of this one, on the probe.
    pub feature_cosine: f64,
}

impl Contract {
    /// How this package was made smaller; `None` for one that was not.
    pub fn reduced(&self) -> Option<Reduced> {
        serde_json::from_value(self.notes.get(NOTE)?.clone()).ok()
    }

    /// Writes down how the package was made smaller.
    pub fn set_reduced(&mut self, reduced: &Reduced) {
        if let Ok(note) = serde_json::to_value(reduced) {
            self.notes.insert(NOTE.into(), note);
        }
    }

    /// Name of the precision of the graphs.
    pub fn precision(&self) -> String {
        self.reduced().map_or_else(|| "f32".into(), |reduced| reduced.precision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::tests::sample;

    #[test]
    fn the_note_is_read_as_it_was_written() {
        let mut contract = sample();
        assert_eq!((contract.reduced(), contract.precision().as_str()), (None, "f32"));
        let reduced = Reduced {
            precision: "int8-dynamic".into(),
            batch_dependent: true,
            from_weights_sha256: "5".repeat(64),
            from_bytes: 1 << 40,
            calibration: None,
            largest_difference: 0.1,
            feature_cosine: 0.75,
        };
        contract.set_reduced(&reduced);
        let text = serde_yaml::to_string(&contract).unwrap();
        let read: Contract = serde_yaml::from_str(&text).unwrap();
        assert_eq!(read.reduced(), Some(reduced), "{text}");
        assert_eq!(read.precision(), "int8-dynamic");
    }
}
