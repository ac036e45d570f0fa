//! Sleeping and waking a worker in epoll mode: an eventfd that others signal, and the set of descriptors a worker sleeps on.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// Wakes a sleeping worker from any thread (`eventfd(2)`). Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Wake {
    fd: Arc<OwnedFd>,
}

impl Wake {
    /// A new one, not signalled.
    ///
    /// # Errors
    /// The system's, when it is out of file descriptors or memory.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointer goes in.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        // SAFETY: the descriptor is new and ours.
        Ok(Self { fd: Arc::new(unsafe { OwnedFd::from_raw_fd(fd) }) })
    }

    /// Makes the descriptor readable until [`Wake::clear`].
    pub fn signal(&self) {
        let one = 1u64;
        // SAFETY: eight octets are read from `one`. The only failure is a full counter (EAGAIN), which is a signalled one.
        unsafe { libc::write(self.fd.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Takes the signal back; whether there was one.
    pub fn clear(&self) -> bool {
        let mut count = 0u64;
        // SAFETY: eight octets are written to `count`. The only failure is an unsignalled one (EAGAIN).
        unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), 8) == 8 }
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// The descriptors that a worker sleeps on (`epoll(7)`, level-triggered).
#[derive(Debug)]
pub struct Wait {
    epoll: OwnedFd,
}

impl Wait {
    /// A set without descriptors.
    ///
    /// # Errors
    /// The system's, when it is out of file descriptors or memory.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointer goes in.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is new and ours.
        Ok(Self { epoll: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Wakes from now on when `fd` is readable. The caller keeps `fd` open while it is in the set; closing it removes it.
    ///
    /// # Errors
    /// `fd` is not open, or cannot be waited for (a plain file), or is in the set already.
    pub fn add(&self, fd: RawFd) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: fd as u64 };
        // SAFETY: `event` is valid for the call.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) })
            .map(drop)
    }

    /// Sleeps until one of the descriptors is readable, a signal handler has run, or `timeout` (rounded up to milliseconds; `None`: for ever)
    /// is over. Whether a descriptor is readable.
    pub fn sleep(&self, timeout: Option<Duration>) -> bool {
        let millis =
            timeout.map_or(-1, |t| i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event is given.
        unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), &mut event, 1, millis) > 0 }
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Readable while one of the descriptors is.
impl AsRawFd for Wait {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_wakes_until_cleared() {
        let (wake, wait) = (Wake::new().unwrap(), Wait::new().unwrap());
        wait.add(wake.as_raw_fd()).unwrap();
        assert!(!wait.sleep(Some(Duration::ZERO)));
        wake.signal();
        wake.signal();
        assert!(wait.sleep(None) && wait.sleep(None));
        assert!(wake.clear());
        assert!(!wake.clear());
        assert!(!wait.sleep(Some(Duration::ZERO)));
    }

    #[test]
    fn a_signal_from_another_thread_wakes() {
        let (wake, wait) = (Wake::new().unwrap(), Wait::new().unwrap());
        wait.add(wake.as_raw_fd()).unwrap();
        let other = wake.clone();
        let thread = std::thread::spawn(move || other.signal());
        assert!(wait.sleep(None));
        thread.join().unwrap();
    }

    #[test]
    fn what_cannot_be_waited_for_is_refused() {
        let wait = Wait::new().unwrap();
        assert!(wait.add(-1).is_err());
    }
}
