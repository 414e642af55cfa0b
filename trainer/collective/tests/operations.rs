//! What ranks do together, each a thread: sums to the bit, exchanges, and ranks that do not fit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use skysense_collective::{Alone, Group, GroupError, Place, Tcp, Token};
use support::{free_port, place, ranks};

/// What a rank puts into a sum.
fn values(rank: usize, count: usize) -> Vec<f32> {
    let value = |at: usize| ((at * 7919 + rank * 104_729) % 2003) as f32 / 1000.0 - 1.0 + 1e-4 * rank as f32;
    (0..count).map(value).collect()
}

fn sums(size: usize, count: usize) -> Vec<Vec<f32>> {
    ranks(
        size,
        |_| {},
        |rank, group| {
            let group = group.unwrap();
            let mut sum = values(rank, count);
            group.sum(&mut sum).unwrap();
            group.leave().unwrap();
            sum
        },
    )
}

#[test]
fn sums_are_right_and_every_rank_has_the_same_bits_again() {
    for size in [2, 3, 4, 5] {
        for count in [0, 1, 7, 1024, 1025, 5000, 300_001] {
            let found = sums(size, count);
            let bits = |sum: &[f32]| sum.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert!(found.iter().all(|sum| bits(sum) == bits(&found[0])), "{size} ranks, {count} values");
            let parts: Vec<Vec<f32>> = (0..size).map(|rank| values(rank, count)).collect();
            for (at, found) in found[0].iter().enumerate() {
                let exact: f64 = parts.iter().map(|part| f64::from(part[at])).sum();
                assert!((f64::from(*found) - exact).abs() < 1e-6, "{size} ranks, value {at} of {count}");
            }
            assert!(bits(&sums(size, count)[0]) == bits(&found[0]), "{size} ranks, {count} values again");
        }
    }
}

#[test]
fn double_precision_keeps_what_single_loses() {
    let found = ranks(
        3,
        |_| {},
        |rank, group| {
            let group = group.unwrap();
            let mut sum = vec![[1e9, 1.0, -1e9][rank]; 2000];
            group.sum_exact(&mut sum).unwrap();
            group.leave().unwrap();
            sum
        },
    );
    assert!(found.iter().all(|sum| sum.iter().all(|value| *value == 1.0)));
}

#[test]
fn blocks_of_any_length_come_to_all() {
    let block = |rank: usize| vec![rank as u8; [0, 3, 700_000, 1][rank]];
    let found = ranks(
        4,
        |_| {},
        |rank, group| {
            let group = group.unwrap();
            let all = group.gather(&block(rank)).unwrap();
            let word = group.broadcast(format!("from {rank}").as_bytes()).unwrap();
            let long = group.broadcast(&if rank == 0 { vec![9; 1_000_000] } else { Vec::new() }).unwrap();
            let numbers = group.gather_numbers(&vec![rank as f32; rank]).unwrap();
            group.barrier().unwrap();
            group.leave().unwrap();
            (all, word, long.len(), numbers)
        },
    );
    for (all, word, long, numbers) in found {
        assert!((0..4).all(|rank| all[rank] == block(rank)));
        assert_eq!((word.as_slice(), long), (b"from 0".as_slice(), 1_000_000));
        assert_eq!(numbers, [vec![], vec![1.0], vec![2.0, 2.0], vec![3.0, 3.0, 3.0]]);
    }
}

#[test]
fn several_groups_meet_at_one_port_at_once() {
    let port = free_port();
    let names = ["teacher", "student"];
    std::thread::scope(|scope| {
        for rank in [0, 1] {
            for name in names {
                scope.spawn(move || {
                    let group = Tcp::join(&place(rank, 2, port), name, &[], &|| false).unwrap();
                    let mut sum = [if name == "teacher" { 1.0 } else { 10.0 }];
                    group.sum(&mut sum).unwrap();
                    assert_eq!(sum[0], if name == "teacher" { 2.0 } else { 20.0 });
                    group.leave().unwrap();
                });
            }
        }
    });
}

#[test]
fn what_all_must_have_is_held_against_rank_0() {
    let found = ranks(
        3,
        |_| {},
        |rank, group| {
            let group = group.unwrap();
            group.agree("samples", "abc", "").unwrap();
            group.agree("samples", if rank == 2 { "def" } else { "abc" }, "use the same files").unwrap_err().to_string()
        },
    );
    for error in found {
        assert!(error.starts_with("rank 2 (host ") && error.ends_with(" has abc; use the same files"), "{error}");
    }
}

/// Errors of all ranks of a group that must not come to be or to an end.
fn errors(
    size: usize,
    change: impl Fn(&mut Place) + Sync,
    work: impl Fn(usize, &Tcp) -> Result<(), GroupError> + Sync,
) -> Vec<GroupError> {
    ranks(size, change, |rank, group| group.and_then(|group| work(rank, &group)).unwrap_err())
}

#[test]
fn another_world_size_or_rank_ends_all_with_the_same_words() {
    let found = errors(3, |place| place.size = if place.rank == 2 { 4 } else { 3 }, |_, _| Ok(()));
    for error in &found {
        assert!(error.message.contains("rank 2 (host ") && error.message.contains("has world size 4"), "{error}");
        assert!(error.hint.contains("WORLD_SIZE"), "{error}");
    }
    let found = errors(3, |place| place.rank = place.rank.min(1), |_, _| Ok(()));
    for error in found {
        assert!(error.message.contains("rank 1 (host ") && error.message.contains("are both there"), "{error}");
    }
}

#[test]
fn other_settings_end_all() {
    let port = free_port();
    let found: Vec<_> = std::thread::scope(|scope| {
        let join = |rank: usize| {
            let settings = if rank == 1 { "batch 8" } else { "batch 4" };
            Tcp::join(&place(rank, 3, port), "g", &[("settings", settings.into())], &|| false).unwrap_err()
        };
        let running: Vec<_> = (0..3).map(|rank| scope.spawn(move || join(rank))).collect();
        running.into_iter().map(|rank| rank.join().unwrap()).collect()
    });
    for error in found {
        let text = error.to_string();
        assert!(
            text.contains("rank 1 (host ") && text.contains("settings batch 8") && text.contains("batch 4"),
            "{text}"
        );
    }
}

#[test]
fn ranks_that_do_different_things_are_told_apart() {
    let found = errors(
        3,
        |_| {},
        |rank, group| {
            group.barrier()?;
            if rank == 1 { group.sum(&mut [0.0; 2]) } else { group.sum(&mut [0.0; 3]) }?;
            group.barrier()
        },
    );
    for error in found {
        assert!(error.message.contains("operation 2, sum of"), "{error}");
        assert!(error.hint.contains("different things"), "{error}");
    }
}

#[test]
fn a_rank_that_fails_or_leaves_ends_all_with_its_reason() {
    let found = errors(
        3,
        |_| {},
        |rank, group| {
            if rank == 2 {
                group.abort("the loss is not finite at step 7", false);
            }
            group.sum(&mut vec![0.0; 100_000])
        },
    );
    for error in found {
        assert!(error.message.starts_with("rank 2 (host ") && error.message.contains("at step 7"), "{error}");
        assert!(!error.cancelled);
    }
    let found = ranks(
        3,
        |_| {},
        |rank, group| {
            let group = group.unwrap();
            if rank == 1 { None } else { Some(group.barrier().unwrap_err().to_string()) }
        },
    );
    for error in found.into_iter().flatten() {
        assert!(error.starts_with("rank 1 (host ") && error.contains("left before the end"), "{error}");
    }
}

#[test]
fn a_rank_that_lives_and_does_not_come_is_named() {
    let found = errors(
        3,
        |place| place.patience.wait = Duration::from_secs(1),
        |rank, group| {
            group.barrier()?;
            if rank == 1 {
                std::thread::sleep(Duration::from_secs(4));
            }
            group.barrier()
        },
    );
    for error in found {
        assert!(
            error.message.starts_with("rank 1 (host ") && error.message.contains("still at operation 1"),
            "{error}"
        );
    }
}

#[test]
fn who_does_not_come_is_named_with_those_who_were_turned_away() {
    let found = errors(
        3,
        |place| {
            place.patience.join = Duration::from_secs(2);
            if place.rank == 2 {
                place.token = Token::new("another");
            }
        },
        |_, _| Ok(()),
    );
    for error in &found[..2] {
        assert!(
            error.message.contains("of 3 ranks 2 came to 127.0.0.1:") && error.message.contains("missing: 2"),
            "{error}"
        );
        assert!(error.message.contains("turned away: 127.0.0.1: it does not know the token"), "{error}");
    }
    assert!(found[2].message.contains("rank 2 (host ") && found[2].message.contains("SKYSENSE_TOKEN"), "{}", found[2]);
    let mut late = place(1, 2, free_port());
    late.patience.join = Duration::from_millis(300);
    let error = Tcp::join(&late, "g", &[], &|| false).unwrap_err().to_string();
    assert!(error.contains("did not reach rank 0 at 127.0.0.1:") && error.contains("MASTER_PORT"), "{error}");
    assert!(Tcp::join(&late, "g", &[], &|| true).unwrap_err().cancelled);
}

#[test]
fn strangers_keep_nobody_out() {
    let port = free_port();
    let settings = [("settings", "x".to_string())];
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let group = Tcp::join(&place(0, 2, port), "g", &settings, &|| false).unwrap();
            group.barrier().unwrap();
            group.leave().unwrap();
        });
        let mut silent = None;
        for said in [
            &b""[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"SKYG\x02\xff\xff\xff\xff",
            b"SKYG\x02\x04\x00\x00\x00abcd",
            &[0; 4096],
        ] {
            let mut stranger = loop {
                match TcpStream::connect(("127.0.0.1", port)) {
                    Ok(stream) => break stream,
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            };
            stranger.write_all(said).unwrap();
            if said.is_empty() {
                silent = Some(stranger);
            } else {
                // It is closed on them, with no more than the challenge said.
                let mut heard = Vec::new();
                let _ = stranger.read_to_end(&mut heard);
                assert!(heard.len() <= 41, "{} bytes for a stranger", heard.len());
            }
        }
        let group = Tcp::join(&place(1, 2, port), "g", &settings, &|| false).unwrap();
        group.barrier().unwrap();
        group.leave().unwrap();
        first.join().unwrap();
        drop(silent);
    });
}

#[test]
fn one_alone_has_its_own() {
    let mut values = [1.0, 2.0];
    Alone.sum(&mut values).unwrap();
    Alone.agree("samples", "x", "").unwrap();
    assert_eq!((values, Alone.gather(b"a").unwrap(), Alone.size()), ([1.0, 2.0], vec![b"a".to_vec()], 1));
}
