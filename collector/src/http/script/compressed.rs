//! One combination of parts, ready to send.

use std::io::Write;

use base64ct::Encoding as _;
use bytes::Bytes;
use http::HeaderValue;
use sha2::Digest as _;

/// Length of a version: 64 bits of the content's hash.
pub(super) const VERSION_CHARS: usize = 16;
/// Best compression level: used once per cached combination.
const BROTLI_BEST: u32 = 11;
/// Compression level that costs about as much as sending.
const BROTLI_FAST: u32 = 4;
/// Window of brotli, as a power of two.
const BROTLI_WINDOW: u32 = 22;

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// For cached combinations.
    Best,
    /// For combinations that are sent once.
    Fast,
}

/// A script in the encodings that browsers accept.
pub(super) struct Compressed {
    pub(super) plain: Bytes,
    pub(super) gzip: Bytes,
    pub(super) brotli: Bytes,
    /// Hash of the uncompressed bytes.
    pub(super) version: String,
    pub(super) etag: HeaderValue,
}

impl Compressed {
    pub(super) fn new(plain: Vec<u8>, effort: Effort) -> Option<Self> {
        let (level, quality) = match effort {
            Effort::Best => (flate2::Compression::best(), BROTLI_BEST),
            Effort::Fast => (flate2::Compression::fast(), BROTLI_FAST),
        };
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
        let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, quality, BROTLI_WINDOW);
        // Writing to memory cannot fail; if it does, the script is not served.
        gzip.write_all(&plain).ok()?;
        brotli.write_all(&plain).ok()?;
        let version = blake3::hash(&plain).to_hex()[..VERSION_CHARS].to_owned();
        Some(Self {
            gzip: gzip.finish().ok()?.into(),
            brotli: brotli.into_inner().into(),
            etag: HeaderValue::from_str(&format!("\"{version}\"")).ok()?,
            version,
            plain: plain.into(),
        })
    }

    /// Value for the attribute `integrity`, computed over the uncompressed bytes, as browsers check it.
    pub(super) fn integrity(&self) -> String {
        let digest = sha2::Sha384::digest(&self.plain);
        format!("sha384-{}", base64ct::Base64::encode_string(&digest))
    }
}
