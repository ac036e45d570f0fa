//! What Unix wants of a daemon: the background, a pid file, the system log.

use std::ffi::CString;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};

use crate::sys::check;

/// Where messages go: to stderr, and in the background to syslog.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    verbose: bool,
    background: bool,
}

impl Log {
    /// Logs to stderr; `verbose` tells events, not only what goes wrong.
    pub fn new(verbose: bool) -> Log {
        Log { verbose, background: false }
    }

    /// Something went wrong.
    pub fn error(&self, what: &impl Display) {
        self.write(libc::LOG_ERR, what);
    }

    /// Something happened.
    pub fn event(&self, what: &impl Display) {
        if self.verbose {
            self.write(libc::LOG_INFO, what);
        }
    }

    fn write(&self, level: libc::c_int, what: &impl Display) {
        if !self.background {
            // Nobody is left to tell if stderr is gone.
            let _ = writeln!(io::stderr(), "radio-agent: {what}");
        } else if let Ok(line) = CString::new(format!("radio-agent: {what}")) {
            // SAFETY: format and argument are terminated strings that live during the call.
            unsafe { libc::syslog(level | libc::LOG_DAEMON, c"%s".as_ptr(), line.as_ptr()) };
        }
    }
}

/// The pid file; locked as long as the process lives, removed at its end.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Makes the file and locks it. Fails if a process holds it: then that agent runs.
    pub fn lock(path: &Path) -> io::Result<PidFile> {
        // The background has another working directory.
        let path = std::path::absolute(path)?;
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        // SAFETY: no pointers.
        if let Err(error) = check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            let mut pid = String::new();
            file.read_to_string(&mut pid)?;
            let pid = pid.trim();
            return Err(io::Error::other(format!(
                "another agent, process {pid}, holds it; end that one first"
            )));
        }
        Ok(PidFile { path, file })
    }

    /// Writes the number of this process.
    pub fn write(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{}", std::process::id())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The child's side of [`fork`]: the parent waits for it.
#[derive(Debug)]
pub struct Background {
    ready: File,
}

/// Goes on in a child process of its own session. The parent ends here: successfully once the child says
/// [`Background::ready`], otherwise with status 1.
///
/// To be called before there are threads.
pub fn fork() -> io::Result<Background> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has place for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: both descriptors are new and nobody else's.
    let (mut read, write) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    // SAFETY: there is one thread, so the child's memory is consistent.
    if check(unsafe { libc::fork() })? > 0 {
        drop(write);
        let ready = read.read(&mut [0]).is_ok_and(|len| len == 1);
        // SAFETY: ends the process at once, so that nothing that the child now owns is undone here.
        unsafe { libc::_exit(i32::from(!ready)) };
    }
    // SAFETY: no pointers. A child of fork leads no process group, so this cannot fail.
    unsafe { libc::setsid() };
    std::env::set_current_dir("/")?;
    Ok(Background { ready: write })
}

impl Background {
    /// Everything is in place: lets go of the terminal and of the parent. Gives the log to use from now on.
    pub fn ready(mut self, log: Log) -> io::Result<Log> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        for standard in 0..3 {
            // SAFETY: no pointers.
            check(unsafe { libc::dup2(null.as_raw_fd(), standard) })?;
        }
        self.ready.write_all(&[1])?;
        Ok(Log { background: true, ..log })
    }
}
