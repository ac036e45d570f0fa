//! What AF_XDP ports have of their own.
