//! From jobs to what the kernel runs on: nonce and additional data of each frame that GCMP protects (802.11-2020 §12.5.5.3).

use dot11::Frame;
use dot11::ccmp::{CcmpHeader, HEADER_LEN, MAX_AAD_LEN, Pn, protectable, write_aad};

use super::kernel::{MIC, Task};
use crate::crypto::{OpenJob, SealJob};

/// In the second octet of Frame Control.
const PROTECTED: u8 = 0x40;

/// What to do for a job under this key, its header already written; `None` if it is no frame that GCMP protects.
#[inline(always)]
pub(super) fn seal<'a>(job: &'a mut SealJob<'_>, key: &'a [u8]) -> Option<Task<'a>> {
    let frame_len = job.frame_len();
    let pn = Pn::new(job.pn)?;
    let frame = protectable(job.header_len, MIC, job.buf.get(..frame_len)?).ok()?;
    let (nonce, aad, aad_len) = inputs(&frame, pn, job.spp_amsdu);
    job.buf[1] |= PROTECTED;
    let (front, text) = job.buf[..frame_len].split_at_mut(job.header_len + HEADER_LEN);
    front[job.header_len..].copy_from_slice(&CcmpHeader { key_id: job.key_id & 3, pn }.to_bytes());
    let lengths = Task::lengths(aad_len, text.len() - MIC);
    Some(Task { key, nonce, aad, lengths, text, done: &mut job.done })
}

/// What to do for a job under this key; `None` if it is no frame that GCMP has protected.
#[inline(always)]
pub(super) fn open<'a>(job: &'a mut OpenJob<'_>, key: &'a [u8]) -> Option<Task<'a>> {
    let frame_len = job.frame_len();
    let frame = protectable(job.header_len, MIC, job.buf.get(..frame_len)?).ok()?;
    if !frame.control().protected() {
        return None;
    }
    let header = CcmpHeader::parse(frame.body()).ok()?;
    let (nonce, aad, aad_len) = inputs(&frame, header.pn, job.spp_amsdu);
    let text = &mut job.buf[job.header_len + HEADER_LEN..frame_len];
    let lengths = Task::lengths(aad_len, text.len() - MIC);
    Some(Task { key, nonce, aad, lengths, text, done: &mut job.done })
}

/// Nonce, additional data and how much of it there is.
#[inline(always)]
fn inputs(frame: &Frame<'_>, pn: Pn, spp_amsdu: bool) -> ([u8; 16], [[u8; 16]; 2], usize) {
    let [a, b, c, d, e, f] = frame.addr2().unwrap_or_default().0;
    let [_, _, pn5, pn4, pn3, pn2, pn1, pn0] = pn.value().to_be_bytes();
    let nonce = [a, b, c, d, e, f, pn5, pn4, pn3, pn2, pn1, pn0, 0, 0, 0, 0];
    let mut octets = [0; MAX_AAD_LEN];
    let len = write_aad(frame, spp_amsdu, &mut octets);
    let mut aad = [[0; 16]; 2];
    aad.as_flattened_mut()[..MAX_AAD_LEN].copy_from_slice(&octets);
    (nonce, aad, len)
}
