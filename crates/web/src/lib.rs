//! The HTTP and WebSocket edge: widget, consoles, API.
