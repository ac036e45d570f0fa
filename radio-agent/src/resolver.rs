//! Looks up gateways by name without keeping the agent waiting: one short-lived thread per look-up.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::sys;

/// The look-ups under way.
#[derive(Debug)]
pub(crate) struct Resolver {
    shared: Arc<Shared>,
    ipv6: bool,
}

#[derive(Debug)]
struct Shared {
    wake: OwnedFd,
    found: Mutex<Vec<Found>>,
}

/// The end of a look-up.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) bss: usize,
    pub(crate) host: String,
    pub(crate) address: io::Result<SocketAddr>,
}

impl Resolver {
    /// Gives IPv6 addresses only if `ipv6`.
    pub(crate) fn new(ipv6: bool) -> io::Result<Resolver> {
        let shared = Shared { wake: sys::eventfd()?, found: Mutex::default() };
        Ok(Resolver { shared: Arc::new(shared), ipv6 })
    }

    /// Begins to look up; gives at once what needs no looking up.
    pub(crate) fn start(&self, bss: usize, host: &str, port: u16) -> Option<Found> {
        let host = host.to_owned();
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Found { bss, host, address: self.choose([SocketAddr::from((address, port))]) });
        }
        let resolver = Resolver { shared: Arc::clone(&self.shared), ipv6: self.ipv6 };
        let name = host.clone();
        let look_up = move || {
            let address = (host.as_str(), port).to_socket_addrs().and_then(|found| resolver.choose(found));
            resolver.found().push(Found { bss, host, address });
            sys::wake(resolver.shared.wake.as_fd());
        };
        match thread::Builder::new().stack_size(128 << 10).spawn(look_up) {
            Ok(_) => None,
            Err(error) => Some(Found { bss, host: name, address: Err(error) }),
        }
    }

    /// Ready when something is found.
    pub(crate) fn pollfd(&self) -> libc::pollfd {
        sys::pollfd(&self.shared.wake)
    }

    /// What was found since.
    pub(crate) fn take(&self) -> Vec<Found> {
        sys::clear(&self.shared.wake);
        std::mem::take(&mut *self.found())
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Vec<Found>> {
        self.shared.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn choose(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<SocketAddr> {
        let mut usable = addresses.into_iter().filter(|address| address.is_ipv4() || self.ipv6);
        usable.next().ok_or_else(|| io::Error::other("no address that this machine can send to"))
    }
}
