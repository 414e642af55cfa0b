//! The `skysense` command.

fn main() {}
