//! Texts that cross the border: lent (`SkysenseText`) and given away (`SkysenseBuffer`).

use std::borrow::Cow;
use std::ffi::c_void;
use std::ptr;

use crate::layout::{SkysenseBuffer, SkysenseText};

impl SkysenseText {
    /// Lends a text; the caller keeps it alive as long as the other side may read it.
    pub(crate) fn lend(text: &str) -> Self {
        Self { data: text.as_ptr(), len: text.len() }
    }

    /// Reads a text that was lent. Bytes that are not UTF-8 are replaced.
    ///
    /// # Safety
    /// `data` is null or points to `len` bytes that nobody writes to during `'a`.
    pub(crate) unsafe fn read<'a>(self) -> Cow<'a, str> {
        if self.data.is_null() || self.len == 0 {
            return Cow::Borrowed("");
        }
        // SAFETY: the caller vouches for pointer, length and lifetime.
        String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(self.data, self.len) })
    }
}

impl SkysenseBuffer {
    /// A buffer with nothing in it.
    pub(crate) fn empty() -> Self {
        Self { data: ptr::null(), len: 0, release: None, private_data: ptr::null_mut() }
    }

    /// Gives a text away.
    pub(crate) fn give(text: String) -> Self {
        let text: Box<str> = text.into_boxed_str();
        let (data, len) = (text.as_ptr(), text.len());
        // A thin box around the fat one, since C carries one pointer.
        let private_data = Box::into_raw(Box::new(text)).cast::<c_void>();
        Self { data, len, release: Some(release_boxed), private_data }
    }

    /// Takes a text that was given, and releases the buffer.
    ///
    /// # Safety
    /// The buffer is empty or was filled by the other side as the contract says.
    pub(crate) unsafe fn take(mut self) -> String {
        // SAFETY: as this function's own contract.
        let text = unsafe { SkysenseText { data: self.data, len: self.len }.read() }.into_owned();
        if let Some(release) = self.release.take() {
            self.release = Some(release);
            // SAFETY: the giver's release function, called once, on the giver's buffer.
            unsafe { release(&mut self) };
        }
        text
    }
}

unsafe extern "C" fn release_boxed(buffer: *mut SkysenseBuffer) {
    // SAFETY: the receiver passes the buffer that `give` made; the null check makes a second call harmless.
    unsafe {
        let Some(buffer) = buffer.as_mut() else { return };
        if !buffer.private_data.is_null() {
            drop(Box::from_raw(buffer.private_data.cast::<Box<str>>()));
        }
        *buffer = SkysenseBuffer::empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_text_arrives_and_is_released() {
        for text in ["", "grün", &"x".repeat(10_000)] {
            let buffer = SkysenseBuffer::give(text.to_owned());
            // SAFETY: made by `give`.
            assert_eq!(unsafe { buffer.take() }, text);
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        let bytes = [b'a', 0xff, b'b'];
        let text = SkysenseText { data: bytes.as_ptr(), len: 3 };
        // SAFETY: points to the array above.
        assert_eq!(unsafe { text.read() }, "a\u{fffd}b");
    }
}
