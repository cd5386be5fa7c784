//! The WebRTC leg, sans-I/O: ICE-lite, DTLS, SRTP and its SDP.
