//! Everything two processes of the project say to each other: the tunnel between radio and gateway
//! ([`tunnel`], CAPWAP's data channel), matchmaking, and, with the `grpc` feature, the generated gRPC code.

#[cfg(feature = "matchmaking")]
pub mod matchmaking;
pub mod tunnel;

/// First octets of datagrams that are matchmaking's. Those of the tunnel begin with 0 (RFC 5415 §4.1).
pub const MATCHMAKING: std::ops::RangeInclusive<u8> = 0x81..=0x8f;

/// Gateway and control: `ttg.gateway.v1`.
#[cfg(feature = "grpc")]
#[allow(missing_docs, reason = "generated; comments are in the .proto files")]
pub mod gateway {
    tonic::include_proto!("ttg.gateway.v1");
}

/// The operator's interface: `ttg.admin.v1`.
#[cfg(feature = "grpc")]
#[allow(missing_docs, reason = "generated; comments are in the .proto files")]
pub mod admin {
    tonic::include_proto!("ttg.admin.v1");
}

/// What control leaves with a gateway: `ttg.control.v1`.
#[cfg(feature = "grpc")]
#[allow(missing_docs, reason = "generated; comments are in the .proto files")]
pub mod control {
    tonic::include_proto!("ttg.control.v1");
}

/// The file descriptors of every package, for gRPC reflection.
#[cfg(feature = "grpc")]
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
