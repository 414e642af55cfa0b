//! A reference set: what the official modules gave for an input.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;

/// Values with their shape.
pub(crate) type Shaped = (Vec<usize>, Vec<f32>);

/// What is stored under a name: floats, or whole numbers such as days.
#[derive(Clone)]
enum Values {
    Floats(Vec<f32>),
    Whole(Vec<i64>),
}

/// `NAME.json` (module, configuration, tolerance) and `NAME.safetensors` (weights under the official names, `input.*`,
/// `output*`).
#[derive(Clone)]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) json: Value,
    tensors: BTreeMap<String, (Vec<usize>, Values)>,
}

/// What a module is, told by its configuration, for sets and modules may have any name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Swin,
    Vit,
    UpHead,
    Fusion,
    Encoder,
}

impl Set {
    /// `None` for a file that is no set.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let json: Value = serde_json::from_slice(&std::fs::read(path).expect("a readable set")).expect("JSON");
        if json.get("module").is_none() && json.get("config").is_none() {
            return None;
        }
        let tensors = path.with_extension("safetensors");
        let file = std::fs::read(&tensors).unwrap_or_else(|error| panic!("{}: {error}", tensors.display()));
        Some(Self::new(name, json, &file))
    }

    pub(crate) fn new(name: String, json: Value, file: &[u8]) -> Self {
        let read = SafeTensors::deserialize(file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let decoded = |view: &TensorView<'_>| values(view).map(|values| (view.shape().to_vec(), values));
        // Types of which nothing is read, such as masks among the buffers, are left out.
        let tensors = read.tensors().into_iter().filter_map(|(key, view)| Some((key, decoded(&view)?))).collect();
        Self { name, json, tensors }
    }

    /// The configuration in the official words.
    pub(crate) fn config(&self) -> &Value {
        &self.json["config"]
    }

    pub(crate) fn kind(&self) -> Kind {
        let has = |name: &str| self.config().get(name).is_some_and(|value| !value.is_null());
        if ["fusion", "necks", "backbone_hr", "backbone_s2", "backbone_s1"].into_iter().any(has) {
            Kind::Encoder
        } else if has("depths") || has("arch") {
            Kind::Swin
        } else if has("out_dim") || has("up_scale") {
            Kind::UpHead
        } else if has("input_dims") {
            Kind::Fusion
        } else if has("num_layers") {
            Kind::Vit
        } else {
            panic!("{}: no module has the configuration {}", self.name, self.config())
        }
    }

    pub(crate) fn data(&self, name: &str) -> Option<Shaped> {
        let (shape, values) = self.tensors.get(name)?;
        let values = match values {
            Values::Floats(values) => values.clone(),
            Values::Whole(values) => values.iter().map(|value| *value as f32).collect(),
        };
        Some((shape.clone(), values))
    }

    /// The input of a module that has one.
    pub(crate) fn input(&self) -> Shaped {
        let alone = || {
            let mut inputs = self.tensors.keys().filter(|name| name.starts_with("input"));
            inputs.next().filter(|_| inputs.next().is_none()).and_then(|name| self.data(name))
        };
        self.data("input.x").or_else(alone).unwrap_or_else(|| panic!("{}: no input.x", self.name))
    }

    /// Days of the year of a series, from 0; all 0 where the set has none.
    pub(crate) fn days(&self, name: &str, count: usize) -> Vec<i64> {
        match self.tensors.get(name) {
            None => vec![0; count],
            Some((_, Values::Whole(days))) => days.clone(),
            Some((_, Values::Floats(days))) => days.iter().map(|day| *day as i64).collect(),
        }
    }

    /// Names of the stored outputs.
    pub(crate) fn outputs(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).filter(|name| part(name) == "output").collect()
    }

    /// The name under which the output of a level is stored, of `count` levels in all.
    pub(crate) fn level_name(&self, level: usize, count: usize) -> String {
        let from_end = format!("output.{}", level as i64 - count as i64);
        match [format!("output.{level}"), from_end].into_iter().find(|name| self.tensors.contains_key(name)) {
            Some(name) => name,
            None => "output".into(),
        }
    }

    /// The weights alone, as a file.
    pub(crate) fn weights(&self) -> Vec<u8> {
        let other = ["input", "inter", "output"];
        let bytes = |values: &Values| match values {
            Values::Floats(values) => (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()),
            Values::Whole(values) => (Dtype::I64, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        };
        let own = self.tensors.iter().filter(|(name, _)| !other.contains(&part(name)));
        let own: Vec<_> = own.map(|(name, (shape, values))| (name, shape.clone(), bytes(values))).collect();
        let views = own.iter().map(|(name, shape, (kind, bytes))| {
            (*name, TensorView::new(*kind, shape.clone(), bytes).expect("as many bytes as values"))
        });
        safetensors::serialize(views.collect::<Vec<_>>(), None).expect("a header of names")
    }

    /// Shape of a weight whose key ends like this.
    pub(crate) fn shape_of(&self, ending: &str) -> Option<&[usize]> {
        let found = |name: &str| name == ending || name.ends_with(&format!(".{ending}"));
        self.tensors.iter().find(|(name, _)| found(name)).map(|(_, (shape, _))| shape.as_slice())
    }

    /// Whether an attention scale is at its bound of 100.
    pub(crate) fn saturated(&self) -> bool {
        let scales = self.tensors.keys().filter(|name| name.ends_with("logit_scale"));
        scales.filter_map(|name| self.data(name)).any(|(_, values)| values.iter().any(|&scale| scale >= 100_f32.ln()))
    }

    /// The same set whose weights and inputs are changed in their last bit, up or down or not, by a rule of `seed`.
    pub(crate) fn disturbed(&self, seed: u64) -> Self {
        let mut set = self.clone();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for (name, (_, values)) in &mut set.tensors {
            let Values::Floats(values) = values else { continue };
            if matches!(part(name), "output" | "inter") {
                continue;
            }
            for value in values {
                // Xorshift: any fixed sequence without a period in the tensors will do.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *value = match state % 3 {
                    0 => value.next_up(),
                    1 => value.next_down(),
                    _ => *value,
                };
            }
        }
        set
    }

    /// The same set with one bias of attention, the last of its kind, changed by `amount`.
    pub(crate) fn with_wrong_bias(&self, amount: f32) -> Self {
        let mut set = self.clone();
        let name = set.tensors.keys().rfind(|name| name.ends_with("w_msa.proj.bias")).cloned();
        let name = name.expect("an attention has a bias");
        match set.tensors.get_mut(&name) {
            Some((_, Values::Floats(values))) => values[0] += amount,
            _ => panic!("{name} is no float"),
        }
        set
    }

    /// How far outputs are from the stored ones. The allowance of an output is added to its tolerance.
    pub(crate) fn compare(&self, outputs: &[(String, Shaped)], allowance: &BTreeMap<String, f64>) -> Compared {
        let tolerance = |key: &str| {
            let number = self.json["tolerance"][key].as_f64();
            number.unwrap_or_else(|| panic!("{}: the tolerance has no number {key}", self.name))
        };
        let (atol, rtol) = (tolerance("atol"), tolerance("rtol"));
        let mut compared = Compared::default();
        // A set may store more levels than its configuration gives; none at all is no comparison.
        if outputs.is_empty() {
            compared.faults.push("no output was made".into());
        }
        for (name, (shape, ours)) in outputs {
            let Some((stored, theirs)) = self.data(name) else {
                compared.faults.push(format!("{name} was made and is not stored"));
                continue;
            };
            if *shape != stored {
                compared.faults.push(format!("{name} has the shape {shape:?}, stored is {stored:?}"));
                continue;
            }
            let more = allowance.get(name).copied().unwrap_or(0.0);
            let mut outside = Vec::new();
            for (a, b) in ours.iter().zip(&theirs) {
                let (a, b) = (f64::from(*a), f64::from(*b));
                // Not a number is no agreement.
                let difference = if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() };
                let stated = atol + rtol * b.abs();
                compared.worst = compared.worst.max(difference);
                compared.of_stated = compared.of_stated.max(difference / stated);
                compared.of_bound = compared.of_bound.max(difference / (stated + more));
                if difference > stated + more {
                    outside.push((a, b));
                }
            }
            if let Some(first) = outside.first() {
                let count = outside.len();
                compared.faults.push(format!("{count} values of {name} are outside, first (ours, theirs) {first:?}"));
            }
        }
        compared
    }
}

/// How far outputs are from the stored ones.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Largest difference.
    pub(crate) worst: f64,
    /// Largest difference by what the set itself allows.
    pub(crate) of_stated: f64,
    /// Largest difference by what is allowed.
    pub(crate) of_bound: f64,
    /// What is not as it must be.
    pub(crate) faults: Vec<String>,
}

/// The first word of a name.
fn part(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn values(view: &TensorView<'_>) -> Option<Values> {
    fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.chunks_exact(N).map(|chunk| read(chunk.try_into().expect("chunks of N bytes"))).collect()
    }
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F64 => Values::Floats(each(bytes, |b| f64::from_le_bytes(b) as f32)),
        Dtype::F32 => Values::Floats(each(bytes, f32::from_le_bytes)),
        // Sixteen bits with the upper half of a 32 bit float.
        Dtype::BF16 => Values::Floats(each(bytes, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))),
        Dtype::F16 => Values::Floats(each(bytes, |b| half(u16::from_le_bytes(b)))),
        Dtype::I64 => Values::Whole(each(bytes, i64::from_le_bytes)),
        Dtype::I32 => Values::Whole(each(bytes, |b| i64::from(i32::from_le_bytes(b)))),
        Dtype::I16 => Values::Whole(each(bytes, |b| i64::from(i16::from_le_bytes(b)))),
        Dtype::U8 | Dtype::BOOL => Values::Whole(bytes.iter().map(|byte| i64::from(*byte)).collect()),
        _ => return None,
    })
}

/// A 16 bit float of IEEE 754.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = ((bits >> 10) & 31, f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(i32::from(exponent) - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[test]
fn every_type_of_number_is_read() {
    let tensors: [(&str, Dtype, Vec<u8>); 6] = [
        ("f16", Dtype::F16, [0x3c00_u16, 0xc100, 0x0001].iter().flat_map(|b| b.to_le_bytes()).collect()),
        ("bf16", Dtype::BF16, [0x3f80_u16, 0xc020, 0x4000].iter().flat_map(|b| b.to_le_bytes()).collect()),
        ("f64", Dtype::F64, [1.0_f64, -2.5, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("i64", Dtype::I64, [1_i64, -2, 365].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("i32", Dtype::I32, [1_i32, -2, 365].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("u8", Dtype::U8, vec![1, 2, 250]),
    ];
    let views = tensors.iter().map(|(name, kind, bytes)| (*name, TensorView::new(*kind, vec![3], bytes).unwrap()));
    let set = Set::new("types".into(), Value::Null, &safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap());
    assert_eq!(set.data("f16").unwrap().1, [1.0, -2.5, 2_f32.powi(-24)]);
    assert_eq!(set.data("bf16").unwrap().1, [1.0, -2.5, 2.0]);
    assert_eq!(set.data("f64").unwrap().1, [1.0, -2.5, 2.0]);
    for name in ["i64", "i32"] {
        assert_eq!(set.days(name, 3), [1, -2, 365]);
    }
    assert_eq!(set.days("u8", 3), [1, 2, 250]);
    assert_eq!(set.days("nothing", 2), [0, 0]);
}
