//! What a file holds, before anyone decides which part of it is the weights.

use super::stored::Stored;

/// Containers and tensors of a file.
#[derive(Debug)]
pub(super) enum Tree {
    /// Named children, in the order of the file.
    Dict(Vec<(String, Tree)>),
    /// A tensor.
    Tensor(Stored),
    /// Something else: a number, a list, a setting.
    Other,
}

impl Tree {
    /// The children of a dict.
    pub(super) fn children(&self) -> &[(String, Self)] {
        match self {
            Self::Dict(children) => children,
            _ => &[],
        }
    }

    /// The child of a dict that has this name; the last one where a name stands twice, as in Python.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children().iter().rev().find(|(child, _)| child == name).map(|(_, tree)| tree)
    }

    /// Whether a tensor stands in the dict itself.
    pub(super) fn has_tensors(&self) -> bool {
        self.children().iter().any(|(_, child)| matches!(child, Self::Tensor(_)))
    }

    /// Tensors in a dict and in dicts of it, so many levels down.
    pub(super) fn tensors(&self, levels: usize) -> usize {
        let count = |child: &Self| match child {
            Self::Tensor(_) => 1,
            Self::Dict(_) if levels > 0 => child.tensors(levels - 1),
            _ => 0,
        };
        self.children().iter().map(|(_, child)| count(child)).sum()
    }
}
