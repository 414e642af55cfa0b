//! A pickle interpreter that knows tensors and plain containers, and refuses everything else.
//!
//! A pickle is a program for a stack machine, and in Python it may call anything. This one calls nothing: the few
//! globals that `torch.save` writes for a dict of tensors are in a table ([`globals`]), and any other is an error
//! at the byte where it is named, before the file is used. Strings are copied out of the pickle; numbers of objects
//! and depths are bounded, for the file may come from anyone.

mod globals;
mod machine;
mod value;

pub(super) use machine::{Pickle, run};
pub(super) use value::{Rebuilt, Storage, Value};
