//! Bounded frames: a mark, a kind, a length, and no more than was asked for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a read waits before it looks up.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// What every frame of ours begins with.
const MARK: [u8; 4] = *b"SKYG";

/// Longest frame outside of data.
pub(crate) const MOST: usize = 256 << 10;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A number that a proof must hold for.
    Challenge = 1,
    /// Who wants to be taken in, with a proof.
    Hello = 2,
    /// Who all are, with a proof.
    Welcome = 3,
    /// Why nobody was taken in, or why the group ended.
    Ended = 4,
    /// A heartbeat with the operation that a rank is at.
    Beat = 5,
    /// A rank has done all that it came for.
    Bye = 6,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Challenge, Self::Hello, Self::Welcome, Self::Ended, Self::Beat, Self::Bye]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Writes a frame.
pub(crate) fn write(stream: &mut TcpStream, kind: Kind, body: &[u8]) -> io::Result<()> {
    let mut frame = Vec::with_capacity(9 + body.len());
    frame.extend(MARK);
    frame.push(kind as u8);
    frame.extend((body.len() as u32).to_le_bytes());
    frame.extend(body);
    stream.write_all(&frame)
}

/// Reads a frame of at most [`MOST`] bytes. Given up when `patient` says no, asked every [`TICK`].
pub(crate) fn read(stream: &mut TcpStream, patient: &mut dyn FnMut() -> bool) -> io::Result<(Kind, Vec<u8>)> {
    let invalid = |message: &str| io::Error::new(ErrorKind::InvalidData, message);
    let mut head = [0_u8; 9];
    fill(stream, &mut head, patient)?;
    let kind = Kind::of(head[4]).filter(|_| head[..4] == MARK).ok_or_else(|| invalid("no frame of this program"))?;
    let length = u32::from_le_bytes([head[5], head[6], head[7], head[8]]) as usize;
    if length > MOST {
        return Err(invalid("a frame is too long"));
    }
    let mut body = vec![0; length];
    fill(stream, &mut body, patient)?;
    Ok((kind, body))
}

/// Fills a buffer.
pub(crate) fn fill(stream: &mut TcpStream, mut buffer: &mut [u8], patient: &mut dyn FnMut() -> bool) -> io::Result<()> {
    while !buffer.is_empty() {
        match stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => buffer = &mut buffer[read..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if !patient() {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Patience until then.
pub(crate) fn until(end: Instant) -> impl FnMut() -> bool {
    move || Instant::now() < end
}

/// What all our connections are: small frames go at once, reads look up.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    // Of a listener that does not wait, connections do not either on some systems.
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))
}
