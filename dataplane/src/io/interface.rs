//! What the kernel knows of a network interface.

use std::io;
use std::os::fd::AsRawFd;

use dot11::MacAddr;

use super::IoError;
use super::sys::{interface_ioctl, interface_request, socket};

/// A network interface of this network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Octets of the longest packet behind the Ethernet header.
    pub mtu: u32,
}

impl Interface {
    /// Looks an interface up.
    ///
    /// # Errors
    /// [`IoError::NoSuchInterface`], [`IoError::BadName`], or [`IoError::System`].
    pub fn find(name: &str) -> Result<Self, IoError> {
        let system = |error: io::Error| match error.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO) => IoError::NoSuchInterface(name.to_owned()),
            _ => IoError::System { what: format!("look at the network interface `{name}`"), error },
        };
        let fd = socket(libc::AF_INET, libc::SOCK_DGRAM, 0).map_err(system)?;
        let mut request = interface_request(name)?;
        interface_ioctl(fd.as_raw_fd(), libc::SIOCGIFHWADDR as _, &mut request).map_err(system)?;
        // SAFETY: the call that succeeded wrote this member of the union.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        let octets = address.sa_data.map(|octet| octet as u8);
        let mut request = interface_request(name)?;
        interface_ioctl(fd.as_raw_fd(), libc::SIOCGIFMTU as _, &mut request).map_err(system)?;
        // SAFETY: as above.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        Ok(Self {
            mac: MacAddr::from_slice(&octets).unwrap_or_default(),
            mtu: u32::try_from(mtu).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_everywhere_and_nothing_else_is_made_up() {
        let loopback = Interface::find("lo").unwrap();
        assert_eq!((loopback.mac, loopback.mtu), (MacAddr::ZERO, 65536));
        assert!(matches!(Interface::find("no-such"), Err(IoError::NoSuchInterface(_))));
        assert!(matches!(Interface::find("a b"), Err(IoError::BadName(_))));
    }
}
