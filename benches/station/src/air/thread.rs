//! One device on the air, driven by a thread of its own.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Air, DeviceId, Place};
use crate::device::{Command, Device, Event};

/// A device that a thread drives. The thread ends when this is dropped.
pub struct Handle {
    /// `None` tells the thread to end.
    commands: Option<Sender<Command>>,
    events: Receiver<Event>,
    wake: UnixStream,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// Brings a device onto the air of the agent at `path` and starts a thread that drives it.
///
/// # Errors
/// Nobody listens at the path, or the system gives no thread.
pub fn spawn(path: &Path, device: Device, place: Place) -> io::Result<Handle> {
    let mut air = Air::new(path);
    let id = air.add(device, place)?;
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    air.wake = Some(woken);
    let (commands, to_do) = mpsc::channel();
    let (told, events) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("station".into())
        .spawn(move || drive(&mut air, id, &to_do, &told))?;
    Ok(Handle { commands: Some(commands), events, wake, thread: Some(thread) })
}

impl Handle {
    /// Tells the device to do something. False if its thread has ended.
    pub fn command(&self, command: Command) -> bool {
        let taken = self.commands.as_ref().is_some_and(|commands| commands.send(command).is_ok());
        // A full pipe wakes the thread as well.
        let _ = (&self.wake).write(&[0]);
        taken
    }

    /// The device's events, in order.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// The first event that `wanted` likes, those before it being thrown away; `None` if there is none within
    /// `timeout`.
    pub fn wait_for(&self, timeout: Duration, mut wanted: impl FnMut(&Event) -> bool) -> Option<Event> {
        let until = Instant::now() + timeout;
        loop {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) if wanted(&event) => return Some(event),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Ends the thread.
    ///
    /// # Errors
    /// What had ended it before, if anything.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.commands = None;
        let _ = (&self.wake).write(&[0]);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the device's thread panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn drive(air: &mut Air, id: DeviceId, to_do: &Receiver<Command>, told: &Sender<Event>) -> io::Result<()> {
    loop {
        loop {
            match to_do.try_recv() {
                Ok(command) => air.command(id, command),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        for (_, event) in air.poll(None)? {
            // The handle keeps the receiver until this thread has ended.
            let _ = told.send(event);
        }
    }
}
