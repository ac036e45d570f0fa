//! Data plane of the gateway: packets, packet I/O, and what is done to packets between one I/O and the next.

pub mod capture;
pub mod clock;
pub mod io;
pub mod packet;
pub mod pin;
pub mod wake;
