//! Pinning a worker's thread to its core.

use std::io;

/// Restricts the calling thread to one core (numbered as in `/proc/cpuinfo`).
///
/// # Errors
/// `InvalidInput` if there is no such core or this process may not use it (cpuset, container limit).
pub fn pin_to_core(core: usize) -> io::Result<()> {
    if core >= 8 * size_of::<libc::cpu_set_t>() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: all zeros is an empty set; `core` was checked to be inside of it.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The cores that the calling thread may run on, in ascending order.
pub fn usable_cores() -> Vec<usize> {
    // SAFETY: all zeros is an empty set, and its own size is given; a failed call leaves it empty.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &mut set);
        set
    };
    // SAFETY: every index is inside the set.
    (0..8 * size_of::<libc::cpu_set_t>()).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_to_each_usable_core_and_to_no_other() {
        let cores = usable_cores();
        assert!(!cores.is_empty());
        for core in cores {
            std::thread::spawn(move || {
                pin_to_core(core).unwrap();
                assert_eq!(usable_cores(), [core]);
            })
            .join()
            .unwrap();
        }
        assert_eq!(pin_to_core(usize::MAX).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(pin_to_core(1023).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
