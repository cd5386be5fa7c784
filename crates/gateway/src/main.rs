//! `passerelle`: the command line.

fn main() {}
