//! A tensor where it lies in its file.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::checksum::Checksum;
use super::error::{CheckpointError, Result};
use super::source::Source;

/// Bytes read at a time where a tensor is copied from file to file.
const PIECE: usize = 4 << 20;

/// Type of a stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// 64 bit float.
    F64,
    /// 32 bit float.
    F32,
    /// 16 bit float of IEEE 754.
    F16,
    /// The upper half of a 32 bit float.
    BF16,
    /// Signed 64 bit.
    I64,
    /// Signed 32 bit.
    I32,
    /// Signed 16 bit.
    I16,
    /// Signed 8 bit.
    I8,
    /// Unsigned 8 bit.
    U8,
    /// One byte, zero or one.
    Bool,
    /// Something that is stepped over and never read, with its bytes.
    Other(u8),
}

impl Element {
    /// Bytes of one value.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::Other(bytes) => u64::from(bytes),
        }
    }

    /// Values from their little-endian bytes; `None` for a type that is no float.
    fn floats(self, bytes: &[u8], into: &mut Vec<f32>) -> Option<()> {
        match self {
            Self::F32 => into.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            Self::F16 => into.extend(bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())),
            Self::BF16 => into.extend(bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32())),
            Self::F64 => into.extend(
                bytes
                    .chunks_exact(8)
                    .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32),
            ),
            _ => return None,
        }
        Some(())
    }
}

/// A tensor where it lies in its file. Its place was checked against the file, its values were not read.
#[derive(Debug, Clone)]
pub struct Stored {
    pub(super) source: Arc<Source>,
    pub(super) key: String,
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
    /// Distance between neighbours along each axis, in values, where they do not lie row by row.
    pub(super) strides: Option<Vec<usize>>,
    /// Of the first value, in bytes.
    pub(super) offset: u64,
    /// Of the part of the file that it lies in.
    pub(super) checksum: Option<Arc<Checksum>>,
    /// What becomes of its second axis when it is read.
    pub(super) inputs: Option<Inputs>,
}

/// Inputs of a convolution that are taken, and what each is multiplied by.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    order: Vec<usize>,
    factor: f32,
    /// Sides in the file.
    shape: Vec<usize>,
}

impl Stored {
    /// The key in the file, with every prefix.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Its sides.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Type of its values.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The weights of a convolution `[channel, input, height, width]` with other inputs: those at these places, in this
    /// order (one may stand twice), multiplied by `factor`. `None` where it is no such tensor or has no such inputs.
    pub fn with_inputs(&self, order: &[usize], factor: f32) -> Option<Self> {
        let &[channels, inputs, height, width] = &self.shape[..] else { return None };
        if self.inputs.is_some() || order.is_empty() || order.iter().any(|place| *place >= inputs) {
            return None;
        }
        let taken = Inputs { order: order.to_vec(), factor, shape: self.shape.clone() };
        Some(Self { shape: vec![channels, order.len(), height, width], inputs: Some(taken), ..self.clone() })
    }

    /// The values, row by row.
    ///
    /// # Errors
    /// A type that is no float, a file that cannot be read.
    pub fn floats(&self) -> Result<Vec<f32>> {
        if let Some(inputs) = &self.inputs {
            let whole = Self { shape: inputs.shape.clone(), inputs: None, ..self.clone() };
            return Ok(inputs.take(&whole.floats()?));
        }
        let mut values = Vec::with_capacity(self.count());
        self.pieces(&mut |bytes| self.element.floats(bytes, &mut values).ok_or_else(|| self.no_float()))?;
        Ok(values)
    }

    /// Writes the values as 32 bit floats, row by row and little-endian.
    ///
    /// # Errors
    /// As [`Self::floats`]; `to` names the file that is written.
    pub fn copy(&self, writer: &mut dyn Write, to: &Path) -> Result<()> {
        let fault = |source| CheckpointError::Io { action: "write", path: to.to_path_buf(), source };
        if self.inputs.is_some() {
            let bytes: Vec<u8> = self.floats()?.iter().flat_map(|value| value.to_le_bytes()).collect();
            return writer.write_all(&bytes).map_err(fault);
        }
        let (mut values, mut wide) = (Vec::new(), Vec::new());
        self.pieces(&mut |bytes| {
            if self.element == Element::F32 {
                return writer.write_all(bytes).map_err(fault);
            }
            values.clear();
            wide.clear();
            self.element.floats(bytes, &mut values).ok_or_else(|| self.no_float())?;
            wide.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            writer.write_all(&wide).map_err(fault)
        })
    }

    /// An error of this tensor.
    pub(super) fn fault(
        &self,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: &'static str,
    ) -> CheckpointError {
        CheckpointError::Tensor {
            path: self.source.path().to_path_buf(),
            key: self.key.clone(),
            found: found.into(),
            expected: expected.into(),
            hint,
        }
    }

    fn no_float(&self) -> CheckpointError {
        self.fault(
            format!("values of type {:?}", self.element),
            "F32, F16, BF16 or F64",
            "weights are floats: this is another tensor under a weight's name, or a quantised file",
        )
    }

    /// Hands over the bytes of the values, row by row, in pieces of whole values. What was handed over is sound when this
    /// gives no error: the checksum of a part stands behind all of its bytes.
    fn pieces(&self, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let size = self.element.bytes() as usize;
        let total = self.count() * size;
        let whole = |sum: &&Arc<Checksum>| sum.start == self.offset && sum.length == total as u64;
        let along = self.checksum.as_ref().filter(|_| self.strides.is_none()).filter(whole);
        if let (Some(checksum), None) = (&self.checksum, along) {
            checksum.hold(&self.source)?;
        }
        let Some(strides) = &self.strides else {
            let mut hasher = along.filter(|sum| !sum.is_held()).map(|sum| (sum, crc32fast::Hasher::new()));
            let mut buffer = vec![0; PIECE.min(total)];
            let mut done = 0;
            while done < total {
                let piece = &mut buffer[..PIECE.min(total - done)];
                self.source.read(self.offset + done as u64, piece)?;
                if let Some((_, hasher)) = &mut hasher {
                    hasher.update(piece);
                }
                take(piece)?;
                done += piece.len();
            }
            return match hasher {
                Some((checksum, hasher)) => checksum.compare(&self.source, hasher),
                None => Ok(()),
            };
        };
        // A transposed or sliced tensor: what it spans is read once, and its values are picked from that.
        let span: usize = self.shape.iter().zip(strides).map(|(side, stride)| side.saturating_sub(1) * stride).sum();
        let mut bytes = vec![0; if total == 0 { 0 } else { (span + 1) * size }];
        self.source.read(self.offset, &mut bytes)?;
        let mut index = vec![0; self.shape.len()];
        let mut piece = Vec::with_capacity(PIECE.min(total));
        for _ in 0..self.count() {
            let place: usize = index.iter().zip(strides).map(|(at, stride)| at * stride).sum();
            piece.extend_from_slice(&bytes[place * size..(place + 1) * size]);
            if piece.len() + size > PIECE {
                take(&piece)?;
                piece.clear();
            }
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        if piece.is_empty() { Ok(()) } else { take(&piece) }
    }
}

impl Inputs {
    fn take(&self, values: &[f32]) -> Vec<f32> {
        let area: usize = self.shape[2..].iter().product();
        let inputs = self.shape[1];
        // A map without pixels has no weights to take.
        let channels = values.chunks_exact((inputs * area).max(1));
        channels
            .flat_map(|channel| self.order.iter().flat_map(move |place| &channel[place * area..(place + 1) * area]))
            .map(|value| value * self.factor)
            .collect()
    }
}
