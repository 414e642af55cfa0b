//! The globals that a pickle may name. The table is the only place that decides.

use super::super::stored::Element;

/// What a global stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Global {
    /// Gives an empty dict, or a dict of pairs.
    Dict,
    /// Gives its argument: a tuple of sides.
    Sides,
    /// A type of storage, and of its values.
    Storage(Element),
    /// Gives a tensor over a storage.
    Tensor,
    /// Gives a tensor of a type that is never read, over a storage of bytes.
    TensorOfType,
    /// Gives its first argument, a tensor.
    Parameter,
    /// Calls its first argument, one of the makers of tensors, with its third: a tensor that has Python attributes.
    Attributed,
    /// Gives an empty list, or one of its argument: lists and sets, whose order and kind are of no use here.
    List,
    /// A type of values that are stepped over, with their bytes.
    Type(u8),
    /// Makes a scalar or names a type: the answer is of no use here and is not made.
    Plain,
}

/// What a global means, or `None` where it is not allowed.
pub(super) fn known(module: &str, name: &str) -> Option<Global> {
    if matches!(module, "torch" | "torch.cuda") {
        let element = match name {
            "DoubleStorage" => Some(Element::F64),
            "FloatStorage" => Some(Element::F32),
            "HalfStorage" => Some(Element::F16),
            "BFloat16Storage" => Some(Element::BF16),
            "LongStorage" => Some(Element::I64),
            "IntStorage" => Some(Element::I32),
            "ShortStorage" => Some(Element::I16),
            "CharStorage" | "QInt8Storage" => Some(Element::I8),
            "ByteStorage" | "QUInt8Storage" => Some(Element::U8),
            "BoolStorage" => Some(Element::Bool),
            // Kinds of values that have no storage of their own lie in bytes.
            "UntypedStorage" => Some(Element::U8),
            "QInt32Storage" => Some(Element::Other(4)),
            "ComplexFloatStorage" => Some(Element::Other(8)),
            "ComplexDoubleStorage" => Some(Element::Other(16)),
            _ => None,
        };
        if let Some(element) = element {
            return Some(Global::Storage(element));
        }
    }
    Some(match (module, name) {
        ("torch.storage", "UntypedStorage") => Global::Storage(Element::U8),
        ("collections", "OrderedDict" | "Counter" | "defaultdict") | ("builtins" | "__builtin__", "dict") => {
            Global::Dict
        }
        ("builtins" | "__builtin__", "list" | "set" | "frozenset") => Global::List,
        ("torch", "Size") => Global::Sides,
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Global::Tensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::TensorOfType,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Global::Parameter,
        ("torch._tensor", "_rebuild_from_type_v2") => Global::Attributed,
        ("torch", "Tensor") | ("torch.nn.parameter", "Parameter") => Global::Plain,
        ("torch", "float8_e4m3fn" | "float8_e4m3fnuz" | "float8_e5m2" | "float8_e5m2fnuz" | "float8_e8m0fnu") => {
            Global::Type(1)
        }
        ("torch", "uint16") => Global::Type(2),
        ("torch", "uint32" | "complex32") => Global::Type(4),
        ("torch", "uint64") => Global::Type(8),
        // Losses and step counts beside the weights.
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") | ("numpy", "dtype") | ("_codecs", "encode") => {
            Global::Plain
        }
        ("torch", "device" | "float64" | "float32" | "float16" | "bfloat16" | "int64" | "int32" | "uint8" | "bool") => {
            Global::Plain
        }
        _ => return None,
    })
}
