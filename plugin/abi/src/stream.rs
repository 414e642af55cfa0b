//! Record batches across the border, through the Arrow C Stream interface.
//!
//! `arrow` has an exporter and an importer of its own. Neither stops a panic, and an error loses everything
//! but its text; here panics become errors, errors stay whole, and what comes in is validated.

use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions, StructArray};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow::ffi_stream::FFI_ArrowArrayStream;

use crate::error::NodeError;
use crate::guard::guarded;
use crate::validate;

/// Batches that are made as they are asked for. After an error nothing more comes.
pub type BatchStream = Box<dyn Iterator<Item = Result<RecordBatch, NodeError>> + Send>;

/// Errno of a stream that failed; the text says why.
const FAILED: c_int = 5;

struct Exported {
    schema: SchemaRef,
    batches: Option<BatchStream>,
    last_error: Option<CString>,
}

impl Exported {
    fn next(&mut self) -> Result<Option<FFI_ArrowArray>, NodeError> {
        let Some(batches) = self.batches.as_mut() else { return Ok(None) };
        let Some(batch) = batches.next() else {
            self.batches = None;
            return Ok(None);
        };
        let batch = batch?;
        same_columns(&self.schema, &batch.schema())?;
        Ok(Some(FFI_ArrowArray::new(&StructArray::from(batch).to_data())))
    }

    fn fail(&mut self, error: &NodeError) -> c_int {
        self.batches = None;
        // JSON escapes NUL, so this cannot fail; an empty text is still an error.
        self.last_error = Some(CString::new(error.to_wire()).unwrap_or_default());
        FAILED
    }
}

/// Whether a batch has the columns that its stream declares: names and types, in order.
pub(crate) fn same_columns(declared: &Schema, found: &Schema) -> Result<(), NodeError> {
    let same = declared.fields().len() == found.fields().len()
        && declared
            .fields()
            .iter()
            .zip(found.fields())
            .all(|(a, b)| a.name() == b.name() && a.data_type().equals_datatype(b.data_type()));
    if same {
        return Ok(());
    }
    let list = |s: &Schema| {
        s.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect::<Vec<_>>().join(", ")
    };
    Err(NodeError::new(
        "schema.broken",
        format!("a batch has the columns ({}), the plan promised ({})", list(found), list(declared)),
    ))
}

/// Hands batches over as a C stream.
pub(crate) fn export(schema: SchemaRef, batches: BatchStream) -> FFI_ArrowArrayStream {
    let private = Box::new(Exported { schema, batches: Some(batches), last_error: None });
    FFI_ArrowArrayStream {
        get_schema: Some(get_schema),
        get_next: Some(get_next),
        get_last_error: Some(get_last_error),
        release: Some(release),
        private_data: Box::into_raw(private).cast(),
    }
}

/// # Safety
/// `stream` is one that [`export`] made and that was not released.
unsafe fn exported<'a>(stream: *mut FFI_ArrowArrayStream) -> Option<&'a mut Exported> {
    // SAFETY: by this function's contract; null is handled.
    unsafe { stream.as_ref().and_then(|s| s.private_data.cast::<Exported>().as_mut()) }
}

unsafe extern "C" fn get_schema(stream: *mut FFI_ArrowArrayStream, out: *mut FFI_ArrowSchema) -> c_int {
    // SAFETY: called by the consumer on a live stream.
    let Some(it) = (unsafe { exported(stream) }) else { return FAILED };
    let schema = it.schema.clone();
    match guarded(|| Ok(FFI_ArrowSchema::try_from(schema.as_ref())?)) {
        Ok(schema) => {
            // SAFETY: `out` points to room for one struct.
            unsafe { out.write(schema) };
            0
        }
        Err(error) => it.fail(&error),
    }
}

unsafe extern "C" fn get_next(stream: *mut FFI_ArrowArrayStream, out: *mut FFI_ArrowArray) -> c_int {
    // SAFETY: called by the consumer on a live stream, from one thread at a time.
    let Some(it) = (unsafe { exported(stream) }) else { return FAILED };
    match guarded(|| it.next()) {
        Ok(array) => {
            // SAFETY: `out` points to room for one struct.
            unsafe { out.write(array.unwrap_or_else(FFI_ArrowArray::empty)) };
            0
        }
        Err(error) => it.fail(&error),
    }
}

unsafe extern "C" fn get_last_error(stream: *mut FFI_ArrowArrayStream) -> *const c_char {
    // SAFETY: called by the consumer on a live stream.
    unsafe { exported(stream) }.and_then(|it| it.last_error.as_ref()).map_or(std::ptr::null(), |text| text.as_ptr())
}

unsafe extern "C" fn release(stream: *mut FFI_ArrowArrayStream) {
    // SAFETY: called once by the consumer; clearing `release` marks the stream as released.
    unsafe {
        let Some(stream) = stream.as_mut() else { return };
        stream.release = None;
        let private = std::mem::replace(&mut stream.private_data, std::ptr::null_mut()).cast::<Exported>();
        if !private.is_null() {
            let private = Box::from_raw(private);
            // A destructor that panics has no one to tell.
            let _ = guarded(|| {
                drop(private);
                Ok(())
            });
        }
    }
}

/// A C stream as an iterator of validated batches.
pub(crate) struct ImportedStream {
    stream: FFI_ArrowArrayStream,
    schema: SchemaRef,
    ended: bool,
}

// SAFETY: the contract lets a stream be pulled from any thread, one at a time.
unsafe impl Send for ImportedStream {}

impl ImportedStream {
    /// Takes a stream over.
    ///
    /// # Safety
    /// The stream was made by the other side as the Arrow C Stream interface says.
    pub(crate) unsafe fn new(mut stream: FFI_ArrowArrayStream) -> Result<Self, NodeError> {
        let (Some(get_schema), Some(_), Some(_)) = (stream.get_schema, stream.get_next, stream.release) else {
            return Err(NodeError::new("arrow.invalid", "a stream was handed over that is already released"));
        };
        let mut schema = FFI_ArrowSchema::empty();
        // SAFETY: a live stream of the other side, and room for one schema.
        let status = unsafe { get_schema(&mut stream, &mut schema) };
        if status != 0 {
            // SAFETY: as above.
            return Err(unsafe { stream_error(&mut stream, status) });
        }
        let schema = import_schema(&schema)?;
        Ok(Self { stream, schema, ended: false })
    }

    /// Columns of every batch.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>, NodeError> {
        let Some(get_next) = self.stream.get_next else { return Ok(None) };
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: a live stream of the other side, pulled by the one owner of `self`.
        let status = unsafe { get_next(&mut self.stream, &mut array) };
        if status != 0 {
            // SAFETY: as above.
            return Err(unsafe { stream_error(&mut self.stream, status) });
        }
        if array.is_released() {
            return Ok(None);
        }
        let data_type = DataType::Struct(self.schema.fields().clone());
        // `arrow` asserts on some shapes that the C Data interface forbids.
        guarded(|| {
            // SAFETY: filled by the other side through the interface.
            let data = unsafe { validate::import(array, &data_type) }?;
            let rows = data.len();
            if data.null_count() > 0 {
                return Err(NodeError::new("arrow.invalid", "a batch has rows that are null as a whole"));
            }
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let columns = StructArray::from(data).into_parts().1;
            Ok(Some(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?))
        })
    }
}

/// # Safety
/// `stream` is live and its last call failed.
unsafe fn stream_error(stream: &mut FFI_ArrowArrayStream, status: c_int) -> NodeError {
    // SAFETY: by this function's contract; the text lives until the next call and is copied here.
    let text = unsafe {
        stream.get_last_error.map(|f| f(stream)).filter(|t| !t.is_null()).map(|t| CStr::from_ptr(t).to_string_lossy())
    };
    match text {
        Some(text) => NodeError::from_wire(&text),
        None => NodeError::new("error", format!("a stream failed with status {status} and did not say why")),
    }
}

/// Reads a schema that was lent.
pub(crate) fn import_schema(schema: &FFI_ArrowSchema) -> Result<SchemaRef, NodeError> {
    guarded(|| match Schema::try_from(schema) {
        Ok(schema) => Ok(Arc::new(schema)),
        Err(error) => Err(NodeError::from_error("arrow.invalid", &error)),
    })
}

impl Iterator for ImportedStream {
    type Item = Result<RecordBatch, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.pull().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Batches that are there already, as a stream.
pub(crate) fn stream_of(batches: Vec<RecordBatch>) -> BatchStream {
    Box::new(batches.into_iter().map(Ok))
}
