//! Ports on interfaces that may go away and come back: a cable pulled out of a USB adapter, a veth whose other end's container was replaced.
//!
//! A thread of its own listens to what the kernel says about interfaces (rtnetlink(7)) and opens the interface of the same name as soon as there is one
//! again. Until then the port receives nothing, and what it is to send is dropped and counted. The worker only looks at a flag.

use std::fmt;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::sys::{check, interface_index, socket};
use super::{IoError, IoStats, PacketIo};
use crate::clock::Time;
use crate::packet::{Burst, Pool};
use crate::wake::{Wait, Wake};

/// What happened to an interface. Displays as a line for the log.
#[derive(Debug)]
pub enum PortEvent {
    /// It went away.
    Gone(String),
    /// It is back and in use.
    Back(String),
    /// It is back but cannot be opened. This is told once; it is tried again.
    Refused(String, IoError),
}

/// A port that outlives its interface.
pub struct Reopen<T> {
    port: Option<T>,
    /// Of the ports that were, and of the time without one.
    before: IoStats,
    place: Arc<Place<T>>,
    /// The port's descriptor and that which tells of changes.
    wait: Wait,
    _watcher: Arc<Watcher>,
}

impl<T: PacketIo + Send + 'static> Reopen<T> {
    /// Opens the ports of the interface `name` with `open`, now and whenever the interface came back; always as many of them. `report` is told what
    /// happens, on a thread of its own.
    ///
    /// # Errors
    /// Those of `open`, or [`IoError::System`].
    pub fn open(
        name: &str,
        mut open: impl FnMut() -> Result<Vec<T>, IoError> + Send + 'static,
        report: impl Fn(PortEvent) + Send + 'static,
    ) -> Result<Vec<Self>, IoError> {
        let failed = |error| IoError::System { what: format!("watch the network interface `{name}`"), error };
        // In this order, no change is missed.
        let news = News::open().map_err(failed)?;
        let index = interface_index(name);
        let ports = open()?;
        let index = index.map_err(failed)?;
        let places: Vec<_> =
            ports.iter().map(|_| Ok(Arc::new(Place::new()?))).collect::<io::Result<_>>().map_err(failed)?;
        let stop = news.stop.clone();
        let watch = Watch { name: name.to_owned(), index, news, open, report, places: places.clone() };
        let thread = std::thread::Builder::new()
            .name(format!("watch {name}"))
            .spawn(move || watch.run())
            .map_err(failed)?;
        let watcher = Arc::new(Watcher { stop, thread: Some(thread) });
        ports
            .into_iter()
            .zip(places)
            .map(|(port, place)| {
                let wait = Wait::new().map_err(failed)?;
                wait.add(place.wake.as_raw_fd()).map_err(failed)?;
                let watcher = watcher.clone();
                let mut this =
                    Self { port: None, before: IoStats::default(), place, wait, _watcher: watcher };
                this.take(port);
                Ok(this)
            })
            .collect()
    }

    /// The port, while there is an interface.
    pub fn port(&self) -> Option<&T> {
        self.port.as_ref()
    }

    /// Does what the watcher asks for.
    #[cold]
    fn change(&mut self) {
        self.place.wake.clear();
        self.place.changed.store(false, Ordering::Relaxed);
        let change = self.place.change.lock().unwrap_or_else(PoisonError::into_inner).take();
        match change {
            Some(Change::Gone) => {
                self.before.rx_errors += 1;
                self.retire();
            }
            Some(Change::Back(port)) => {
                self.retire();
                self.take(port);
            }
            None => {}
        }
    }

    fn take(&mut self, port: T) {
        if let Some(fd) = port.poll_fd()
            && self.wait.add(fd).is_err()
        {
            // Out of memory: it is then found by the worker's regular passes.
            self.before.rx_errors += 1;
        }
        self.port = Some(port);
    }

    fn retire(&mut self) {
        if let Some(port) = self.port.take() {
            self.before = self.before + port.stats();
        }
    }
}

impl<T: PacketIo + Send + 'static> PacketIo for Reopen<T> {
    #[inline]
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        if self.place.changed.load(Ordering::Relaxed) {
            self.change();
        }
        self.port.as_mut().map_or(0, |port| port.rx_burst(pool, out))
    }

    #[inline]
    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        match &mut self.port {
            Some(port) => port.tx_burst(burst),
            None => {
                let lost = burst.len();
                self.before.tx_errors += lost as u64;
                burst.clear();
                lost
            }
        }
    }

    fn poll_fd(&self) -> Option<RawFd> {
        Some(self.wait.as_raw_fd())
    }

    fn rx_ready(&self) -> bool {
        self.port.as_ref().is_some_and(T::rx_ready)
    }

    fn deadline(&self) -> Option<Time> {
        self.port.as_ref().and_then(T::deadline)
    }

    fn stats(&self) -> IoStats {
        self.port.as_ref().map_or(self.before, |port| self.before + port.stats())
    }
}

impl<T: fmt::Debug> fmt::Debug for Reopen<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reopen")
            .field("port", &self.port)
            .field("before", &self.before)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PortEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(name) => {
                write!(
                    f,
                    "the network interface `{name}` is gone; frames for it are dropped until it is back"
                )
            }
            Self::Back(name) => write!(f, "the network interface `{name}` is back and in use"),
            Self::Refused(name, error) => {
                write!(f, "the network interface `{name}` is back but cannot be used yet: {error}")
            }
        }
    }
}

/// Where the watcher leaves word for one port.
struct Place<T> {
    changed: AtomicBool,
    change: Mutex<Option<Change<T>>>,
    wake: Wake,
}

enum Change<T> {
    Gone,
    Back(T),
}

impl<T> Place<T> {
    fn new() -> io::Result<Self> {
        Ok(Self { changed: AtomicBool::new(false), change: Mutex::new(None), wake: Wake::new()? })
    }

    fn tell(&self, change: Change<T>) {
        *self.change.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
        self.changed.store(true, Ordering::Relaxed);
        self.wake.signal();
    }
}

/// Ends the watcher's thread with the last port.
struct Watcher {
    stop: Wake,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.signal();
        if let Some(thread) = self.thread.take() {
            // A panic there was shown there.
            let _ = thread.join();
        }
    }
}

/// The watcher, on its thread.
struct Watch<T, O, R> {
    name: String,
    /// Of the interface in use.
    index: libc::c_int,
    news: News,
    open: O,
    report: R,
    places: Vec<Arc<Place<T>>>,
}

impl<T, O, R> Watch<T, O, R>
where
    O: FnMut() -> Result<Vec<T>, IoError>,
    R: Fn(PortEvent),
{
    fn run(mut self) {
        loop {
            while exists(self.index) {
                if !self.news.wait(None) {
                    return;
                }
            }
            for place in &self.places {
                place.tell(Change::Gone);
            }
            (self.report)(PortEvent::Gone(self.name.clone()));
            if !self.await_return() {
                return;
            }
            (self.report)(PortEvent::Back(self.name.clone()));
        }
    }

    /// Opens the interface as soon as it is back. False if it is to stop before.
    fn await_return(&mut self) -> bool {
        let mut pause = FIRST_PAUSE;
        let mut refused = false;
        loop {
            // Without an interface, there is nothing to do before the next news.
            let mut timeout = None;
            if let Ok(index) = interface_index(&self.name) {
                match (self.open)() {
                    Ok(ports) => {
                        self.index = index;
                        for (place, port) in self.places.iter().zip(ports) {
                            place.tell(Change::Back(port));
                        }
                        return true;
                    }
                    Err(error) if !refused && !is_passing(&error) => {
                        refused = true;
                        (self.report)(PortEvent::Refused(self.name.clone(), error));
                    }
                    Err(_) => {}
                }
                timeout = Some(pause);
                pause = (2 * pause).min(LAST_PAUSE);
            }
            if !self.news.wait(timeout) {
                return false;
            }
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Whether an interface that just came may answer so until it was brought up.
fn is_passing(error: &IoError) -> bool {
    match error {
        IoError::NoSuchInterface(_) => true,
        IoError::System { error, .. } => error.raw_os_error() == Some(libc::ENETDOWN),
        _ => false,
    }
}

fn exists(index: libc::c_int) -> bool {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: there is room for as many octets as a name may have.
    !unsafe { libc::if_indextoname(index as libc::c_uint, name.as_mut_ptr()) }.is_null()
}

/// Tells that something changed about the interfaces of this network namespace. What it was is looked up, not read from the message.
struct News {
    socket: OwnedFd,
    stop: Wake,
}

impl News {
    fn open() -> io::Result<Self> {
        let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
        // SAFETY: all zeros is a valid address.
        let mut address: libc::sockaddr_nl = unsafe { zeroed() };
        address.nl_family = libc::AF_NETLINK as _;
        address.nl_groups = libc::RTMGRP_LINK as u32;
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: `len` octets are read from `address`.
        check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) })?;
        Ok(Self { socket, stop: Wake::new()? })
    }

    /// Waits for news, or until `timeout` is over. False if it is to stop.
    fn wait(&self, timeout: Option<Duration>) -> bool {
        let waited_for = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut descriptors = [waited_for(self.socket.as_raw_fd()), waited_for(self.stop.as_raw_fd())];
        let millis = timeout.map_or(-1, |t| i32::try_from(t.as_millis()).unwrap_or(i32::MAX));
        // SAFETY: the count is that of the array.
        unsafe { libc::poll(descriptors.as_mut_ptr(), descriptors.len() as _, millis) };
        let mut message = [0u8; 4096];
        loop {
            // SAFETY: as many octets are written as there is room for.
            let got = unsafe {
                libc::recv(
                    self.socket.as_raw_fd(),
                    message.as_mut_ptr().cast(),
                    message.len(),
                    libc::MSG_DONTWAIT,
                )
            };
            // That some were lost is news, too.
            let lost = || io::Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS);
            if got <= 0 && !lost() {
                break;
            }
        }
        descriptors[1].revents == 0
    }
}
