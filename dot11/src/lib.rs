//! IEEE 802.11 on the wire.
