//! The names this crate takes from `dot11`.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// An IEEE 802 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MacAddr(pub [u8; 6]);

/// An AKM suite type, 00-0F-AC:n.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Akm {
    /// 802.1X, SHA-1.
    Ieee8021x = 1,
    /// Pre-shared key, SHA-1.
    Psk = 2,
    /// 802.1X, SHA-256.
    Ieee8021xSha256 = 5,
    /// Pre-shared key, SHA-256.
    PskSha256 = 6,
}

/// Pairwise master key.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Pmk(pub [u8; 32]);

/// Temporal key, CCMP-128.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Tk(pub [u8; 16]);

/// Group temporal key, CCMP-128.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Gtk(pub [u8; 16]);

/// Status code, 802.11-2020 §9.4.1.9.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StatusCode(pub u16);

/// Reason code, 802.11-2020 §9.4.1.7.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReasonCode(pub u16);

macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}
redacted!(Pmk, Tk, Gtk);
