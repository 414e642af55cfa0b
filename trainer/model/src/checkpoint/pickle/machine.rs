//! The stack machine.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::super::error::{CheckpointError, Result};
use super::super::stored::Element;
use super::globals::{Global, known};
use super::value::{Rebuilt, Storage, Value};

/// Most values, pairs and memo entries that one pickle may make: a checkpoint with its optimiser has some ten thousand.
const OBJECTS: usize = 4_000_000;

/// What a pickle held, when it was run to its end.
#[derive(Debug)]
pub(in super::super) struct Pickle {
    /// The outermost value.
    pub(in super::super) root: Value,
    /// Bytes of the pickle.
    pub(in super::super) length: usize,
    tuples: Vec<Vec<Value>>,
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    tensors: Vec<Rebuilt>,
}

impl Pickle {
    /// The pairs of a dict.
    pub(in super::super) fn dict(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(index) => self.dicts.get(*index).map(Vec::as_slice),
            _ => None,
        }
    }

    /// The values of a list or tuple.
    pub(in super::super) fn row(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::List(index) => self.lists.get(*index).map(Vec::as_slice),
            Value::Tuple(index) => self.tuples.get(*index).map(Vec::as_slice),
            _ => None,
        }
    }

    /// All tensors, also those that nothing names.
    pub(in super::super) fn tensors(&self) -> &[Rebuilt] {
        &self.tensors
    }

    /// A tensor.
    pub(in super::super) fn tensor(&self, value: &Value) -> Option<&Rebuilt> {
        match value {
            Value::Tensor(index) => self.tensors.get(*index),
            _ => None,
        }
    }
}

/// Runs the pickle at the start of `bytes`; `path` is for messages.
pub(in super::super) fn run(bytes: &[u8], path: &Path) -> Result<Pickle> {
    let mut machine = Machine {
        bytes,
        path,
        at: 0,
        begin: 0,
        stack: Vec::new(),
        memo: HashMap::new(),
        made: 0,
        pickle: Pickle {
            root: Value::Nothing,
            length: 0,
            tuples: Vec::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
            tensors: Vec::new(),
        },
    };
    loop {
        machine.begin = machine.at;
        let code = machine.byte()?;
        if code == b'.' {
            let root = machine.pop()?;
            return Ok(Pickle { root, length: machine.at, ..machine.pickle });
        }
        machine.step(code)?;
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    path: &'a Path,
    at: usize,
    /// Where the present instruction begins.
    begin: usize,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    /// Values made so far.
    made: usize,
    pickle: Pickle,
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8) -> Result<()> {
        match code {
            // Protocol and frame: nothing to do.
            0x80 => self.skip(1),
            0x95 => self.skip(8),
            b'(' => self.push(Value::Mark),
            b'0' => self.pop().map(drop),
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.stack.last().cloned().ok_or_else(|| self.broken("an empty stack", "a value"))?;
                self.push(top)
            }
            b'N' | 0x88 | 0x89 => self.push(Value::Nothing),
            b'G' => {
                self.skip(8)?;
                self.push(Value::Nothing)
            }
            b'F' => {
                let _number = self.line()?;
                self.push(Value::Nothing)
            }
            b'I' | b'L' => self.decimal(),
            b'J' => {
                let bytes = self.array::<4>()?;
                self.push(Value::Int(i64::from(i32::from_le_bytes(bytes))))
            }
            b'K' => {
                let byte = self.byte()?;
                self.push(Value::Int(i64::from(byte)))
            }
            b'M' => {
                let bytes = self.array::<2>()?;
                self.push(Value::Int(i64::from(u16::from_le_bytes(bytes))))
            }
            0x8a => {
                let length = usize::from(self.byte()?);
                self.long(length)
            }
            0x8b => {
                let length = self.length::<4>()?;
                self.long(length)
            }
            b'U' | 0x8c => {
                let length = usize::from(self.byte()?);
                self.text(length)
            }
            b'T' | b'X' => {
                let length = self.length::<4>()?;
                self.text(length)
            }
            0x8d => {
                let length = self.length::<8>()?;
                self.text(length)
            }
            b'V' | b'S' => {
                let line = self.line()?;
                let line = line.trim_matches(['\'', '"']);
                self.push(Value::Text(line.into()))
            }
            b'C' => {
                let length = usize::from(self.byte()?);
                self.blob(length)
            }
            b'B' => {
                let length = self.length::<4>()?;
                self.blob(length)
            }
            0x8e | 0x96 => {
                let length = self.length::<8>()?;
                self.blob(length)
            }
            b')' => self.tuple(Vec::new()),
            b't' => {
                let values = self.pop_mark()?;
                self.tuple(values)
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let from =
                    self.stack.len().checked_sub(count).ok_or_else(|| self.broken("too few values", "a tuple"))?;
                let values = self.stack.split_off(from);
                self.tuple(values)
            }
            b']' | 0x8f => self.list(Vec::new()),
            b'l' | 0x91 => {
                let values = self.pop_mark()?;
                self.list(values)
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])
            }
            b'e' | 0x90 => {
                let values = self.pop_mark()?;
                self.append(values)
            }
            b'}' => self.dict(Vec::new()),
            b'd' => {
                let values = self.pop_mark()?;
                let pairs = self.pairs(values)?;
                self.dict(pairs)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![(key, value)])
            }
            b'u' => {
                let values = self.pop_mark()?;
                let pairs = self.pairs(values)?;
                self.set(pairs)
            }
            _ => self.step_memo_or_global(code),
        }
    }

    fn step_memo_or_global(&mut self, code: u8) -> Result<()> {
        match code {
            b'q' => {
                let slot = u32::from(self.byte()?);
                self.put(slot)
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.put(slot)
            }
            0x94 => {
                let slot = u32::try_from(self.memo.len()).map_err(|_| self.broken("a full memo", "a free slot"))?;
                self.put(slot)
            }
            b'p' => {
                let slot = self.slot()?;
                self.put(slot)
            }
            b'h' => {
                let slot = u32::from(self.byte()?);
                self.get(slot)
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.get(slot)
            }
            b'g' => {
                let slot = self.slot()?;
                self.get(slot)
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.global(&module, &name),
                _ => Err(self.broken("a global without a name", "two texts")),
            },
            b'Q' => self.persistent(),
            b'R' | 0x81 => self.call(),
            b'b' => self.build(),
            other => Err(CheckpointError::Format {
                path: self.path.to_path_buf(),
                offset: Some(self.begin as u64),
                found: format!("pickle instruction {other:#04x}"),
                expected: "the instructions of a dict of tensors".into(),
                hint: "the file is damaged, or it makes objects that are no tensors: save its weights alone with torch.save, or as .safetensors",
            }),
        }
    }

    fn broken(&self, found: impl Into<String>, expected: &str) -> CheckpointError {
        CheckpointError::Format {
            path: self.path.to_path_buf(),
            offset: Some(self.begin as u64),
            found: found.into(),
            expected: format!("{expected} in its pickle"),
            hint: "the file is damaged or was not written by torch.save: fetch it again and compare its checksum",
        }
    }

    // Reading.

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let piece = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        let piece = piece.ok_or_else(|| self.broken("its end", "more bytes"))?;
        self.at += length;
        Ok(piece)
    }

    fn skip(&mut self, length: usize) -> Result<()> {
        self.take(length).map(drop)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn length<const N: usize>(&mut self) -> Result<usize> {
        let bytes = self.array::<N>()?;
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&bytes);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| self.broken("a huge length", "a length"))
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| self.broken("its end", "a line"))?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| self.broken("a line that is no text", "a text"))
    }

    // Values.

    fn count(&mut self, made: usize) -> Result<()> {
        self.made = self.made.saturating_add(made);
        if self.made > OBJECTS {
            return Err(self.broken(format!("more than {OBJECTS} values"), "the few of a checkpoint"));
        }
        Ok(())
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.count(1)?;
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value> {
        match self.stack.pop() {
            Some(Value::Mark) | None => Err(self.broken("nothing on the stack", "a value")),
            Some(value) => Ok(value),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
        let mark = mark.ok_or_else(|| self.broken("no mark", "a mark"))?;
        let values = self.stack.split_off(mark + 1);
        self.stack.truncate(mark);
        Ok(values)
    }

    /// `I` and `L`: a number in decimal digits, or a truth value.
    fn decimal(&mut self) -> Result<()> {
        let line = self.line()?;
        let value = line.trim_end_matches('L').parse().map_or(Value::Nothing, Value::Int);
        self.push(value)
    }

    /// A number of so many bytes; one that needs more than 64 bits is of no use here.
    fn long(&mut self, length: usize) -> Result<()> {
        let bytes = self.take(length)?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        if length > 8 {
            return self.push(Value::Nothing);
        }
        wide[..length].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(wide)))
    }

    fn text(&mut self, length: usize) -> Result<()> {
        let bytes = self.take(length)?;
        // Old pickles hold bytes of numpy scalars as strings: they are of no use here.
        let value = std::str::from_utf8(bytes).map_or(Value::Nothing, |text| Value::Text(text.into()));
        self.push(value)
    }

    fn blob(&mut self, length: usize) -> Result<()> {
        self.skip(length)?;
        self.push(Value::Nothing)
    }

    fn tuple(&mut self, values: Vec<Value>) -> Result<()> {
        self.pickle.tuples.push(values);
        self.push(Value::Tuple(self.pickle.tuples.len() - 1))
    }

    fn list(&mut self, values: Vec<Value>) -> Result<()> {
        self.pickle.lists.push(values);
        self.push(Value::List(self.pickle.lists.len() - 1))
    }

    fn dict(&mut self, pairs: Vec<(Value, Value)>) -> Result<()> {
        self.pickle.dicts.push(pairs);
        self.push(Value::Dict(self.pickle.dicts.len() - 1))
    }

    fn pairs(&self, values: Vec<Value>) -> Result<Vec<(Value, Value)>> {
        if !values.len().is_multiple_of(2) {
            return Err(self.broken("a key without a value", "pairs"));
        }
        let mut pairs = Vec::with_capacity(values.len() / 2);
        let mut values = values.into_iter();
        while let (Some(key), Some(value)) = (values.next(), values.next()) {
            pairs.push((key, value));
        }
        Ok(pairs)
    }

    fn append(&mut self, values: Vec<Value>) -> Result<()> {
        match self.stack.last() {
            Some(Value::List(index)) => self.pickle.lists[*index].extend(values),
            _ => return Err(self.broken("values without a list", "a list")),
        }
        Ok(())
    }

    fn set(&mut self, pairs: Vec<(Value, Value)>) -> Result<()> {
        match self.stack.last() {
            Some(Value::Dict(index)) => self.pickle.dicts[*index].extend(pairs),
            _ => return Err(self.broken("pairs without a dict", "a dict")),
        }
        Ok(())
    }

    // The memo.

    fn slot(&mut self) -> Result<u32> {
        let line = self.line()?;
        line.parse().map_err(|_| self.broken(format!("memo slot {line:?}"), "a number"))
    }

    fn put(&mut self, slot: u32) -> Result<()> {
        let value = self.stack.last().cloned().ok_or_else(|| self.broken("nothing on the stack", "a value"))?;
        self.count(1)?;
        let _previous = self.memo.insert(slot, value);
        Ok(())
    }

    fn get(&mut self, slot: u32) -> Result<()> {
        let value = self.memo.get(&slot).cloned();
        let value = value.ok_or_else(|| self.broken(format!("memo slot {slot}, which is empty"), "a value"))?;
        self.push(value)
    }

    // Globals and calls.

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        match known(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(CheckpointError::Global {
                path: self.path.to_path_buf(),
                offset: self.begin as u64,
                // Whatever stands there: a name of any length, with any sign, is not let into a message.
                global: format!("{module}.{name}").escape_debug().take(200).collect(),
            }),
        }
    }

    /// A copy of a row; it counts as made, so that calls over one long row do not cost more than the file holds.
    fn values(&mut self, tuple: &Value) -> Result<Vec<Value>> {
        let values = self.pickle.row(tuple).map(<[Value]>::to_vec);
        let values = values.ok_or_else(|| self.broken(tuple.kind(), "a tuple"))?;
        self.count(values.len())?;
        Ok(values)
    }

    /// `("storage", type, key, place, count)`: where values are kept.
    fn persistent(&mut self) -> Result<()> {
        let tuple = self.pop()?;
        let parts = self.values(&tuple)?;
        match &parts[..] {
            [
                Value::Text(word),
                Value::Global(Global::Storage(element)),
                Value::Text(key),
                _,
                Value::Int(count),
                ..,
            ] if &**word == "storage" => {
                let count = u64::try_from(*count)
                    .map_err(|_| self.broken(format!("a storage of {count} values"), "a count that is not negative"))?;
                let storage = Storage { key: key.to_string(), element: *element, count };
                self.push(Value::Storage(Rc::new(storage)))
            }
            _ => Err(self.broken("a persistent id of another form", "(\"storage\", type, key, place, count)")),
        }
    }

    fn call(&mut self) -> Result<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Global(global) = callee else { return Err(self.broken(callee.kind(), "a global to call")) };
        self.apply(global, &arguments)
    }

    fn apply(&mut self, global: Global, arguments: &Value) -> Result<()> {
        let arguments = self.values(arguments)?;
        match (global, &arguments[..]) {
            (Global::Dict, []) => self.dict(Vec::new()),
            // What a `defaultdict` makes of keys that it lacks.
            (Global::Dict, [Value::Global(_) | Value::Nothing]) => self.dict(Vec::new()),
            (Global::Dict, [counts @ Value::Dict(_)]) => {
                let pairs = self.pickle.dict(counts).map(<[_]>::to_vec).unwrap_or_default();
                self.count(pairs.len())?;
                self.dict(pairs)
            }
            // Python 2 gives its pairs as a list of lists.
            (Global::Dict, [rows]) => {
                let mut pairs = Vec::new();
                for row in self.values(rows)? {
                    match &self.values(&row)?[..] {
                        [key, value] => pairs.push((key.clone(), value.clone())),
                        _ => return Err(self.broken("a row of another length", "pairs")),
                    }
                }
                self.dict(pairs)
            }
            (Global::List, []) => self.list(Vec::new()),
            (Global::List, [row]) => {
                let values = self.values(row)?;
                self.list(values)
            }
            (Global::Sides, [sides]) => self.push(sides.clone()),
            (Global::Parameter, [tensor @ Value::Tensor(_), ..]) => self.push(tensor.clone()),
            // Only makers of tensors are called this way, so that nothing can call itself.
            (
                Global::Attributed,
                [
                    Value::Global(maker @ (Global::Tensor | Global::TensorOfType | Global::Parameter)),
                    Value::Global(Global::Plain),
                    inner,
                    ..,
                ],
            ) => self.apply(*maker, inner),
            (Global::Tensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
                self.tensor(storage, storage.element, *offset, [shape, strides])
            }
            (
                Global::TensorOfType,
                [
                    Value::Storage(storage),
                    Value::Int(offset),
                    shape,
                    strides,
                    _,
                    _,
                    Value::Global(Global::Type(bytes)),
                    ..,
                ],
            ) => self.tensor(storage, Element::Other(*bytes), *offset, [shape, strides]),
            (Global::Plain, _) => self.push(Value::Nothing),
            (global, arguments) => {
                let kinds: Vec<_> = arguments.iter().take(7).map(Value::kind).collect();
                Err(self
                    .broken(format!("a call of {global:?} with {}", kinds.join(", ")), "the arguments of torch.save"))
            }
        }
    }

    fn tensor(
        &mut self,
        storage: &Rc<Storage>,
        element: Element,
        offset: i64,
        [shape, strides]: [&Value; 2],
    ) -> Result<()> {
        let (shape, strides) = (self.sides(shape)?, self.sides(strides)?);
        let offset =
            u64::try_from(offset).map_err(|_| self.broken(format!("offset {offset}"), "an offset in a storage"))?;
        if shape.len() != strides.len() || shape.len() > 16 {
            let found = format!("{} sides and {} strides", shape.len(), strides.len());
            return Err(self.broken(found, "one stride for each side, at most 16"));
        }
        self.pickle.tensors.push(Rebuilt { storage: Rc::clone(storage), element, offset, shape, strides });
        self.push(Value::Tensor(self.pickle.tensors.len() - 1))
    }

    fn sides(&mut self, tuple: &Value) -> Result<Vec<u64>> {
        let side = |value: &Value| match value {
            Value::Int(side) => u64::try_from(*side).ok(),
            _ => None,
        };
        let sides: Option<Vec<u64>> = self.values(tuple)?.iter().map(side).collect();
        sides.ok_or_else(|| self.broken("a side that is no count", "counts that are not negative"))
    }

    /// Sets attributes. A dict of weights has `_metadata`, a type its byte order; neither is of use here.
    fn build(&mut self) -> Result<()> {
        let _state = self.pop()?;
        match self.stack.last() {
            Some(Value::Dict(_) | Value::Nothing) => Ok(()),
            Some(other) => Err(self.broken(format!("attributes of {}", other.kind()), "those of a dict")),
            None => Err(self.broken("attributes of nothing", "those of a dict")),
        }
    }
}
