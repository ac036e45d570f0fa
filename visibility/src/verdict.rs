//! Verdicts, and how people read them.

use std::fmt;
use std::time::Duration;

/// Whether a network is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Show,
    /// Not before this moment, if all stays as it is.
    Later(Duration, Wait),
    /// It is not, and time alone does not change that.
    No(Reason),
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// How long the device has been near.
    pub near: Duration,
    /// How long it must have been.
    pub demanded: Duration,
    /// Part of it is for steering it to another band.
    pub steering: bool,
}

/// Why a network is not shown, a device is sent away or a probe request is not answered: found, and demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The client's own network is near.
    Home,
    /// So many clients, of at most so many.
    Clients(u32, u32),
    /// Signal, in dBm.
    Signal(i8, i8),
    /// The signal is not known.
    SignalUnknown(i8),
    /// Radios in ten minutes, of at most so many.
    Mobility(u32, u32),
    /// Spare capacity from the device, in kbit/s.
    Up(u32, u32),
    /// It is not known.
    UpUnknown(u32),
    /// Spare capacity towards the device, in kbit/s.
    Down(u32, u32),
    /// It is not known.
    DownUnknown(u32),
    /// The network is hidden, and the probe request does not name it.
    Hidden,
}

/// What becomes of a connected device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// It stays.
    Stay,
    /// It is sent away.
    Kick(Reason),
}

/// What becomes of a probe request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It is answered.
    Answer,
    /// It is not.
    Suppress(Reason),
}

/// Whether a network that is shown may be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dwell {
    /// It may.
    Over,
    /// Not before this moment.
    Until(Duration),
}

/// A verdict with the binding that brought it about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Because(pub Verdict, pub u64);

impl Verdict {
    /// With the binding that brought it about.
    pub fn because(self, binding: u64) -> Because {
        Because(self, binding)
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Verdict::Show => write!(f, "shown because binding {}", self.1),
            verdict => write!(f, "binding {}, {verdict}", self.1),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Show => f.write_str("shown"),
            Verdict::Later(_, wait) => write!(f, "not yet shown because {wait}"),
            Verdict::No(reason) => write!(f, "not shown because {reason}"),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (near, demanded) = (self.near.as_millis(), self.demanded.as_millis());
        write!(f, "near for {near} ms < {demanded} ms")?;
        if self.steering { f.write_str(" (the device can do another band)") } else { Ok(()) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Reason::Home => f.write_str("the client's own network is near"),
            Reason::Clients(found, most) => write!(f, "{found} clients \u{2265} {most}"),
            Reason::Signal(found, least) => write!(f, "{} < {}", Dbm(found), Dbm(least)),
            Reason::SignalUnknown(least) => write!(f, "signal unknown, demanded {}", Dbm(least)),
            Reason::Mobility(found, most) => write!(f, "{found} radios in 10 minutes > {most}"),
            Reason::Up(found, least) => write!(f, "{found} kbit/s up < {least} kbit/s"),
            Reason::UpUnknown(least) => write!(f, "capacity up unknown, demanded {least} kbit/s"),
            Reason::Down(found, least) => write!(f, "{found} kbit/s down < {least} kbit/s"),
            Reason::DownUnknown(least) => write!(f, "capacity down unknown, demanded {least} kbit/s"),
            Reason::Hidden => f.write_str("the network is hidden and the request does not name it"),
        }
    }
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stay::Stay => f.write_str("stays"),
            Stay::Kick(reason) => write!(f, "sent away because {reason}"),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probe::Answer => f.write_str("answered"),
            Probe::Suppress(reason) => write!(f, "not answered because {reason}"),
        }
    }
}

/// With a minus sign, as people write it.
struct Dbm(i8);

impl fmt::Display for Dbm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "\u{2212}" } else { "" };
        write!(f, "{sign}{} dBm", self.0.unsigned_abs())
    }
}
