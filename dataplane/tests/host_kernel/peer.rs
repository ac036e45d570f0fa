//! A host that runs on one end of a link, echoes datagrams, and records what it sees; and another network namespace.

use std::cell::RefCell;
use std::fs::File;
use std::io::BufWriter;
use std::os::fd::RawFd;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dataplane::capture::{LinkType, PcapWriter, Resolution};
use dataplane::clock::{Time, unix_nanos};
use dataplane::endpoint::Endpoint;
use dataplane::io::af_packet::AfPacketIo;
use dataplane::io::host::{Host, HostConfig, HostCounter, HostIo, HostStats};
use dataplane::io::{IoStats, PacketIo};
use dataplane::packet::{BURST, Burst, Pool, PoolConfig};
use dataplane::wake::{Wait, Wake};
use dot11::MacAddr;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The host's Ethernet address: not the interface's, so that the kernel does not feel addressed.
pub const US: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x10]);

/// What to do between two looks at the port.
type Order = Box<dyn FnOnce(&mut HostIo<Recorded<AfPacketIo>>, &Pool) + Send>;

/// The host, in a thread of its own.
pub struct Running {
    orders: Sender<Option<Order>>,
    wake: Arc<Wake>,
    host: Arc<Host>,
    thread: Option<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Running {
    /// On an interface of this thread's namespace. Every datagram goes back to where it came from.
    pub fn start(interface: &str, config: HostConfig) -> Self {
        let host = Arc::new(Host::new(config).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let (orders, received) = channel();
        let wake = Arc::new(Wake::new().unwrap());
        let port = AfPacketIo::open(interface).unwrap();
        let (path, shared, bell) = (folder.path().join("host.pcap"), host.clone(), wake.clone());
        let thread = std::thread::spawn(move || {
            let pool = Pool::new(PoolConfig { packets: 512, buffer: 4096, headroom: 128 });
            let io = HostIo::new(Recorded::new(port, &path), shared, 0, pool.clone());
            serve(io, &pool, &received, &bell);
        });
        Self { orders, wake, host, thread: Some(thread), folder }
    }

    /// Does something with the host, in its thread.
    pub fn with<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut HostIo<Recorded<AfPacketIo>>, &Pool) -> T + Send + 'static,
    ) -> T {
        let (answer, answers) = channel();
        let order: Order = Box::new(move |io, pool| drop(answer.send(what(io, pool))));
        self.orders.send(Some(order)).unwrap();
        self.wake.signal();
        answers.recv_timeout(PATIENCE).expect("the host goes on")
    }

    pub fn send(&self, to: Endpoint, data: Vec<u8>) {
        self.with(move |io, pool| {
            let mut packet = pool.alloc().unwrap();
            assert!(packet.copy_from(&data));
            packet.meta.endpoint = to;
            let mut burst = Burst::new();
            burst.push(packet).unwrap();
            assert_eq!(io.tx_burst(&mut burst), 1);
        });
    }

    pub fn stats(&self) -> (HostStats, IoStats) {
        self.with(|io, _| (*io.host_stats(), io.port().stats()))
    }

    pub fn get(&self, counter: HostCounter) -> u64 {
        self.stats().0.get(counter)
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Waits until `done`.
    #[track_caller]
    pub fn until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.stats().0.nonzero().collect::<Vec<_>>());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the addresses are checked and announced.
    pub fn settled(self) -> Self {
        self.until("the start", |host| {
            host.with(|io, _| io.deadline()).is_none() && host.get(HostCounter::TxArpRequest) >= 2
        });
        self
    }

    /// Ends the host, and has the recording looked at.
    #[track_caller]
    pub fn end(mut self) -> HostStats {
        let stats = self.stats().0;
        self.stop();
        let path = self.folder.path().join("host.pcap");
        let wrong = tshark(
            &path,
            "_ws.malformed || _ws.expert.severity >= 0x800000 || ip.checksum.status == 0 || udp.checksum.status == 0 \
             || icmp.checksum.status == 0 || icmpv6.checksum.status == 0",
        );
        assert_eq!(wrong, "", "tshark finds fault");
        assert_ne!(tshark(&path, "eth.src == 02:00:00:00:00:10"), "", "something was recorded");
        stats
    }

    fn stop(&mut self) {
        let _ = self.orders.send(None);
        self.wake.signal();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the host's thread panicked");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn tshark(file: &Path, filter: &str) -> String {
    let output = Command::new("tshark")
        .args(["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-d", "udp.port==5247,data"])
        .arg("-n")
        .arg("-r")
        .arg(file)
        .args(["-Y", filter])
        .output()
        .expect("tshark is needed by this test: apt-get install tshark");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn serve(mut io: HostIo<Recorded<AfPacketIo>>, pool: &Pool, orders: &Receiver<Option<Order>>, bell: &Wake) {
    use std::os::fd::AsRawFd;
    let wait = Wait::new().unwrap();
    wait.add(io.poll_fd().unwrap()).unwrap();
    wait.add(bell.as_raw_fd()).unwrap();
    let mut burst = Burst::new();
    loop {
        bell.clear();
        while let Ok(order) = orders.try_recv() {
            let Some(order) = order else { return };
            order(&mut io, pool);
        }
        io.rx_burst(pool, &mut burst);
        io.tx_burst(&mut burst);
        if burst.is_empty() && !io.rx_ready() {
            let now = Time::now();
            let timeout = io.deadline().map_or(Duration::from_millis(100), |deadline| deadline.since(now));
            wait.sleep(Some(timeout.min(Duration::from_millis(100))));
        }
    }
}

/// A port whose frames are written to a capture file, both ways.
pub struct Recorded<P> {
    port: P,
    file: Rc<RefCell<PcapWriter<BufWriter<File>>>>,
}

impl<P> Recorded<P> {
    fn new(port: P, path: &Path) -> Self {
        let file = BufWriter::new(File::create(path).unwrap());
        let writer = PcapWriter::new(file, LinkType::ETHERNET, Resolution::Nanos).unwrap();
        Self { port, file: Rc::new(RefCell::new(writer)) }
    }
}

impl<P: PacketIo> PacketIo for Recorded<P> {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        let before = out.len();
        let n = self.port.rx_burst(pool, out);
        for packet in &out[before..] {
            self.file.borrow_mut().write(unix_nanos(), packet.data()).unwrap();
        }
        n
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        let frames: Vec<_> = burst.iter().take(BURST).map(|packet| packet.data().to_vec()).collect();
        let n = self.port.tx_burst(burst);
        for frame in &frames[..n] {
            self.file.borrow_mut().write(unix_nanos(), frame).unwrap();
        }
        n
    }

    fn poll_fd(&self) -> Option<RawFd> {
        self.port.poll_fd()
    }

    fn stats(&self) -> IoStats {
        self.port.stats()
    }
}

/// Another network namespace, in a thread that lives as long as this.
pub struct Elsewhere {
    work: Option<Sender<Box<dyn FnOnce() + Send>>>,
    thread: Option<JoinHandle<()>>,
    id: i32,
}

impl Elsewhere {
    pub fn new() -> Self {
        let (work, works) = channel::<Box<dyn FnOnce() + Send>>();
        let (id, ids) = channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: no pointer goes in. It concerns this thread only.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            // SAFETY: it has no arguments.
            id.send(unsafe { libc::gettid() }).unwrap();
            works.into_iter().for_each(|work| work());
        });
        let id = ids.recv_timeout(PATIENCE).unwrap();
        Self { work: Some(work), thread: Some(thread), id }
    }

    /// The thread's number, by which `ip link set netns` knows the namespace.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Does something there.
    pub fn with<T: Send + 'static>(&self, what: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, answers) = channel();
        let work = Box::new(move || drop(answer.send(what())));
        self.work.as_ref().unwrap().send(work).unwrap();
        answers.recv_timeout(PATIENCE * 2).expect("the other namespace goes on")
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.work.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking());
    }
}
