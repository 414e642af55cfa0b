//! What a pickle can hold.

use std::rc::Rc;

use super::super::stored::Element;
use super::globals::Global;

/// Something on the stack. Containers are numbers into the machine's arena: they may hold each other in circles, and
/// taking such a thing apart must not recurse.
#[derive(Debug, Clone)]
pub(in super::super) enum Value {
    /// `None`, or something that is of no use here.
    Nothing,
    /// A number.
    Int(i64),
    /// A text.
    Text(Rc<str>),
    /// A fixed row of values.
    Tuple(usize),
    /// A growing row of values.
    List(usize),
    /// Pairs.
    Dict(usize),
    /// A global of the table.
    Global(Global),
    /// Values of a tensor or several.
    Storage(Rc<Storage>),
    /// A tensor.
    Tensor(usize),
    /// Where a container's values begin on the stack.
    Mark,
}

/// Values of one or more tensors, kept in a part of the file that is named by `key`.
#[derive(Debug)]
pub(in super::super) struct Storage {
    /// Name of the part.
    pub(in super::super) key: String,
    /// Type of the values.
    pub(in super::super) element: Element,
    /// Number of values.
    pub(in super::super) count: u64,
}

/// A tensor over a storage.
#[derive(Debug, Clone)]
pub(in super::super) struct Rebuilt {
    pub(in super::super) storage: Rc<Storage>,
    /// Type of its values, which a storage of bytes does not say.
    pub(in super::super) element: Element,
    /// Of the first value, in values.
    pub(in super::super) offset: u64,
    pub(in super::super) shape: Vec<u64>,
    pub(in super::super) strides: Vec<u64>,
}

impl Value {
    /// What it is, for messages.
    pub(in super::super) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "a plain value",
            Self::Int(_) => "a number",
            Self::Text(_) => "a text",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dict",
            Self::Global(_) => "a global",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
            Self::Mark => "a mark",
        }
    }
}
