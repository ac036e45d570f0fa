//! Looks up gateways and matchmakers by name without keeping the agent waiting: one short-lived thread per look-up.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::sys;

/// Addresses of one name; the rest is not tried.
const MAX_ADDRESSES: usize = 16;

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

/// Whose address is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// That of the gateway of a BSS.
    Gateway(usize),
    /// That of the matchmaker.
    Matchmaker,
}

/// The end of a look-up.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) whose: Whose,
    pub(crate) host: String,
    /// At least one.
    pub(crate) addresses: io::Result<Vec<SocketAddr>>,
}

impl Resolver {
    /// Gives IPv6 addresses only if `ipv6`.
    pub(crate) fn new(ipv6: bool) -> io::Result<Resolver> {
        let shared = Shared { wake: sys::eventfd()?, found: Mutex::default() };
        Ok(Resolver { shared: Arc::new(shared), ipv6 })
    }

    /// Begins to look up; gives at once what needs no looking up.
    pub(crate) fn start(&self, whose: Whose, host: &str, port: u16) -> Option<Found> {
        let host = host.to_owned();
        if let Ok(address) = host.parse::<IpAddr>() {
            let addresses = self.choose([SocketAddr::from((address, port))]);
            return Some(Found { whose, host, addresses });
        }
        let resolver = Resolver { shared: Arc::clone(&self.shared), ipv6: self.ipv6 };
        let name = host.clone();
        let look_up = move || {
            let addresses = (host.as_str(), port).to_socket_addrs().and_then(|found| resolver.choose(found));
            resolver.found().push(Found { whose, host, addresses });
            sys::wake(resolver.shared.wake.as_fd());
        };
        match thread::Builder::new().stack_size(128 << 10).spawn(look_up) {
            Ok(_) => None,
            Err(error) => Some(Found { whose, host: name, addresses: Err(error) }),
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

    fn choose(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
        let usable = addresses.into_iter().filter(|address| address.is_ipv4() || self.ipv6);
        let usable: Vec<_> = usable.take(MAX_ADDRESSES).collect();
        if usable.is_empty() {
            return Err(io::Error::other("no address that this machine can send to"));
        }
        Ok(usable)
    }
}
