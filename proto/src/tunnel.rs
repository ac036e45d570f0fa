//! The tunnel: CAPWAP data header (RFC 5415) with the 802.11 binding (RFC 5416).
