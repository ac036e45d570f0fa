//! DPDK's environment, started once per process, and what it logs.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::forget;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::IoError;
use crate::pin::usable_cores;

/// How DPDK is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EalConfig {
    /// Ordinary memory instead of huge pages: slower, and enough for virtual devices only.
    pub no_huge: bool,
    /// Memory for packets and queues, MiB.
    pub memory: usize,
    /// Addresses of the PCI devices that may be opened later. DPDK looks at no other, and without any not at PCI at all.
    pub pci: Vec<String>,
    /// More arguments of DPDK's command line (`dpdk-testpmd -h` lists them), after ours.
    pub arguments: Vec<String>,
}

impl Default for EalConfig {
    /// 512 MiB of huge pages, virtual devices only.
    fn default() -> Self {
        Self { no_huge: false, memory: 512, pci: Vec::new(), arguments: Vec::new() }
    }
}

/// DPDK runs in this process.
#[derive(Clone, Copy, Debug)]
pub struct Eal(());

impl Eal {
    /// Starts DPDK; again with the same configuration, does nothing. It runs until the process ends, and a start that failed cannot be repeated:
    /// DPDK knows no other way.
    ///
    /// Nothing of it is shared with other processes or left behind in files, no thread but DPDK's own is pinned, and there is no telemetry socket.
    /// What it logs at warning level or above goes to standard error; what it complains about while it does what it was told to,
    /// only with a `--log-level` of your own among the arguments.
    ///
    /// # Errors
    /// [`IoError::Dpdk`], with the reason that DPDK logged.
    pub fn start(config: &EalConfig) -> Result<Self, IoError> {
        static STARTED: Mutex<Option<(EalConfig, Result<(), String>)>> = Mutex::new(None);
        let mut started = lock(&STARTED);
        let (with, outcome) = started.get_or_insert_with(|| (config.clone(), start_once(config)));
        if with != config {
            return Err(IoError::Dpdk {
                what: "start a second time with another configuration".to_owned(),
                reason: "it starts once per process".to_owned(),
                advice: "Restart the program".to_owned(),
            });
        }
        match outcome {
            Ok(()) => Ok(Self(())),
            Err(reason) => Err(IoError::Dpdk {
                what: "start".to_owned(),
                reason: reason.clone(),
                advice: advice(config).to_owned(),
            }),
        }
    }

    /// DPDK's name and version.
    pub fn version(self) -> &'static str {
        // SAFETY: it is a constant C string.
        unsafe { CStr::from_ptr(dpdk_sys::dpdk_version()) }.to_str().unwrap_or("DPDK")
    }

    /// Makes the calling thread one of DPDK's, as long as it runs: it gets packet caches of its own. Without, all works, slower. DPDK has room for
    /// 128 threads; others go without.
    pub fn register_thread(self) {
        struct Registration;
        impl Drop for Registration {
            fn drop(&mut self) {
                // SAFETY: this thread was registered, and ends.
                unsafe { dpdk_sys::dpdk_thread_unregister() };
            }
        }
        thread_local!(static REGISTERED: RefCell<Option<Registration>> = const { RefCell::new(None) });
        REGISTERED.with_borrow_mut(|registered| {
            // SAFETY: DPDK runs, and this thread is not registered.
            if registered.is_none() && unsafe { dpdk_sys::dpdk_thread_register() } == 0 {
                *registered = Some(Registration);
            }
        });
    }
}

/// DPDK's command line.
fn arguments(config: &EalConfig) -> Vec<String> {
    // One lcore, which floats over all cores that we may use: DPDK would otherwise pin the threads that it makes to few.
    let cores: Vec<_> = usable_cores().iter().map(ToString::to_string).collect();
    let mut arguments: Vec<String> =
        ["ttg", "--no-telemetry", "--log-level=warning", "--lcores"].map(Into::into).into();
    arguments.push(format!("0@({})", cores.join(",")));
    arguments.extend(["-m".to_owned(), config.memory.to_string()]);
    // Without huge pages there is nothing that could be in files.
    let memory: &[&str] = if config.no_huge { &["--no-huge", "--no-shconf"] } else { &["--in-memory"] };
    arguments.extend(memory.iter().map(|&s| s.to_owned()));
    match &config.pci[..] {
        [] => arguments.push("--no-pci".to_owned()),
        pci => arguments.extend(pci.iter().flat_map(|address| ["-a".to_owned(), address.clone()])),
    }
    arguments.extend(config.arguments.iter().cloned());
    arguments
}

fn start_once(config: &EalConfig) -> Result<(), String> {
    let asked = config.arguments.iter().any(|argument| argument.starts_with("--log-level"));
    TALKATIVE.store(asked, Ordering::Relaxed);
    let arguments = arguments(config)
        .into_iter()
        .map(|argument| CString::new(argument).map_err(|_| "an argument has a zero octet in it".to_owned()))
        .collect::<Result<Vec<_>, _>>()?;
    // In a thread of its own, because DPDK pins the one that starts it. New threads inherit from this one, which is not.
    let thread = std::thread::Builder::new().name("dpdk-start".to_owned()).spawn(move || {
        let mut argv: Vec<*mut c_char> =
            arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        let argc = argv.len() as c_int;
        argv.push(std::ptr::null_mut());
        // SAFETY: `argc` C strings and a null pointer, as `main` gets them; forgotten below, they stay.
        let outcome = explained(|| unsafe { dpdk_sys::dpdk_start(argc, argv.as_mut_ptr(), Some(log)) });
        forget((argv, arguments));
        outcome
    });
    let joined = thread.map_err(|error| error.to_string())?.join();
    joined.unwrap_or_else(|_| Err("the thread that starts it panicked".to_owned()))
}

fn advice(config: &EalConfig) -> &'static str {
    if config.no_huge {
        "Correct the configuration of DPDK"
    } else {
        "If huge pages are what is missing, reserve some (`sysctl vm.nr_hugepages=512`), or do without (`no_huge = true`)"
    }
}

/// Runs one of DPDK's functions that returns an error number, and says what that was: DPDK's own words if it logged any.
pub(super) fn explained(call: impl FnOnce() -> c_int) -> Result<(), String> {
    *lock(&LISTENING) = Some(String::new());
    let error = call();
    let said = lock(&LISTENING).take().unwrap_or_default();
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    if error < 0 {
        let words: Vec<_> = lines.collect();
        return Err(if words.is_empty() { error_text(error) } else { words.join("; ") });
    }
    // That it worked is the news; drivers complain about much that does not matter.
    if TALKATIVE.load(Ordering::Relaxed) {
        lines.for_each(tell);
    }
    Ok(())
}

/// The words for an error number.
pub(super) fn error_text(error: c_int) -> String {
    // SAFETY: it returns a C string, of this thread or constant.
    unsafe { CStr::from_ptr(dpdk_sys::dpdk_error(error)) }.to_string_lossy().into_owned()
}

/// What is logged while somebody wants to know why something fails.
static LISTENING: Mutex<Option<String>> = Mutex::new(None);

/// Whether somebody asked for logs.
static TALKATIVE: AtomicBool = AtomicBool::new(false);

/// Longer than this, an explanation is none.
const MOST: usize = 4096;

/// Takes what DPDK logs. It does so when something is opened or fails; drivers keep silent on the packet path.
unsafe extern "C" fn log(text: *const c_char, length: u64) {
    // SAFETY: DPDK gives so many octets.
    let text = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length as usize) };
    let text = String::from_utf8_lossy(text);
    match &mut *lock(&LISTENING) {
        Some(said) if said.len() < MOST => said.push_str(&text),
        Some(_) => {}
        None => text.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(tell),
    }
}

fn tell(line: &str) {
    eprintln!("dpdk: {line}");
}

/// What these mutexes guard is whole even if somebody panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_says_what_was_configured() {
        let line = |config: EalConfig| arguments(&config).join(" ");
        let virtual_only = line(EalConfig { no_huge: true, memory: 64, ..EalConfig::default() });
        assert!(virtual_only.contains("-m 64 --no-huge --no-shconf --no-pci"), "{virtual_only}");
        assert!(!virtual_only.contains("--in-memory"));
        let nic = line(EalConfig {
            pci: vec!["0000:03:00.0".into(), "0000:03:00.1".into()],
            arguments: vec!["--iova-mode=va".into()],
            ..EalConfig::default()
        });
        assert!(nic.contains("-m 512 --in-memory -a 0000:03:00.0 -a 0000:03:00.1 --iova-mode=va"), "{nic}");
        assert!(!nic.contains("--no-pci"));
    }
}
