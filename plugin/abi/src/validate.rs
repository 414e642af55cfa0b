//! Batches from strangers are looked at before they are believed.
//!
//! `arrow` imports what it is given and asserts here and there. So the raw structs are walked first (numbers
//! of buffers and children, lengths, offsets, missing buffers), and what was imported is then validated in
//! full (offsets, UTF-8, dictionary keys, lengths of children). What cannot be checked is whether a buffer is
//! as long as its array says.

use arrow::array::ArrayData;
use arrow::datatypes::DataType;
use arrow::ffi::{FFI_ArrowArray, from_ffi_and_data_type};
use arrow::util::bit_chunk_iterator::UnalignedBitChunk;

use crate::error::NodeError;
use crate::layout::RawArray;

/// The most values that a column of one batch may hold, exclusive.
const MOST_VALUES: i64 = 1 << 31;

fn broken(path: &str, what: impl std::fmt::Display) -> NodeError {
    NodeError::new("arrow.invalid", format!("column {path}: {what}"))
        .hint("the plugin that made this batch breaks the Arrow C Data interface")
}

/// Imports an array of the declared type, checked in full.
///
/// # Safety
/// `array` was filled by the other side through the Arrow C Data interface: its pointers are null or valid,
/// and its buffers as long as its length and offset say.
pub(crate) unsafe fn import(array: FFI_ArrowArray, data_type: &DataType) -> Result<ArrayData, NodeError> {
    // SAFETY: `RawArray` has the layout of the C struct, as `FFI_ArrowArray` has.
    let raw = unsafe { &*std::ptr::from_ref(&array).cast::<RawArray>() };
    // SAFETY: the caller vouches for the pointers.
    unsafe { check(raw, data_type, "batch") }?;
    // SAFETY: as above; the shape was checked.
    let mut data = unsafe { from_ffi_and_data_type(array, data_type.clone()) }?;
    data.align_buffers();
    data.validate_full().map_err(|e| broken("batch", e))?;
    Ok(data)
}

/// How many buffers the C Data interface wants for a type, and which type its children have.
fn shape(data_type: &DataType) -> Option<(usize, Vec<&DataType>)> {
    use DataType as T;
    Some(match data_type {
        T::Null => (0, vec![]),
        T::Boolean | T::FixedSizeBinary(_) => (2, vec![]),
        T::Utf8 | T::Binary | T::LargeUtf8 | T::LargeBinary => (3, vec![]),
        T::List(f) | T::LargeList(f) | T::Map(f, _) => (2, vec![f.data_type()]),
        T::FixedSizeList(f, _) => (1, vec![f.data_type()]),
        T::Struct(fields) => (1, fields.iter().map(|f| f.data_type()).collect()),
        T::Dictionary(..) => (2, vec![]),
        T::Utf8View | T::BinaryView => (3, vec![]),
        t if t.is_primitive() => (2, vec![]),
        _ => return None,
    })
}

/// # Safety
/// As [`import`].
unsafe fn check(raw: &RawArray, data_type: &DataType, path: &str) -> Result<(), NodeError> {
    let Some((buffers, children)) = shape(data_type) else {
        return Err(broken(path, format_args!("type {data_type} does not cross the plugin border")));
    };
    if raw.length < 0 || raw.offset < 0 || raw.length.saturating_add(raw.offset) >= MOST_VALUES {
        return Err(broken(
            path,
            format_args!("length {} at offset {}, expected fewer than {MOST_VALUES} values", raw.length, raw.offset),
        ));
    }
    let variadic = matches!(data_type, DataType::Utf8View | DataType::BinaryView);
    let enough = if variadic { raw.n_buffers >= buffers as i64 } else { raw.n_buffers == buffers as i64 };
    if !enough || (raw.n_buffers > 0 && raw.buffers.is_null()) {
        return Err(broken(path, format_args!("{} buffers, expected {buffers} for {data_type}", raw.n_buffers)));
    }
    if raw.n_children != children.len() as i64 || (!children.is_empty() && raw.children.is_null()) {
        return Err(broken(path, format_args!("{} children, expected {}", raw.n_children, children.len())));
    }
    // SAFETY: `buffers` holds `n_buffers` pointers.
    let buffer = |i: usize| unsafe { *raw.buffers.add(i) };
    let total = (raw.length + raw.offset) as usize;
    if raw.n_buffers > 0 {
        // SAFETY: the validity bitmap holds a bit for each of the `total` values.
        unsafe { check_nulls(raw, buffer(0).cast(), total, path) }?;
    }
    let needs_values = total > 0 && !matches!(data_type, DataType::FixedSizeBinary(0));
    if raw.n_buffers > 1 && needs_values && buffer(1).is_null() {
        return Err(broken(path, "a buffer is missing"));
    }
    // SAFETY: the buffers are there and hold what the type says.
    unsafe { check_ends(raw, data_type, total, path) }?;
    for (i, child_type) in children.into_iter().enumerate() {
        let name = match data_type {
            DataType::Struct(fields) => fields[i].name().as_str(),
            _ => "values",
        };
        let path = format!("{path}.{name}");
        // SAFETY: `children` holds `n_children` pointers to arrays.
        let Some(child) = (unsafe { (*raw.children.add(i)).as_ref() }) else {
            return Err(broken(&path, "is missing"));
        };
        // SAFETY: as above.
        unsafe { check(child, child_type, &path) }?;
    }
    match (data_type, raw.dictionary.is_null()) {
        (DataType::Dictionary(_, values), false) => {
            // SAFETY: not null, and valid by the interface.
            unsafe { check(&*raw.dictionary, values, &format!("{path}.dictionary")) }
        }
        (DataType::Dictionary(..), true) => Err(broken(path, "a dictionary is missing")),
        (_, false) => Err(broken(path, "has a dictionary that its type does not name")),
        (_, true) => Ok(()),
    }
}

/// # Safety
/// `bits` is null or holds `total` bits.
unsafe fn check_nulls(raw: &RawArray, bits: *const u8, total: usize, path: &str) -> Result<(), NodeError> {
    if raw.null_count > raw.length || raw.null_count < -1 {
        return Err(broken(path, format_args!("{} nulls among {} values", raw.null_count, raw.length)));
    }
    if raw.null_count < 0 {
        return Ok(());
    }
    let counted = if bits.is_null() || total == 0 {
        0
    } else {
        // SAFETY: by this function's contract.
        let bits = unsafe { std::slice::from_raw_parts(bits, total.div_ceil(8)) };
        let set = UnalignedBitChunk::new(bits, raw.offset as usize, raw.length as usize).count_ones();
        raw.length - set as i64
    };
    if counted != raw.null_count {
        return Err(broken(path, format_args!("{} nulls declared, {counted} found", raw.null_count)));
    }
    Ok(())
}

/// Checks the numbers that tell how long other buffers are.
///
/// # Safety
/// The buffers of `raw` are null or hold what the type says.
unsafe fn check_ends(raw: &RawArray, data_type: &DataType, total: usize, path: &str) -> Result<(), NodeError> {
    use DataType as T;
    // SAFETY: `buffers` holds `n_buffers` pointers.
    let buffer = |i: usize| unsafe { *raw.buffers.add(i) };
    let end = match data_type {
        // SAFETY: an offsets buffer holds one offset more than there are values, and is not null here.
        T::Utf8 | T::Binary | T::List(_) | T::Map(..) if total > 0 => unsafe {
            i64::from(buffer(1).cast::<i32>().add(total).read_unaligned())
        },
        // SAFETY: as above, with 64 bits.
        T::LargeUtf8 | T::LargeBinary | T::LargeList(_) if total > 0 => unsafe {
            buffer(1).cast::<i64>().add(total).read_unaligned()
        },
        T::Utf8View | T::BinaryView => {
            let count = raw.n_buffers as usize - 3;
            let lengths = buffer(count + 2).cast::<i64>();
            for i in 0..count {
                if lengths.is_null() {
                    return Err(broken(path, "the buffer of lengths is missing"));
                }
                // SAFETY: the buffer of lengths holds one for each variadic buffer.
                let length = unsafe { lengths.add(i).read_unaligned() };
                if !(0..MOST_VALUES).contains(&length) || (length > 0 && buffer(i + 2).is_null()) {
                    return Err(broken(path, format_args!("data buffer {i} has length {length}")));
                }
            }
            0
        }
        _ => 0,
    };
    if !(0..MOST_VALUES).contains(&end) {
        return Err(broken(path, format_args!("the last offset is {end}, expected 0 to {MOST_VALUES}")));
    }
    if end > 0 && raw.n_buffers == 3 && !matches!(data_type, T::Utf8View | T::BinaryView) && buffer(2).is_null() {
        return Err(broken(path, "the buffer of values is missing"));
    }
    Ok(())
}
