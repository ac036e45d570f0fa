//! Makes jemalloc, on huge pages, the allocator of the program that links it.
//!
//! The matchmaker's tables are hundreds of megabytes that are read at random: with pages of 4 KiB nearly every read also waits for the
//! processor to find out where the page is. Where the system leaves it to programs (`madvise` in
//! `/sys/kernel/mm/transparent_hugepage/enabled`), jemalloc asks for huge ones; with `always` they come anyway, with `never` they do not.
//! What is freed while tables grow is kept for ten minutes: given back a page at a time it would break huge pages into small ones.
//!
//! `_RJEM_MALLOC_CONF` in the environment has the last word, in the terms of jemalloc(3).

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What jemalloc reads when it starts (jemalloc(3), TUNING): a C string.
// SAFETY: nobody else defines this name; it is of jemalloc, which reads a pointer to octets that end with a zero.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static CONFIGURATION: &[u8; 50] = b"thp:always,dirty_decay_ms:600000,muzzy_decay_ms:0\0";
