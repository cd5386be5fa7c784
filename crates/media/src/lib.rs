//! Sound: everything between an RTP packet and another RTP packet.
