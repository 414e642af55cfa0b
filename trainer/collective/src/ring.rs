//! The connections that data goes over: each rank sends to the next one and reads from the one before.
//!
//! A sum is cut into as many segments as there are ranks. Segment `s` begins at rank `s` and goes round; each rank adds
//! its own to what comes, in that order, and the last one has the whole, which goes round once more. All segments travel
//! at once, in frames that are sent on as soon as they are added. The order of additions follows from the number of
//! ranks, so sums repeat bit for bit. Sums of a few values are gathered instead, and added in the order of ranks.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::GroupError;
use crate::watch::{AGAIN, Watch};

/// Bytes of a frame.
const FRAME: usize = 256 << 10;

/// Bytes of a sum up to which it is gathered.
const SMALL: usize = 4 << 10;

/// Most bytes that one rank may have another one take in at once.
const MOST: u64 = 1 << 38;

/// Bytes before each frame: operation, kind, total, length.
const HEAD: usize = 8 + 1 + 8 + 4;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Sum = 1,
    SumExact = 2,
    Gather = 3,
    Broadcast = 4,
}

impl Kind {
    fn name(byte: u8) -> &'static str {
        match byte {
            1 => "sum",
            2 => "sum in double precision",
            3 => "gather",
            4 => "broadcast",
            _ => "nothing known",
        }
    }
}

/// Numbers that are added up.
pub(crate) trait Number: Copy {
    const KIND: u8;
    const WIDTH: usize;
    fn put(self, out: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Self;
    fn plus(self, other: Self) -> Self;
}

impl Number for f32 {
    const KIND: u8 = Kind::Sum as u8;
    const WIDTH: usize = 4;
    fn put(self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }
    fn get(bytes: &[u8]) -> Self {
        Self::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Number for f64 {
    const KIND: u8 = Kind::SumExact as u8;
    const WIDTH: usize = 8;
    fn put(self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }
    fn get(bytes: &[u8]) -> Self {
        let mut value = [0; 8];
        value.copy_from_slice(bytes);
        Self::from_le_bytes(value)
    }
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

/// The two connections of a rank.
#[derive(Debug)]
pub(crate) struct Ring {
    me: usize,
    size: usize,
    watch: Arc<Watch>,
    /// Frames for the next rank; a thread sends them, so that a rank reads while it sends.
    next: Option<Sender<Vec<u8>>>,
    sending: Option<JoinHandle<()>>,
    before: TcpStream,
    buffer: Vec<u8>,
}

/// One operation.
#[derive(Debug, Clone, Copy)]
struct Operation {
    number: u64,
    kind: u8,
}

impl Ring {
    pub(crate) fn new(
        me: usize,
        size: usize,
        watch: Arc<Watch>,
        next: TcpStream,
        before: TcpStream,
    ) -> std::io::Result<Self> {
        watch.add_data(next.try_clone()?);
        watch.add_data(before.try_clone()?);
        let (sender, frames) = channel::<Vec<u8>>();
        let sending = {
            let (watch, mut next, after) = (watch.clone(), next, (me + 1) % size);
            std::thread::Builder::new().name("skysense-send".into()).spawn(move || {
                for frame in frames {
                    if let Err(error) = next.write_all(&frame) {
                        let who = watch.who(after).clone();
                        let message = format!("the connection to {who} broke: {error}");
                        watch.broken(|| GroupError::new(message, AGAIN));
                        return;
                    }
                }
                // All that was to be sent has been; what is under way still arrives.
                let _ = next.shutdown(Shutdown::Write);
            })?
        };
        Ok(Self { me, size, watch, next: Some(sender), sending: Some(sending), before, buffer: Vec::new() })
    }

    pub(crate) fn sum<T: Number>(&mut self, values: &mut [T]) -> Result<(), GroupError> {
        if values.len() * T::WIDTH <= SMALL {
            let mut mine = Vec::with_capacity(values.len() * T::WIDTH);
            values.iter().for_each(|value| value.put(&mut mine));
            let all = self.gather_as(T::KIND, &mine, Some(mine.len()))?;
            for (at, value) in values.iter_mut().enumerate() {
                let of = |one: &Vec<u8>| T::get(&one[at * T::WIDTH..(at + 1) * T::WIDTH]);
                *value = all[1..].iter().map(of).fold(of(&all[0]), T::plus);
            }
            return Ok(());
        }
        let operation = self.begin(T::KIND)?;
        let (size, count) = (self.size, values.len());
        let frames = |segment: usize| pieces(count * segment / size..count * (segment + 1) / size, FRAME / T::WIDTH);
        for range in frames(self.me) {
            self.send_values(operation, count, &values[range])?;
        }
        for step in 1..size {
            for range in frames((self.me + size - step) % size) {
                self.receive(operation, Some(count as u64), Some(range.len() * T::WIDTH))?;
                for (value, bytes) in values[range.clone()].iter_mut().zip(self.buffer.chunks_exact(T::WIDTH)) {
                    *value = T::get(bytes).plus(*value);
                }
                self.send_values(operation, count, &values[range])?;
            }
        }
        for step in 0..size - 1 {
            for range in frames((self.me + size - step) % size) {
                self.receive(operation, Some(count as u64), Some(range.len() * T::WIDTH))?;
                for (value, bytes) in values[range.clone()].iter_mut().zip(self.buffer.chunks_exact(T::WIDTH)) {
                    *value = T::get(bytes);
                }
                if step + 2 < size {
                    self.send_values(operation, count, &values[range])?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn gather(&mut self, mine: &[u8]) -> Result<Vec<Vec<u8>>, GroupError> {
        self.gather_as(Kind::Gather as u8, mine, None)
    }

    /// All blocks go round; where a length is given, all have it.
    fn gather_as(&mut self, kind: u8, mine: &[u8], length: Option<usize>) -> Result<Vec<Vec<u8>>, GroupError> {
        let operation = self.begin(kind)?;
        let mut all: Vec<Vec<u8>> = vec![Vec::new(); self.size];
        self.send_bytes(operation, mine)?;
        all[self.me] = mine.to_vec();
        for step in 1..self.size {
            let of = (self.me + self.size - step) % self.size;
            all[of] = self.receive_block(operation, length, step + 1 < self.size)?;
        }
        Ok(all)
    }

    pub(crate) fn broadcast(&mut self, mine: &[u8]) -> Result<Vec<u8>, GroupError> {
        let operation = self.begin(Kind::Broadcast as u8)?;
        if self.me == 0 {
            self.send_bytes(operation, mine)?;
            return Ok(mine.to_vec());
        }
        self.receive_block(operation, None, self.me + 1 < self.size)
    }

    fn begin(&self, kind: u8) -> Result<Operation, GroupError> {
        match self.watch.failure() {
            Some(error) => Err(error),
            None => Ok(Operation { number: self.watch.next_operation(), kind }),
        }
    }

    fn send_values<T: Number>(&self, operation: Operation, total: usize, values: &[T]) -> Result<(), GroupError> {
        let length = values.len() * T::WIDTH;
        let mut frame = head(operation, total as u64, length);
        values.iter().for_each(|value| value.put(&mut frame));
        self.send(frame)
    }

    /// One block in frames; an empty one is one empty frame.
    fn send_bytes(&self, operation: Operation, bytes: &[u8]) -> Result<(), GroupError> {
        for range in pieces(0..bytes.len(), FRAME) {
            let mut frame = head(operation, bytes.len() as u64, range.len());
            frame.extend(&bytes[range]);
            self.send(frame)?;
        }
        Ok(())
    }

    fn send(&self, frame: Vec<u8>) -> Result<(), GroupError> {
        let sent = self.next.as_ref().and_then(|next| next.send(frame).ok());
        sent.ok_or_else(|| {
            let next = self.watch.who((self.me + 1) % self.size);
            self.watch.broken(|| GroupError::new(format!("the connection to {next} broke"), AGAIN))
        })
    }

    /// Takes in a block, and sends it on where others want it.
    fn receive_block(&mut self, operation: Operation, length: Option<usize>, on: bool) -> Result<Vec<u8>, GroupError> {
        let mut block = Vec::new();
        loop {
            let total = self.receive(operation, length.map(|length| length as u64), None)?;
            block.extend(&self.buffer);
            if on {
                let mut frame = head(operation, total, self.buffer.len());
                frame.extend(&self.buffer);
                self.send(frame)?;
            }
            if block.len() as u64 >= total {
                return Ok(block);
            }
        }
    }

    /// Takes a frame of this operation into the buffer; gives the total that it states.
    fn receive(&mut self, now: Operation, total: Option<u64>, length: Option<usize>) -> Result<u64, GroupError> {
        let mut head = [0_u8; HEAD];
        self.fill(now, None, &mut head)?;
        let number = u64::from_le_bytes(part(&head, 0));
        let kind = head[8];
        let stated = u64::from_le_bytes(part(&head, 9));
        let bytes = u32::from_le_bytes([head[17], head[18], head[19], head[20]]) as usize;
        let fits = number == now.number
            && kind == now.kind
            && total.is_none_or(|total| total == stated)
            && length.is_none_or(|length| length == bytes)
            && bytes <= FRAME
            && stated <= MOST
            && (bytes > 0 || stated == 0 || length == Some(0));
        if !fits {
            let mine = total.map_or_else(String::new, |total| format!(" of {total}"));
            let message = format!(
                "{} is at operation {number}, {} of {stated}; {} is at operation {}, {}{mine}",
                self.watch.who((self.me + self.size - 1) % self.size),
                Kind::name(kind),
                self.watch.who(self.me),
                now.number,
                Kind::name(now.kind),
            );
            let hint = "the ranks do different things: start all with the same version, settings and files";
            return Err(self.watch.fail(GroupError::new(message, hint)));
        }
        self.fill(now, Some(bytes), &mut [])?;
        Ok(stated)
    }

    /// Reads into `out`, or so many bytes into the buffer.
    fn fill(&mut self, now: Operation, length: Option<usize>, out: &mut [u8]) -> Result<(), GroupError> {
        let Self { before, buffer, watch, me, size, .. } = self;
        let out = match length {
            Some(length) => {
                buffer.resize(length, 0);
                buffer.as_mut_slice()
            }
            None => out,
        };
        let from = (*me + *size - 1) % *size;
        let (mut filled, mut since) = (0, Instant::now());
        while filled < out.len() {
            match before.read(&mut out[filled..]) {
                Ok(0) => {
                    let closed = || GroupError::new(format!("{} closed its connection", watch.who(from)), AGAIN);
                    return Err(watch.broken(closed));
                }
                Ok(read) => (filled, since) = (filled + read, Instant::now()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if let Some(error) = watch.failure() {
                        return Err(error);
                    }
                    if since.elapsed() > watch.patience().wait {
                        return Err(watch.late(now.number, from));
                    }
                }
                Err(error) => {
                    let message = format!("the connection from {} broke: {error}", watch.who(from));
                    return Err(watch.broken(|| GroupError::new(message, AGAIN)));
                }
            }
        }
        Ok(())
    }

    /// Comes back when all that this rank had to send is on its way.
    pub(crate) fn flush(&mut self) {
        self.next = None;
        if let Some(sending) = self.sending.take() {
            let _ = sending.join();
        }
    }
}

fn head(operation: Operation, total: u64, length: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + length);
    frame.extend(operation.number.to_le_bytes());
    frame.push(operation.kind);
    frame.extend(total.to_le_bytes());
    frame.extend((length as u32).to_le_bytes());
    frame
}

/// Eight bytes of a head.
fn part(head: &[u8; HEAD], from: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&head[from..from + 8]);
    bytes
}

/// A range in pieces of at most so many; an empty one is one empty piece.
fn pieces(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let count = range.len().div_ceil(most).max(1);
    let (start, end) = (range.start, range.end);
    (0..count).map(move |piece| start + piece * most..(start + (piece + 1) * most).min(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_range() {
        let of = |range, most| pieces(range, most).collect::<Vec<_>>();
        assert_eq!(of(3..10, 3), [3..6, 6..9, 9..10]);
        assert_eq!(of(3..9, 3), [3..6, 6..9]);
        assert!(of(4..4, 3).iter().eq([&(4..4)]));
    }
}
