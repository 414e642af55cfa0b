//! Groups of threads, each as a rank of its own.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use skysense_collective::{GroupError, Patience, Place, Tcp, Token};

/// A port that nobody has.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A rank of a group on this host.
pub(crate) fn place(rank: usize, size: usize, port: u16) -> Place {
    let patience =
        Patience { join: Duration::from_secs(20), silence: Duration::from_secs(10), wait: Duration::from_secs(20) };
    let (master, token) = ("127.0.0.1".into(), Token::new("a token for tests"));
    Place { rank, size, local_rank: rank, local_size: Some(size), master, port, token, patience }
}

/// What each rank gives, by rank; `change` makes the place of a rank another one.
pub(crate) fn ranks<R: Send>(
    size: usize,
    change: impl Fn(&mut Place) + Sync,
    work: impl Fn(usize, Result<Tcp, GroupError>) -> R + Sync,
) -> Vec<R> {
    let port = free_port();
    let one = |rank| {
        let mut place = place(rank, size, port);
        change(&mut place);
        work(rank, Tcp::join(&place, "test", &[("settings", "the same".into())], &|| false))
    };
    thread::scope(|scope| {
        let one = &one;
        let running: Vec<_> = (0..size).map(|rank| scope.spawn(move || one(rank))).collect();
        running.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}
