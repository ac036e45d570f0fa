//! Regions of memory for large tables: reserved as a whole, backed page by page as they are used, in huge pages where these can be had, and
//! private to the process or shared through a file descriptor.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

/// Octets of a huge page.
pub const HUGE: usize = 2 << 20;

/// Which pages a region got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// From the pool of huge pages set aside by `vm.nr_hugepages`.
    Hugetlb,
    /// Huge pages where the kernel can put them together.
    Transparent {
        /// Why not those set aside.
        hugetlb: &'static str,
    },
    /// Normal ones.
    Normal {
        /// Why no huge ones.
        reason: &'static str,
    },
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hugetlb => f.write_str("huge pages (hugetlb)"),
            Self::Transparent { hugetlb } => write!(f, "transparent huge pages; hugetlb: {hugetlb}"),
            Self::Normal { reason } => write!(f, "normal pages: {reason}"),
        }
    }
}

const NONE_RESERVED: &str = "none reserved (vm.nr_hugepages)";
const TOO_FEW: &str = "too few reserved (vm.nr_hugepages)";
const SMALL: &str = "small enough for them";
const NEVER: &str = "transparent huge pages are off (/sys/kernel/mm/transparent_hugepage/enabled) and hugetlb has none (vm.nr_hugepages)";
const SHARED_NEVER: &str =
    "huge pages for shared memory are off (/sys/kernel/mm/transparent_hugepage/shmem_enabled)";

/// Why there is no region.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The system refused it.
    #[error("cannot {what} {octets} octets of memory: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// How much.
        octets: usize,
        /// The system's reason.
        source: io::Error,
    },
}

/// Zeroed memory at a fixed place for as long as it lives. Whoever uses it makes sure that nobody writes what another one reads.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    len: usize,
    file: Option<OwnedFd>,
    writable: bool,
}

// SAFETY: a region is an address range; what is done with it is its users' business.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Address space for `len` octets of this process alone, beginning at a huge page's boundary. Nothing of it is backed yet.
    ///
    /// # Errors
    /// [`MemoryError::System`] if there is no address space left, or the system counts it as used (`vm.overcommit_memory` = 2).
    pub fn reserve(len: usize) -> Result<Self, MemoryError> {
        let len = len.next_multiple_of(HUGE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let whole = map(std::ptr::null_mut(), len + HUGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1)
            .map_err(|source| MemoryError::System { what: "reserve", octets: len, source })?;
        let before = whole.as_ptr().align_offset(HUGE);
        // SAFETY: what is cut off on both sides is of the mapping just made, and nobody refers to it.
        let start = unsafe {
            let start = whole.add(before);
            if before > 0 {
                libc::munmap(whole.as_ptr().cast(), before);
            }
            libc::munmap(start.add(len).as_ptr().cast(), HUGE - before);
            start
        };
        Ok(Self { start, len, file: None, writable: true })
    }

    /// The same, in memory that other processes can map too, by its descriptor. `name` is for people who look at `/proc`.
    ///
    /// # Errors
    /// [`MemoryError::System`].
    pub fn shared(name: &std::ffi::CStr, len: usize) -> Result<Self, MemoryError> {
        let len = len.next_multiple_of(HUGE);
        let failed = |source| MemoryError::System { what: "share", octets: len, source };
        // SAFETY: `name` ends with a zero.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor is new and ours.
        let file = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: no pointer goes in.
        if unsafe { libc::ftruncate(file.as_raw_fd(), len as libc::off_t) } < 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        // Nobody who has the descriptor can pull the memory away under those who map it.
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: as above.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        Self::map_file(file, true)
    }

    /// Maps what another region shares, all there is of it.
    ///
    /// # Errors
    /// [`MemoryError::System`].
    pub fn attach(file: BorrowedFd<'_>, writable: bool) -> Result<Self, MemoryError> {
        let file = file.try_clone_to_owned().map_err(|source| MemoryError::System {
            what: "attach",
            octets: 0,
            source,
        })?;
        Self::map_file(file, writable)
    }

    fn map_file(file: OwnedFd, writable: bool) -> Result<Self, MemoryError> {
        let len = fs::File::from(file.try_clone().map_err(|e| attach_failed(0, e))?)
            .metadata()
            .map_err(|e| attach_failed(0, e))?
            .len() as usize;
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        let start = map(std::ptr::null_mut(), len, protection, flags, file.as_raw_fd())
            .map_err(|e| attach_failed(len, e))?;
        Ok(Self { start, len, file: Some(file), writable })
    }

    /// Where it begins.
    #[inline]
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Octets.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it may be written.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The descriptor that it is shared by.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Backs parts (first octet, octets) now, so that using them never waits for the system, with huge pages if they are at least one long: all
    /// of them from the same pool. Says what the parts got. Only before anything was written there.
    ///
    /// # Panics
    /// If a part is not inside of the region.
    pub fn back(&mut self, parts: &[(usize, usize)]) -> Pages {
        assert!(parts.iter().all(|&(at, len)| at.checked_add(len).is_some_and(|end| end <= self.len)));
        let large: Vec<_> = parts.iter().copied().filter(|&(_, len)| len >= HUGE).collect();
        let pages = if large.is_empty() {
            Pages::Normal { reason: SMALL }
        } else if self.file.is_some() {
            self.advise(&large, SHARED_NEVER, "shmem_enabled", &["[never]", "[deny]"])
        } else {
            match self.back_with_hugetlb(&large) {
                Ok(()) => Pages::Hugetlb,
                Err(hugetlb) => match self.advise(&large, NEVER, "enabled", &["[never]"]) {
                    Pages::Transparent { .. } => Pages::Transparent { hugetlb },
                    other => other,
                },
            }
        };
        for &(at, len) in &large {
            // A kernel before 5.14 does not know it: then pages come as they are touched.
            self.advise_part(at, len, libc::MADV_POPULATE_WRITE);
        }
        pages
    }

    /// Gives the memory of a part back; it reads as zeros afterwards. Only whole pages of it; nothing if it cannot be done.
    pub fn release(&self, at: usize, len: usize) {
        let (from, to) = (at.next_multiple_of(PAGE), (at + len) & !(PAGE - 1));
        if from < to && to <= self.len {
            let advice = if self.file.is_some() { libc::MADV_REMOVE } else { libc::MADV_DONTNEED };
            self.advise_part(from, to - from, advice);
        }
    }

    fn back_with_hugetlb(&mut self, parts: &[(usize, usize)]) -> Result<(), &'static str> {
        let total: usize = parts.iter().map(|&(_, len)| len.next_multiple_of(HUGE)).sum();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let huge = flags | libc::MAP_HUGETLB | libc::MAP_HUGE_2MB;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // Asked for all of it first: a mapping that fails in place leaves a hole there.
        let Ok(probe) = map(std::ptr::null_mut(), total, access, huge, -1) else {
            let none = fs::read_to_string("/proc/sys/vm/nr_hugepages").is_ok_and(|n| n.trim() == "0");
            return Err(if none { NONE_RESERVED } else { TOO_FEW });
        };
        // SAFETY: just mapped, and nobody refers to it.
        unsafe { libc::munmap(probe.as_ptr().cast(), total) };
        for &(at, len) in parts {
            let (from, to) = (at & !(HUGE - 1), (at + len).next_multiple_of(HUGE).min(self.len));
            // SAFETY: inside of the region, whose length is a multiple of a huge page.
            let place = unsafe { self.start.add(from) }.as_ptr();
            if map(place, to - from, access, huge | libc::MAP_FIXED, -1).is_err() {
                // Somebody was faster. Normal pages again, here; what is done already stays.
                let normal = flags | libc::MAP_NORESERVE | libc::MAP_FIXED;
                assert!(
                    map(place, to - from, access, normal, -1).is_ok(),
                    "a place of our own address space"
                );
                return Err(TOO_FEW);
            }
        }
        Ok(())
    }

    fn advise(&self, parts: &[(usize, usize)], off: &'static str, switch: &str, values: &[&str]) -> Pages {
        let setting = fs::read_to_string(format!("/sys/kernel/mm/transparent_hugepage/{switch}"));
        let never = setting.map_or(true, |setting| values.iter().any(|value| setting.contains(value)));
        let advised = parts.iter().all(|&(at, len)| self.advise_part(at, len, libc::MADV_HUGEPAGE));
        if never || !advised {
            return Pages::Normal { reason: off };
        }
        Pages::Transparent { hugetlb: "not used for shared memory" }
    }

    fn advise_part(&self, at: usize, len: usize, advice: libc::c_int) -> bool {
        let from = at & !(PAGE - 1);
        // SAFETY: inside of the region, as the callers know; what is advised here changes no content that anybody relies on.
        unsafe { libc::madvise(self.start.add(from).as_ptr().cast(), at + len - from, advice) == 0 }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and what refers to it does not outlive it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

const PAGE: usize = 4096;

fn attach_failed(octets: usize, source: io::Error) -> MemoryError {
    MemoryError::System { what: "map", octets, source }
}

fn map(
    place: *mut u8,
    len: usize,
    protection: libc::c_int,
    flags: libc::c_int,
    fd: libc::c_int,
) -> io::Result<NonNull<u8>> {
    // SAFETY: a new mapping; one in a fixed place replaces only what its caller owns.
    let start = unsafe { libc::mmap(place.cast(), len, protection, flags, fd, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(start.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octet(region: &Region, at: usize) -> *mut u8 {
        assert!(at < region.len());
        // SAFETY: inside of the region.
        unsafe { region.start().add(at).as_ptr() }
    }

    #[test]
    fn a_reservation_costs_nothing_until_used_and_says_what_it_got() {
        let mut region = Region::reserve(1 << 36).unwrap();
        assert_eq!(region.start().as_ptr().align_offset(HUGE), 0);
        let pages = region.back(&[(0, 100), (8 << 20, 4 << 20)]);
        assert!(!pages.to_string().is_empty());
        assert_eq!(region.back(&[(4096, 100)]), Pages::Normal { reason: SMALL });
        for at in [0, 8 << 20, (12 << 20) - 1, (1 << 36) - 1] {
            // SAFETY: inside, and nobody else is there.
            unsafe {
                assert_eq!(octet(&region, at).read(), 0);
                octet(&region, at).write(7);
                assert_eq!(octet(&region, at).read(), 7);
            }
        }
        region.release((1 << 36) - 4096, 4096);
        // SAFETY: as above.
        assert_eq!(unsafe { octet(&region, (1 << 36) - 1).read() }, 0);
    }

    #[test]
    fn what_is_shared_is_seen_in_both_places() {
        let one = Region::shared(c"test", 3 << 20).unwrap();
        let two = Region::attach(one.file().unwrap(), false).unwrap();
        assert_eq!((one.len(), two.len()), (4 << 20, 4 << 20));
        assert_ne!(one.start(), two.start());
        // SAFETY: inside, one thread.
        unsafe {
            octet(&one, 12345).write(9);
            assert_eq!(octet(&two, 12345).read(), 9);
        }
        one.release(0, 3 << 20);
        // SAFETY: as above.
        assert_eq!(unsafe { octet(&two, 12345).read() }, 0);
        assert!(one.is_writable() && !two.is_writable() && Region::reserve(1).unwrap().file().is_none());
    }
}
