//! The binary: sockets, threads, configuration, drivers between rooms.
