//! The chart of a letter, as a PNG: mail programs show no SVG. Columns are rectangles, so that drawing and encoding them is
//! less than a crate for it would be; words stand beside the picture, where everybody can read them.

use flate2::{Compression, Crc, write::ZlibEncoder};
use std::io::Write as _;

use crate::{chart::axis, figures::whole};

/// Width and height of the picture, in pixels: twice what it is shown at, for fine screens.
const SIZE: [usize; 2] = [1120, 280];
/// Colours: the card, lines, the period before, the period.
const COLOURS: [[u8; 3]; 4] = [[255, 254, 251], [229, 224, 213], [181, 203, 199], [20, 96, 90]];
const LINE: u8 = 1;
const BEFORE: u8 = 2;
const NOW: u8 = 3;

struct Canvas {
    /// One byte for each pixel: the number of its colour.
    pixels: Vec<u8>,
}

impl Canvas {
    /// Fills a rectangle; what is outside of the picture is left out.
    fn fill(&mut self, [left, top]: [usize; 2], [right, bottom]: [usize; 2], colour: u8) {
        let [width, height] = SIZE;
        for row in top.min(height)..bottom.min(height) {
            let start = row * width;
            self.pixels[start + left.min(width)..start + right.clamp(left.min(width), width)].fill(colour);
        }
    }
}

/// Draws a column for each day, and beside it the one of the period before.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // Columns are drawn.
pub(super) fn columns(now: &[u64], before: &[u64]) -> Vec<u8> {
    let [width, height] = SIZE;
    let mut canvas = Canvas { pixels: vec![0; width * height] };
    let most = now.iter().chain(before).copied().max().unwrap_or(0);
    let (step, top) = axis(most as f64, true);
    // Two pixels at the bottom are the base line.
    let floor = height - 2;
    let pixels = |value: f64| whole(value / top * (floor - 8) as f64) as usize;
    let mut line = 0.0;
    while line <= top + step / 2.0 {
        let y = floor - pixels(line);
        canvas.fill([0, y], [width, y + 2], LINE);
        line += step;
    }
    let slot = width / now.len().max(1);
    let column = slot * 2 / 5;
    for (n, visitors) in now.iter().enumerate() {
        let left = n * slot + (slot - 2 * column) / 2;
        let earlier = before.get(n).copied().unwrap_or(0);
        for (place, value, colour) in [(0, earlier, BEFORE), (1, *visitors, NOW)] {
            let left = left + place * column;
            // Something is never drawn as nothing.
            let high = if value > 0 { pixels(value as f64).max(3) } else { 0 };
            canvas.fill([left, floor - high], [left + column.saturating_sub(2), floor], colour);
        }
    }
    encode(&canvas)
}

/// The picture as a PNG with a palette (ISO/IEC 15948).
fn encode(canvas: &Canvas) -> Vec<u8> {
    let [width, height] = SIZE;
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in canvas.pixels.chunks(width) {
        // Each row says first how it was filtered: not at all. Writing to memory cannot fail.
        let _written = rows.write_all(&[0]).and_then(|()| rows.write_all(row));
    }
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = Vec::new();
    for side in [width, height] {
        head.extend(u32::try_from(side).unwrap_or_default().to_be_bytes());
    }
    // Eight bits, of a palette; compression, filter and interlacing as usual.
    head.extend([8, 3, 0, 0, 0]);
    chunk(&mut out, *b"IHDR", &head);
    chunk(&mut out, *b"PLTE", COLOURS.as_flattened());
    chunk(&mut out, *b"IDAT", &rows.finish().unwrap_or_default());
    chunk(&mut out, *b"IEND", &[]);
    out
}

fn chunk(out: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    let mut sum = Crc::new();
    sum.update(&name);
    sum.update(data);
    out.extend(u32::try_from(data.len()).unwrap_or_default().to_be_bytes());
    out.extend(name);
    out.extend(data);
    out.extend(sum.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// The pixels of a picture, read back as a viewer would.
    fn decode(png: &[u8]) -> Vec<u8> {
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let (mut at, mut data, mut names) = (8, Vec::new(), Vec::new());
        while at < png.len() {
            let length = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
            let body = &png[at + 4..at + 8 + length];
            let mut sum = Crc::new();
            sum.update(body);
            assert_eq!(png[at + 8 + length..at + 12 + length], sum.sum().to_be_bytes());
            names.push(body[..4].to_vec());
            if &body[..4] == b"IDAT" {
                data.extend(&body[4..]);
            }
            at += 12 + length;
        }
        assert_eq!(names.concat(), b"IHDRPLTEIDATIEND");
        let mut rows = Vec::new();
        flate2::read::ZlibDecoder::new(&data[..]).read_to_end(&mut rows).unwrap();
        let rows = rows.chunks(SIZE[0] + 1);
        assert_eq!(rows.len(), SIZE[1]);
        rows.flat_map(|row| row[1..].to_vec()).collect()
    }

    fn height_of(pixels: &[u8], colour: u8) -> usize {
        (0..SIZE[1]).filter(|row| pixels[row * SIZE[0]..(row + 1) * SIZE[0]].contains(&colour)).count()
    }

    #[test]
    fn column_is_as_high_as_its_share_and_the_period_before_stands_beside_it() {
        let pixels = decode(&columns(&[50, 0, 0, 0, 0, 0, 0], &[100, 0, 0, 0, 0, 0, 0]));
        let (now, before) = (height_of(&pixels, NOW), height_of(&pixels, BEFORE));
        assert_eq!(before, 2 * now);
        assert!(before > SIZE[1] * 9 / 10, "{before}");
        let few = decode(&columns(&[1, 100_000], &[]));
        assert!(few.iter().filter(|pixel| **pixel == NOW).count() > 0);
        assert_eq!(height_of(&few, BEFORE), 0);
    }

    #[test]
    fn picture_of_nothing_and_of_many_days_is_drawn() {
        for days in [0, 1, 7, 31, 2_000] {
            for most in [0, 1, u64::from(u32::MAX)] {
                let png = columns(&vec![most; days], &vec![most; days + 1]);
                assert_eq!(decode(&png).len(), SIZE[0] * SIZE[1]);
                assert!(png.len() < 20_000, "{days} days of {most}: {} bytes", png.len());
            }
        }
    }
}
