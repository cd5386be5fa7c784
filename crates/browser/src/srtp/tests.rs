//! Published SRTP vectors and the window.
