//! What the kernel asks of a processor: vectors of 16-octet blocks, AES rounds and carry-less products on them.

/// A block of AES and of GHASH.
pub(super) type Block = [u8; 16];

/// The instructions of one kind of processor. A value of such a type is the proof that this processor has them: the types are made by
/// detection only. So the methods are safe, and the kernel, which is written once over this trait, needs no `unsafe`.
///
/// A vector holds [`Isa::LANES`] blocks; every operation works on each block by itself.
pub(super) trait Isa: Copy {
    /// Blocks in a vector.
    const LANES: usize;
    /// A vector.
    type V: Copy;

    /// All bits clear.
    fn zero(self) -> Self::V;
    /// The same block in every lane.
    fn splat(self, block: &Block) -> Self::V;
    /// One of `blocks` in each lane; there are `LANES`.
    fn gather(self, blocks: &[&Block]) -> Self::V;
    /// The first `LANES` blocks of `octets`, which has as many.
    fn load(self, octets: &[u8]) -> Self::V;
    /// The blocks of `octets`, which are whole, as many as fit; the other lanes are zero.
    fn load_some(self, octets: &[u8]) -> Self::V;
    /// Writes the vector to the front of `octets`, which has room.
    fn store(self, v: Self::V, octets: &mut [u8]);
    /// Writes as many lanes as `octets`, which is whole blocks, has room for.
    fn store_some(self, v: Self::V, octets: &mut [u8]);
    /// The exclusive or of all lanes in the first one, the others zero.
    fn fold(self, v: Self::V) -> Self::V;

    /// Exclusive or.
    fn xor(self, a: Self::V, b: Self::V) -> Self::V;
    /// And.
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    /// Adds 32-bit words, least significant octet first.
    fn add32(self, a: Self::V, b: Self::V) -> Self::V;
    /// Octet `i` of the result is octet `table[i]`, for entries below 16.
    fn permute(self, v: Self::V, table: Self::V) -> Self::V;
    /// The two 64-bit halves of each block change places.
    fn swap_halves(self, v: Self::V) -> Self::V;
    /// For each 32-bit word the exclusive or of it and those before it in its block.
    fn prefix_xor32(self, v: Self::V) -> Self::V;
    /// Each block as a 128-bit number, least significant octet first, times x in the field of [`super::ghash`].
    fn double(self, v: Self::V) -> Self::V;

    /// ShiftRows, SubBytes, MixColumns, then exclusive or with the round key.
    fn aes_round(self, v: Self::V, key: Self::V) -> Self::V;
    /// The last round: without MixColumns.
    fn aes_last(self, v: Self::V, key: Self::V) -> Self::V;

    /// Carry-less product of the low halves.
    fn mul_low(self, a: Self::V, b: Self::V) -> Self::V;
    /// Carry-less product of the high halves.
    fn mul_high(self, a: Self::V, b: Self::V) -> Self::V;
    /// Low half of the one times high half of the other, both ways, added.
    fn mul_cross(self, a: Self::V, b: Self::V) -> Self::V;
}
