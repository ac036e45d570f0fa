//! Packets in DPDK's memory. An mbuf has room for our head between itself and its buffer, so that it is a [`Packet`](crate::packet::Packet) as it is:
//!
//! ```text
//!   | struct rte_mbuf, 128 | head, 64 | headroom | data | tailroom |
//! ```

use std::ffi::{CString, c_int};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dpdk_sys::{dpdk_head, dpdk_pool};

use super::super::IoError;
use super::eal::{Eal, explained};
use crate::packet::{Head, Pool, PoolConfig, Source};

/// A pool of DPDK's, for one worker and its queues. Clones are handles to the same one; its memory goes when the last handle, pool, port and packet are
/// gone.
#[derive(Clone, Debug)]
pub struct Mempool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    eal: Eal,
    pool: NonNull<dpdk_pool>,
    config: PoolConfig,
}

// SAFETY: DPDK's pools are for any number of threads.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Mempool {
    /// Makes a pool. Besides those that stages hold, each queue that uses it keeps as many packets as it has descriptors.
    ///
    /// # Errors
    /// [`IoError::Dpdk`]: most likely, more memory is needed than DPDK was started with.
    pub fn new(eal: Eal, config: PoolConfig) -> Result<Self, IoError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = CString::new(format!("ttg-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
            .expect("it has no zero octet");
        let refused = |reason: String| IoError::Dpdk {
            what: format!("make a pool of {} packets of {} octets", config.packets, config.buffer),
            reason,
            advice: "Give it more memory, or take fewer or smaller packets".to_owned(),
        };
        let (Ok(packets), Ok(buffer)) = (u32::try_from(config.packets), u16::try_from(config.buffer)) else {
            return Err(refused("a buffer has at most 65535 octets".to_owned()));
        };
        if config.headroom > config.buffer {
            return Err(refused(format!("it has no room for a headroom of {} octets", config.headroom)));
        }
        let mut pool = std::ptr::null_mut();
        explained(|| {
            let mut error: c_int = 0;
            // SAFETY: DPDK runs, the name is a C string, and the error goes to a place of ours.
            pool = unsafe {
                dpdk_sys::dpdk_pool_create(
                    name.as_ptr(),
                    packets,
                    CACHE.min(packets / 2),
                    buffer,
                    &raw mut error,
                )
            };
            error
        })
        .map_err(refused)?;
        let Some(pool) = NonNull::new(pool) else { return Err(refused("it does not say why".to_owned())) };
        Ok(Self(Arc::new(Inner { eal, pool, config })))
    }

    /// A [`Pool`] of these packets, for the calling thread.
    pub fn pool(&self) -> Pool {
        self.0.eal.register_thread();
        Pool::of_source(Box::new(self.clone()), self.0.config)
    }

    /// Packets that nobody has, neither a thread nor a queue. Slow.
    pub fn available(&self) -> usize {
        // SAFETY: the pool lives while this handle does.
        unsafe { dpdk_sys::dpdk_pool_available(self.as_ptr()) as usize }
    }

    /// How it was made.
    pub fn config(&self) -> PoolConfig {
        self.0.config
    }

    /// What a [`Pool`] of these packets says its source is.
    pub(super) fn source_id(&self) -> usize {
        self.as_ptr() as usize
    }

    pub(super) fn as_ptr(&self) -> *mut dpdk_pool {
        self.0.pool.as_ptr()
    }

    /// Takes packets and returns how many. Offset and length in their heads are undefined.
    pub(super) fn take_raw(&self, heads: &mut [*mut dpdk_head]) -> usize {
        // SAFETY: there is room for as many as we say.
        unsafe { dpdk_sys::dpdk_pool_take(self.as_ptr(), heads.as_mut_ptr(), heads.len() as u32) as usize }
    }

    /// Gives back what was taken or received.
    ///
    /// # Safety
    /// These packets are of this pool, and the caller's; now no more.
    pub(super) unsafe fn give_raw(&self, heads: &[*mut dpdk_head]) {
        // SAFETY: the caller's promise.
        unsafe { dpdk_sys::dpdk_pool_give(self.as_ptr(), heads.as_ptr(), heads.len() as u32) };
    }
}

/// Packets of each thread's cache inside of DPDK.
const CACHE: u32 = 256;

/// What [`Source::kind`] says of these.
pub(super) const KIND: &str = "dpdk";

// SAFETY: the shim makes pools with room for a head between mbuf and buffer, both aligned to cache lines. What DPDK's memory is, it was zeroed when it was
// mapped. A packet taken is nobody else's, and the pool is freed with the last handle.
unsafe impl Source for Mempool {
    fn take(&self, heads: &mut [*mut Head]) -> usize {
        // SAFETY: both are pointers to the beginning of the same place.
        let heads = unsafe { &mut *(std::ptr::from_mut(heads) as *mut [*mut dpdk_head]) };
        self.take_raw(heads)
    }

    fn give(&self, heads: &[NonNull<Head>]) {
        // SAFETY: as above; and whoever gives packets to a source has them from it.
        unsafe { self.give_raw(&*(std::ptr::from_ref(heads) as *const [*mut dpdk_head])) };
    }

    fn id(&self) -> usize {
        self.source_id()
    }

    fn kind(&self) -> &'static str {
        KIND
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Packets that a driver lost sight of would be written to after the memory is used again: better to lose it.
        // SAFETY: this was the last handle.
        unsafe {
            if dpdk_sys::dpdk_pool_available(self.pool.as_ptr()) as usize >= self.config.packets {
                dpdk_sys::dpdk_pool_free(self.pool.as_ptr());
            }
        }
    }
}
