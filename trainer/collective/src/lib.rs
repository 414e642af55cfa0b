//! Several processes as one: who they are, how they meet, what they add up and exchange, and how a failure of one ends
//! all with its name.
//!
//! A [`Place`] is read from the environment that `torchrun`, Slurm or `skysense run --processes` sets; [`Tcp::join`]
//! makes a [`Group`] of it, [`Alone`] is the group of one. Every rank calls the same operations in the same order.
//! Sums are added in an order that depends on the number of ranks alone: as many ranks give the same bits again, on
//! every rank.
//!
//! | file | holds |
//! | --- | --- |
//! | `place`, `hostlist` | the environment: rank, size, where rank 0 is met |
//! | `local` | the environment of processes that are started on one host |
//! | `patience` | how long others are waited for |
//! | `meeting` | where rank 0 takes the others in, and refuses strangers and ranks that do not fit |
//! | `hello`, `secret` | what a rank says of itself, and the proof that it may |
//! | `watch` | heartbeats, and how a failure reaches all |
//! | `ring` | the connections that data goes over: each rank sends to the next and reads from the one before |
//! | `tcp` | the group itself |
//!
//! # Links
//! Every rank holds one connection to rank 0, over which only heartbeats and failures go, and one to the next rank, over
//! which all data goes. What a rank sends for a sum of `n` values is `2 n (1 − 1/N)` values, however many ranks there
//! are.
//!
//! # Trust
//! A rank proves that it knows the token of the group (`SKYSENSE_TOKEN`, else a value derived from the job, which keeps
//! jobs apart and no attacker out) before anything it says is read. After that data goes over the wire as it is, neither
//! encrypted nor signed, as with NCCL, Gloo and MPI: run it in a network that you trust.

mod error;
mod group;
mod hello;
mod hostlist;
mod local;
mod meeting;
mod patience;
mod place;
mod ring;
mod secret;
mod tcp;
mod watch;
mod wire;

pub use error::GroupError;
pub use group::{Alone, Group};
pub use hostlist::expand;
pub use local::Local;
pub use patience::Patience;
pub use place::{Place, PlaceError};
pub use secret::Token;
pub use tcp::Tcp;
