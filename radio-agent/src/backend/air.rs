//! Simulated air: a Unix SOCK_SEQPACKET socket that simulated devices connect to. Every message, either way, is one
//! radiotap header and one 802.11 frame without FCS. What the agent transmits, beacons included, reaches every device.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dot11::{MacAddr, radiotap};
use proto::tunnel::FrameInfo;

use super::{Backend, BackendError, MAX_MESSAGE, ROUND, reception};
use crate::agent::{Station, Template};
use crate::config::Channel;
use crate::sys;

/// Devices at once.
const MAX_DEVICES: usize = 256;

/// What devices see: 6 Mbit/s at -40 dBm.
const RATE: u8 = 12;
const SIGNAL: i8 = -40;

#[derive(Debug)]
struct Beaconing {
    bss: usize,
    template: Template,
    next: Duration,
    count: u64,
}

#[derive(Debug)]
pub(super) struct Air {
    listener: OwnedFd,
    path: PathBuf,
    radio: Option<MacAddr>,
    header: [u8; 15],
    devices: Vec<OwnedFd>,
    open: Vec<Beaconing>,
    buffer: Vec<u8>,
}

impl Air {
    pub(super) fn listen(path: &Path, channel: Channel, radio: Option<MacAddr>) -> Result<Air, BackendError> {
        let what = || format!("listen for simulated devices at {}", path.display());
        // A daemon may change its directory; the path must still be the same file at the end.
        let path = &std::path::absolute(path).map_err(|error| BackendError::new(what(), error, ""))?;
        let is_socket = path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket());
        if is_socket && !sys::is_served(path) {
            // Left over from an agent that was killed.
            let _ = std::fs::remove_file(path);
        }
        let listener = sys::listen_seqpacket(path).map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    "Another agent serves that socket, or the file is no socket: choose another path."
                }
                io::ErrorKind::NotFound => "Make its directory, or choose another path.",
                _ => "Choose a path that this user may write.",
            };
            BackendError::new(what(), error, advice)
        })?;
        let header = radiotap::rx_header(RATE, channel.frequency() as u16, SIGNAL);
        let (devices, open, buffer) = (Vec::new(), Vec::new(), vec![0; MAX_MESSAGE]);
        Ok(Air { listener, path: path.clone(), radio, header, devices, open, buffer })
    }
}

impl Backend for Air {
    fn radio(&self) -> Option<MacAddr> {
        self.radio
    }

    fn poll_fds(&self, fds: &mut Vec<libc::pollfd>) {
        fds.push(sys::pollfd(&self.listener));
        fds.extend(self.devices.iter().map(sys::pollfd));
    }

    fn receive(&mut self, heard: &mut dyn FnMut(&[u8], FrameInfo)) -> Result<(), BackendError> {
        let failed = |error| BackendError::new("accept simulated devices", error, "");
        while let Some(device) = sys::accept(&self.listener).map_err(failed)? {
            if self.devices.len() < MAX_DEVICES {
                self.devices.push(device);
            }
        }
        let buffer = &mut self.buffer;
        self.devices.retain(|device| {
            for _ in 0..ROUND {
                match sys::receive(device, buffer, false) {
                    Ok(None) => return true,
                    // The end of the connection; an empty message looks the same and is none.
                    Ok(Some(0)) | Err(_) => return false,
                    Ok(Some(len)) => {
                        if let Some((frame, info)) = buffer.get(..len).and_then(reception) {
                            heard(frame, info);
                        }
                    }
                }
            }
            true
        });
        Ok(())
    }

    fn open(&mut self, bss: usize, template: &Template, now: Duration) -> Result<(), BackendError> {
        self.open.retain(|open| open.bss != bss);
        self.open.push(Beaconing { bss, template: template.clone(), next: now, count: 0 });
        Ok(())
    }

    /// From the next beacon on.
    fn update(&mut self, bss: usize, template: &Template) -> Result<(), BackendError> {
        let open = self.open.iter_mut().filter(|open| open.bss == bss);
        open.for_each(|open| open.template = template.clone());
        Ok(())
    }

    fn close(&mut self, bss: usize) -> Result<(), BackendError> {
        self.open.retain(|open| open.bss != bss);
        Ok(())
    }

    fn inject(&mut self, frame: &[u8]) -> Result<(), BackendError> {
        transmit(&self.devices, &self.header, frame);
        Ok(())
    }

    /// Simulated devices do not sleep.
    fn add_station(&mut self, _bss: usize, _station: &Station) -> Result<(), BackendError> {
        Ok(())
    }

    fn remove_station(&mut self, _bss: usize, _address: MacAddr) -> Result<(), BackendError> {
        Ok(())
    }

    fn deadline(&self) -> Option<Duration> {
        // Without anybody to hear it, a beacon need not wake us.
        self.open.iter().filter(|_| !self.devices.is_empty()).map(|open| open.next).min()
    }

    fn timeout(&mut self, now: Duration) {
        for open in &mut self.open {
            if open.next > now {
                continue;
            }
            let beacon = open.template.beacon(now.as_micros() as u64, open.count);
            transmit(&self.devices, &self.header, &beacon);
            let interval = Duration::from_micros(u64::from(open.template.interval()) * 1024);
            open.count += 1;
            // Beacons that are late are not caught up with.
            open.next = if open.next + interval > now { open.next + interval } else { now + interval };
        }
    }
}

impl Drop for Air {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A device whose queue is full misses the frame, as on real air.
fn transmit(devices: &[OwnedFd], header: &[u8], frame: &[u8]) {
    for device in devices {
        let _ = sys::send(device, &[header, frame]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beacon_changes_without_a_new_opening() {
        let directory = tempfile::tempdir().unwrap();
        let channel = Channel::new(6).unwrap();
        let mut air = Air::listen(&directory.path().join("air"), channel, None).unwrap();
        let of = |name: u8| {
            Template::offered(
                MacAddr([2, 0, 0, 0, 0, 1]),
                &[0, 1, name, 221, 4, 1, 2, 3, name],
                channel,
                false,
            )
        };
        let (one, two) = (of(b'1').unwrap(), of(b'2').unwrap());
        air.open(0, &one, Duration::ZERO).unwrap();
        air.open(1, &one, Duration::ZERO).unwrap();
        let next = Duration::from_micros(102_400);
        air.timeout(Duration::ZERO);
        air.update(1, &two).unwrap();
        let now: Vec<_> = air.open.iter().map(|open| (&open.template, open.next, open.count)).collect();
        assert_eq!(now, [(&one, next, 1), (&two, next, 1)]);
        air.close(1).unwrap();
        air.update(1, &one).unwrap();
        assert_eq!(air.open.len(), 1, "what is not open does not open");
    }
}
