//! Where training runs, chosen when a run starts.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use skysense_model::Precision;

use crate::TrainError;

/// A device by its name in settings: `cpu`, or one of `cuda`, `rocm`, `vulkan`, `metal` and `wgpu`, alone for the first
/// one, or with a number from 0 (`cuda:1`). `wgpu:software` and `vulkan:software` are a graphics driver on the CPU, which
/// is for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrainingDevice {
    kind: Kind,
    which: Which,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Cpu,
    Cuda,
    Rocm,
    Vulkan,
    Metal,
    Wgpu,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Which {
    First,
    Number(u16),
    Software,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Cpu, Self::Cuda, Self::Rocm, Self::Vulkan, Self::Metal, Self::Wgpu];

    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Wgpu => "wgpu",
        }
    }

    /// Whether this program was built with it.
    fn built(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Wgpu => cfg!(feature = "wgpu"),
        }
    }
}

/// Devices that were opened, by what they are and not by how they were asked for: a graphics device can be opened but
/// once by a process, and `cuda` is `cuda:0`.
type Opened = HashMap<(Kind, Place), Device>;

static OPEN: Mutex<Option<Opened>> = Mutex::new(None);

/// Which device of its kind one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    not(any(feature = "cuda", feature = "rocm", feature = "vulkan", feature = "metal", feature = "wgpu")),
    expect(dead_code, reason = "the processor is the only one of its kind")
)]
enum Place {
    /// The only one.
    Only,
    /// By its number in the list of a driver.
    Number(usize),
    /// A graphics device: its sort, and its number among those.
    Graphics(u8, u16),
}

impl TrainingDevice {
    /// The processor.
    pub const fn cpu() -> Self {
        Self { kind: Kind::Cpu, which: Which::First }
    }

    /// Names of the devices that this program was built with.
    pub fn built() -> Vec<&'static str> {
        Kind::ALL.into_iter().filter(|kind| kind.built()).map(Kind::name).collect()
    }

    /// The device of one of several processes: where settings name a kind alone, such as `cuda`, each process of a host
    /// has one of its own.
    pub(crate) fn of_rank(self, local_rank: usize, size: usize) -> Self {
        match (self.kind, self.which) {
            (Kind::Cpu, _) | (_, Which::Number(_) | Which::Software) => self,
            _ if size <= 1 => self,
            (kind, Which::First) => Self { kind, which: Which::Number(local_rank.try_into().unwrap_or(u16::MAX)) },
        }
    }

    /// Whether the device is there and can compute in a precision.
    ///
    /// # Errors
    /// [`TrainError::Device`] says what lacks: a feature of this program, the device, or the precision.
    pub fn available(self, precision: Precision) -> Result<(), TrainError> {
        self.open(precision).map(drop)
    }

    /// The device, if it is there and can compute in a precision. Another one never takes its place.
    ///
    /// # Errors
    /// As [`TrainingDevice::available`].
    pub fn open(self, precision: Precision) -> Result<Device, TrainError> {
        if !self.kind.built() {
            let kind = self.kind.name();
            return Err(self.fault(format!(
                "this program was built without the feature `{kind}`, it has {}; build it with --features {kind}",
                Self::built().join(", ")
            )));
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let device = self.find(open.get_or_insert_default())?;
        if !device.supports_dtype(precision.dtype()) {
            let able: Vec<_> = Precision::ALL.into_iter().filter(|one| device.supports_dtype(one.dtype())).collect();
            let able: Vec<_> = able.into_iter().map(Precision::name).collect();
            return Err(self.fault(format!(
                "it does not compute in {}; set precision to one of {}",
                precision.name(),
                able.join(", ")
            )));
        }
        Ok(device)
    }

    fn find(self, open: &mut Opened) -> Result<Device, TrainError> {
        match self.kind {
            Kind::Cpu => Ok(open.entry((self.kind, Place::Only)).or_insert_with(Device::flex).clone()),
            #[cfg(feature = "cuda")]
            Kind::Cuda => self.indexed(open, || Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec()),
            #[cfg(feature = "rocm")]
            Kind::Rocm => self.indexed(open, || Device::enumerate(burn::tensor::DeviceType::Rocm).into_vec()),
            #[cfg(feature = "vulkan")]
            Kind::Vulkan => self.graphics(open, burn::tensor::wgpu::WgpuBackend::Vulkan),
            #[cfg(feature = "metal")]
            Kind::Metal => self.graphics(open, burn::tensor::wgpu::WgpuBackend::Metal),
            #[cfg(feature = "wgpu")]
            Kind::Wgpu => self.graphics(open, burn::tensor::wgpu::WgpuBackend::Auto),
            #[allow(unreachable_patterns, reason = "features decide which kinds are left")]
            _ => Err(self.fault("this program was built without it".into())),
        }
    }

    /// One of those that a driver lists.
    #[cfg(any(feature = "cuda", feature = "rocm"))]
    fn indexed(self, open: &mut Opened, list: impl FnOnce() -> Vec<Device>) -> Result<Device, TrainError> {
        let index = match self.which {
            Which::First => 0,
            Which::Number(number) => usize::from(number),
            Which::Software => usize::MAX,
        };
        let key = (self.kind, Place::Number(index));
        if let Some(device) = open.get(&key) {
            return Ok(device.clone());
        }
        let found = list();
        let device = found.get(index).cloned().ok_or_else(|| {
            let list = if found.is_empty() { "none".into() } else { format!("0 to {}", found.len() - 1) };
            self.fault(format!("it is not there; {} devices found: {list}", self.kind.name()))
        })?;
        Ok(open.entry(key).or_insert(device).clone())
    }

    /// A device of a graphics interface. A driver on the CPU counts only where it is asked for.
    #[cfg(any(feature = "vulkan", feature = "metal", feature = "wgpu"))]
    fn graphics(self, open: &mut Opened, api: burn::tensor::wgpu::WgpuBackend) -> Result<Device, TrainError> {
        use burn::tensor::DeviceKind::{Cpu, DiscreteGpu, IntegratedGpu, VirtualGpu};

        let kinds = match self.which {
            Which::First => vec![(0, 0, DiscreteGpu(0)), (1, 0, IntegratedGpu(0)), (2, 0, VirtualGpu(0))],
            Which::Number(number) => vec![(0, number, DiscreteGpu(number.into()))],
            Which::Software => vec![(3, 0, Cpu)],
        };
        let mut reasons = Vec::new();
        for (sort, number, kind) in kinds {
            let key = (self.kind, Place::Graphics(sort, number));
            if let Some(device) = open.get(&key) {
                return Ok(device.clone());
            }
            match Device::wgpu_options().graphics_api(api).device_kind(kind.clone()).init() {
                Ok(device) => return Ok(open.entry(key).or_insert(device).clone()),
                Err(error) => reasons.push(format!("{kind:?}: {error}")),
            }
        }
        Err(self.fault(format!("it is not there ({})", reasons.join("; "))))
    }

    fn fault(self, message: String) -> TrainError {
        TrainError::Device { device: self.to_string(), message }
    }
}

impl fmt::Display for TrainingDevice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind.name();
        match self.which {
            Which::First => write!(formatter, "{name}"),
            Which::Number(number) => write!(formatter, "{name}:{number}"),
            Which::Software => write!(formatter, "{name}:software"),
        }
    }
}

impl FromStr for TrainingDevice {
    type Err = TrainError;

    fn from_str(text: &str) -> Result<Self, TrainError> {
        let (name, which) = text.split_once(':').map_or((text, None), |(name, which)| (name, Some(which)));
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let which = match which {
            None => Some(Which::First),
            Some("software") if matches!(kind, Some(Kind::Vulkan | Kind::Wgpu)) => Some(Which::Software),
            Some(_) if kind == Some(Kind::Cpu) => None,
            Some(number) => number.parse().ok().map(Which::Number),
        };
        match (kind, which) {
            (Some(kind), Some(which)) => Ok(Self { kind, which }),
            _ => Err(TrainError::Setting {
                setting: "device",
                value: format!("{text:?}"),
                expected: "cpu, or cuda, rocm, vulkan, metal, wgpu, with a number as in cuda:1 where there are several"
                    .into(),
            }),
        }
    }
}

impl TryFrom<String> for TrainingDevice {
    type Error = TrainError;

    fn try_from(text: String) -> Result<Self, TrainError> {
        text.parse()
    }
}

impl From<TrainingDevice> for String {
    fn from(device: TrainingDevice) -> Self {
        device.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["cpu", "cuda", "cuda:1", "rocm:0", "vulkan", "metal", "wgpu", "wgpu:software"] {
            assert_eq!(name.parse::<TrainingDevice>().unwrap().to_string(), name);
        }
        for wrong in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:software", "wgpu:x", "CUDA"] {
            let error = wrong.parse::<TrainingDevice>().unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")) && error.contains("cuda:1"), "{error}");
        }
    }

    #[test]
    fn each_process_of_a_host_has_a_device_of_its_own_where_none_is_numbered() {
        let of = |name: &str, rank, size| name.parse::<TrainingDevice>().unwrap().of_rank(rank, size).to_string();
        assert_eq!(
            [of("cuda", 2, 4), of("cuda:1", 2, 4), of("cpu", 2, 4), of("cuda", 0, 1)],
            ["cuda:2", "cuda:1", "cpu", "cuda"]
        );
    }

    #[test]
    fn a_device_that_was_not_built_is_an_error_that_names_the_feature() {
        assert!(TrainingDevice::cpu().open(Precision::Bf16).is_ok());
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.built()) {
            let device = TrainingDevice { kind, which: Which::First };
            let error = device.open(Precision::F32).unwrap_err().to_string();
            assert!(error.contains(&format!("--features {}", kind.name())), "{error}");
        }
    }
}
