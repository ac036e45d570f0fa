//! Bounded rings between threads, and the bell that says there is something in one.
//!
//! All rings are single-producer single-consumer. What a full ring means is the sender's to say: a [`Sender`] (commands) queues behind it and
//! loses nothing, an [`Outbox`] (events) drops what may be dropped, a hand-off ([`crate::handoff`]) drops.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst, fence};

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::wake::Wake;

/// Wakes one sleeper, with a system call only if it sleeps.
///
/// The sleeper calls [`Bell::arm`], then looks whether there is something to do after all, then sleeps on the descriptor. Whoever
/// gives it something to do calls [`Bell::ring`] afterwards.
#[derive(Clone, Debug)]
pub struct Bell {
    wake: Wake,
    armed: Arc<AtomicBool>,
}

impl Bell {
    /// A bell that nobody listens to yet.
    ///
    /// # Errors
    /// The system's, when it is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self { wake: Wake::new()?, armed: Arc::new(AtomicBool::new(false)) })
    }

    /// Makes the descriptor readable if the sleeper is about to sleep or asleep.
    pub fn ring(&self) {
        // With the fence in `arm`: either the sleeper's second look sees what was put in before this call, or this load sees the bell armed.
        fence(SeqCst);
        if self.armed.load(SeqCst) && self.armed.swap(false, SeqCst) {
            self.wake.signal();
        }
    }

    /// For the sleeper: forgets earlier rings and listens from now on.
    pub fn arm(&self) {
        self.wake.clear();
        self.armed.store(true, SeqCst);
        fence(SeqCst);
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

/// A ring of `capacity` that loses nothing: what does not fit waits in the sender.
pub fn lossless<T>(capacity: usize, bell: Bell) -> (Sender<T>, Receiver<T>) {
    let (producer, consumer) = RingBuffer::new(capacity);
    let starved = Arc::new(AtomicBool::new(false));
    (
        Sender { producer, backlog: VecDeque::new(), bell, starved: starved.clone() },
        Receiver { consumer, starved },
    )
}

/// The sending end of [`lossless`].
pub struct Sender<T> {
    producer: Producer<T>,
    backlog: VecDeque<T>,
    bell: Bell,
    starved: Arc<AtomicBool>,
}

impl<T> Sender<T> {
    /// Sends behind everything sent before.
    pub fn send(&mut self, message: T) {
        self.backlog.push_back(message);
        self.flush();
    }

    /// Moves what waits into the ring as far as it has room; whether nothing waits any more.
    pub fn flush(&mut self) -> bool {
        let mut moved = false;
        loop {
            while let Some(message) = self.backlog.pop_front() {
                if let Err(PushError::Full(message)) = self.producer.push(message) {
                    self.backlog.push_front(message);
                    break;
                }
                moved = true;
            }
            self.starved.store(!self.backlog.is_empty(), SeqCst);
            // A receiver that emptied the ring before it saw `starved` would never ask for more. With the fence in `sender_waits`, it
            // either sees it or has made room that is seen here.
            fence(SeqCst);
            if self.backlog.is_empty() || self.producer.is_full() {
                break;
            }
        }
        if moved {
            self.bell.ring();
        }
        // A flood of messages, as when a million sessions are adopted, is no reason to keep its memory.
        if self.backlog.is_empty() && self.backlog.capacity() > KEPT {
            self.backlog.shrink_to(KEPT);
        }
        self.backlog.is_empty()
    }

    /// Messages that wait in front of the ring.
    pub fn backlog(&self) -> usize {
        self.backlog.len()
    }
}

/// Messages whose room in front of a ring is kept when nothing waits.
const KEPT: usize = 1024;

/// The receiving end of [`lossless`].
pub struct Receiver<T> {
    consumer: Consumer<T>,
    starved: Arc<AtomicBool>,
}

impl<T> Receiver<T> {
    /// The next message.
    #[inline]
    pub fn receive(&mut self) -> Option<T> {
        self.consumer.pop().ok()
    }

    /// Whether the ring is empty.
    pub fn is_empty(&self) -> bool {
        self.consumer.is_empty()
    }

    /// Whether the sender has more than the ring holds and wants to be woken to [`Sender::flush`].
    pub fn sender_waits(&self) -> bool {
        fence(SeqCst);
        self.starved.load(SeqCst)
    }

    /// Whether the sender is gone and everything was received.
    pub fn is_closed(&self) -> bool {
        self.consumer.is_abandoned() && self.consumer.is_empty()
    }
}

/// The sending end of an event ring: some messages may be dropped when the receiver is behind, others must not.
///
/// Both kinds keep their common order. Droppable ones ([`Outbox::offer`]) never wait for more than the ring and `capacity` others.
pub struct Outbox<T> {
    producer: Producer<T>,
    waiting: VecDeque<T>,
    capacity: usize,
    bell: Bell,
    sent: bool,
}

impl<T> Outbox<T> {
    /// A ring of `capacity` events and room for as many to wait in front of it.
    pub fn new(capacity: usize, bell: Bell) -> (Self, Consumer<T>) {
        let (producer, consumer) = RingBuffer::new(capacity);
        (Self { producer, waiting: VecDeque::with_capacity(capacity), capacity, bell, sent: false }, consumer)
    }

    /// Sends, or gives the message back if the receiver is too far behind.
    #[inline]
    pub fn offer(&mut self, message: T) -> Result<(), T> {
        if self.waiting.is_empty() {
            match self.producer.push(message) {
                Ok(()) => {
                    self.sent = true;
                    return Ok(());
                }
                Err(PushError::Full(message)) => return Err(message),
            }
        }
        if self.waiting.len() >= self.capacity {
            return Err(message);
        }
        self.waiting.push_back(message);
        Ok(())
    }

    /// Whether [`Outbox::offer`] would take a message now.
    #[inline]
    pub fn has_room(&self) -> bool {
        if self.waiting.is_empty() { !self.producer.is_full() } else { self.waiting.len() < self.capacity }
    }

    /// Sends for certain, however long it has to wait.
    pub fn send(&mut self, message: T) {
        if self.waiting.is_empty() {
            match self.producer.push(message) {
                Ok(()) => self.sent = true,
                Err(PushError::Full(message)) => self.waiting.push_back(message),
            }
        } else {
            self.waiting.push_back(message);
        }
    }

    /// Messages that can be sent now without waiting.
    pub fn room(&self) -> usize {
        if self.waiting.is_empty() { self.producer.slots() } else { 0 }
    }

    /// Moves what waits into the ring, and rings the bell if something was sent since the last call. Once per pass.
    pub fn flush(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            if let Err(PushError::Full(message)) = self.producer.push(message) {
                self.waiting.push_front(message);
                break;
            }
            self.sent = true;
        }
        if std::mem::take(&mut self.sent) {
            self.bell.ring();
        }
    }

    /// Whether messages wait for room in the ring.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Rings the receiver's bell for another reason than an event.
    pub fn nudge(&self) {
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake::Wait;
    use std::time::Duration;

    #[test]
    fn a_lossless_ring_keeps_order_and_loses_nothing() {
        let (mut sender, mut receiver) = lossless(4, Bell::new().unwrap());
        (0..10).for_each(|i| sender.send(i));
        assert_eq!(sender.backlog(), 6);
        assert!(receiver.sender_waits());
        let mut got = Vec::new();
        while got.len() < 10 {
            while let Some(i) = receiver.receive() {
                got.push(i);
            }
            sender.flush();
        }
        assert_eq!(got, (0..10).collect::<Vec<_>>());
        assert!(!receiver.sender_waits() && receiver.is_empty() && !receiver.is_closed());
        drop(sender);
        assert!(receiver.is_closed());
    }

    #[test]
    fn an_outbox_drops_only_what_may_be_dropped() {
        let (mut outbox, mut consumer) = Outbox::new(2, Bell::new().unwrap());
        assert_eq!(outbox.room(), 2);
        outbox.send(1);
        assert_eq!(outbox.offer(2), Ok(()));
        assert_eq!(outbox.offer(3), Err(3));
        outbox.send(4);
        assert_eq!(outbox.offer(5), Ok(()), "it may wait behind one that must be sent");
        outbox.send(6);
        assert_eq!(outbox.offer(7), Err(7));
        assert!(outbox.is_waiting() && outbox.room() == 0);
        let mut got = Vec::new();
        while got.len() < 5 {
            while let Ok(i) = consumer.pop() {
                got.push(i);
            }
            outbox.flush();
        }
        assert_eq!(got, [1, 2, 4, 5, 6]);
    }

    #[test]
    fn a_bell_rings_once_per_arming() {
        let bell = Bell::new().unwrap();
        let wait = Wait::new().unwrap();
        wait.add(bell.as_raw_fd()).unwrap();
        bell.ring();
        assert!(!wait.sleep(Some(Duration::ZERO)), "nobody listens");
        bell.arm();
        bell.ring();
        assert!(wait.sleep(None));
        bell.arm();
        assert!(!wait.sleep(Some(Duration::ZERO)), "arming forgets");
    }

    /// Both ends sleep whenever they can: a wake-up that got lost would show as a sleep that lasts until its time-out.
    #[test]
    fn no_wake_up_is_lost_between_threads() {
        const MESSAGES: u32 = 20_000;
        const LONG: Duration = Duration::from_secs(30);
        let (to_receiver, to_sender) = (Bell::new().unwrap(), Bell::new().unwrap());
        let (mut sender, mut receiver) = lossless(4, to_receiver.clone());
        let room = to_sender.clone();
        let thread = std::thread::spawn(move || {
            let wait = Wait::new().unwrap();
            wait.add(to_receiver.as_raw_fd()).unwrap();
            let mut next = 0;
            while next < MESSAGES {
                let before = next;
                while let Some(message) = receiver.receive() {
                    assert_eq!(message, next);
                    next += 1;
                }
                if next > before && receiver.sender_waits() {
                    room.ring();
                }
                to_receiver.arm();
                if receiver.is_empty() && next < MESSAGES {
                    assert!(wait.sleep(Some(LONG)), "asleep although there was something to receive");
                }
            }
        });
        let wait = Wait::new().unwrap();
        wait.add(to_sender.as_raw_fd()).unwrap();
        for message in 0..MESSAGES {
            sender.send(message);
            while sender.backlog() > 3 {
                to_sender.arm();
                if !sender.flush() && sender.backlog() > 3 {
                    assert!(wait.sleep(Some(LONG)), "asleep although there was room");
                }
            }
        }
        while !sender.flush() {
            std::thread::yield_now();
        }
        thread.join().unwrap();
    }
}
