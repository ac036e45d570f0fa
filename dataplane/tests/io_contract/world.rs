//! Where tests run: here, or in a network namespace of their own.

use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dataplane::pin::{pin_to_core, usable_cores};

/// Runs a test that needs nothing.
pub fn here(test: impl FnOnce() + Send) {
    on_one_core(test);
}

/// Runs a test in a new network namespace, whose loopback interface is up and which has no IPv6 but there. Fails if not root.
pub fn a_namespace(test: impl FnOnce() + Send) {
    on_one_core(|| {
        // SAFETY: no pointer goes in. It concerns this thread only, which ends with the test.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert!(
            result == 0,
            "this test makes a network namespace and so needs root (CAP_SYS_ADMIN): {}",
            io::Error::last_os_error()
        );
        // Or the kernel would send router solicitations of its own on the test's interfaces.
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        ip("link set lo up");
        test();
    });
}

/// Runs `ip` with these arguments in this thread's namespace.
pub fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

/// Runs `tc` with these arguments in this thread's namespace.
pub fn tc(arguments: &str) -> String {
    run("tc", arguments)
}

/// A name that no other link of this test has.
pub fn fresh(prefix: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A veth pair that is up, with the names of its ends.
pub fn veth() -> (String, String) {
    let (a, b) = (fresh("a"), fresh("b"));
    ip(&format!("link add {a} type veth peer name {b}"));
    ip(&format!("link set {a} up"));
    bring_up(&b);
    bring_up(&a);
    (a, b)
}

/// Brings the interface up and waits until it has a carrier: before, the kernel loses what is sent.
pub fn bring_up(interface: &str) {
    ip(&format!("link set {interface} up"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ip(&format!("link show {interface}")).contains("state UP") {
        assert!(Instant::now() < deadline, "{interface} does not come up");
    }
}

/// A thread of its own, because a namespace cannot be left; on one core, because the kernel keeps the order of packets per core only.
fn on_one_core(test: impl FnOnce() + Send) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let cores = usable_cores();
            pin_to_core(cores[NEXT.fetch_add(1, Ordering::Relaxed) % cores.len()]).unwrap();
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .unwrap_or_else(|error| panic!("`{program}` (of iproute2) does not run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{program} {arguments}` failed: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
