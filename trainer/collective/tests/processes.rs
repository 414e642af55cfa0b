//! Ranks as processes of their own that are killed and stopped: the others end, and say who failed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use skysense_collective::{Group, Place, Tcp};
use support::free_port;

#[test]
#[ignore = "a rank, started by the other tests"]
fn rank() {
    let place = Place::of_process().unwrap().expect("started with the environment of a rank");
    let group = Tcp::join(&place, "test", &[], &|| false).unwrap();
    group.barrier().unwrap();
    println!("rank {} is in", place.rank);
    let mut values = vec![1.0; 200_000];
    let error = loop {
        if let Err(error) = group.sum(&mut values) {
            break error;
        }
    };
    println!("rank {} ends: {error}", place.rank);
}

/// Starts the ranks of a group as processes.
fn start(size: usize) -> Vec<Child> {
    let port = free_port().to_string();
    let one = |rank: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "rank", "--nocapture"])
            .envs([("RANK", rank.to_string()), ("WORLD_SIZE", size.to_string())])
            .envs([("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", &port), ("SKYSENSE_SILENCE_SECONDS", "2")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    (0..size).map(one).collect()
}

/// Sends one rank a signal while all add, and gives what the others say at their end.
fn after(signal: &str, victim: usize) -> Vec<String> {
    let mut ranks = start(3);
    let mut said: Vec<_> = ranks.iter_mut().map(|rank| BufReader::new(rank.stdout.take().unwrap()).lines()).collect();
    let mut find = |rank: usize, part: &str| said[rank].by_ref().map_while(Result::ok).find(|line| line.contains(part));
    for rank in 0..3 {
        find(rank, "is in").unwrap();
    }
    let process = ranks[victim].id().to_string();
    assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    let others = (0..3).filter(|rank| *rank != victim);
    let ends = others.map(|rank| find(rank, "ends: ").expect("it says why it ends")).collect();
    ranks[victim].kill().unwrap();
    for mut rank in ranks {
        rank.wait().unwrap();
    }
    ends
}

#[test]
fn a_killed_rank_ends_all() {
    for victim in [0, 2] {
        for end in after("-KILL", victim) {
            assert!(end.contains(&format!("ends: rank {victim} (host ")), "{end}");
            assert!(end.contains("ended without a word") && end.contains("start all ranks again"), "{end}");
        }
    }
}

#[test]
fn a_stopped_rank_ends_all() {
    for victim in [0, 1] {
        for end in after("-STOP", victim) {
            assert!(end.contains(&format!("nothing was heard of rank {victim} (host ")), "{end}");
        }
    }
}
