//! A check of what is in the file: redb has sums over its pages, but looks at them only after a crash.

/// What is stored, with its sum in front. The sum covers the key too: a value belongs to its key.
pub(super) fn close(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut value = vec![0; 4];
    parts.iter().for_each(|part| value.extend_from_slice(part));
    let sum = sum(key, &value[4..]);
    value[..4].copy_from_slice(&sum);
    value
}

/// What was stored; `None`: something else is there.
pub(super) fn open<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (there, value) = value.split_first_chunk()?;
    (*there == sum(key, value)).then_some(value)
}

/// FNV-1a over both, of 64 bits, folded. Against accidents; who writes the file could compute it.
fn sum(key: &[u8], value: &[u8]) -> [u8; 4] {
    let length = (key.len() as u32).to_be_bytes();
    let all = length.iter().chain(key).chain(value);
    let sum = all.fold(0xcbf2_9ce4_8422_2325_u64, |sum, &octet| {
        (sum ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3)
    });
    ((sum ^ (sum >> 32)) as u32).to_be_bytes()
}
