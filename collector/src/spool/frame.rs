//! The frame of a record: its length, the sum of its segment's salt, its sequence number and its bytes, and the bytes.

/// The longest record.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;
pub(super) const FRAME_HEADER: usize = 8;

pub(super) fn crc(salt: u64, sequence: u64, payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&salt.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &sequence.to_le_bytes());
    crc32c::crc32c_append(crc, payload)
}

/// Appends a frame to `out`.
pub(super) fn encode_frame(salt: u64, sequence: u64, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc(salt, sequence, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// The payload that a frame at the start of `bytes` would have by its length, and the sum that it should have.
pub(super) fn framed(bytes: &[u8]) -> Option<(&[u8], u32)> {
    let len = u32_at(bytes, 0)? as usize;
    if !(1..=RECORD_BYTES_MAX).contains(&len) {
        return None;
    }
    Some((bytes.get(FRAME_HEADER..FRAME_HEADER + len)?, u32_at(bytes, 4)?))
}

/// Reads the frame at the start of `bytes`; `None` if it is not whole.
pub(super) fn decode_frame(salt: u64, sequence: u64, bytes: &[u8]) -> Option<&[u8]> {
    let (payload, sum) = framed(bytes)?;
    (crc(salt, sequence, payload) == sum).then_some(payload)
}

/// How many bytes a frame takes on disk.
pub(super) const fn frame_len(payload: usize) -> usize {
    FRAME_HEADER + payload
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
