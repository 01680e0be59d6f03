//! The pixels of a PNG file as browsers write them: eight bits a channel, not interlaced.
//!
//! Only as much of the format as that takes, by the W3C's specification; checksums are not checked.

use std::io::Read as _;

use anyhow::{Context, bail, ensure};

/// A picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Red, green and blue, row by row.
    pub(super) pixels: Vec<[u8; 3]>,
}

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Most bytes that a picture may have once inflated: some 64 million pixels.
const INFLATED_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<Image> {
    let mut rest = bytes.strip_prefix(SIGNATURE).context("it is no PNG file")?;
    let (mut header, mut packed) = (None, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (kind, after) = after.split_at_checked(4).context("a chunk is cut short")?;
        let (data, after) = after.split_at_checked(length).context("a chunk is cut short")?;
        match kind {
            b"IHDR" => header = data.first_chunk::<13>().copied(),
            b"IDAT" => packed.extend_from_slice(data),
            _ => {}
        }
        rest = after.get(4..).context("a chunk has no checksum")?;
    }
    let header = header.context("it has no header")?;
    let number = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let (width, height) = (number(0), number(4));
    let channels = match header[8..] {
        [8, 2, 0, 0, 0] => 3,
        [8, 6, 0, 0, 0] => 4,
        _ => bail!("it is not eight bits a channel in colour, in one pass"),
    };
    let mut inflated = Vec::new();
    let decoder = flate2::read::ZlibDecoder::new(&packed[..]);
    decoder.take(INFLATED_BYTES_MAX).read_to_end(&mut inflated).context("its pixels")?;
    let line = width as usize * channels;
    ensure!(
        line > 0 && inflated.len() == (line + 1) * height as usize,
        "it has too many or too few pixels"
    );
    let mut pixels = Vec::new();
    let mut above = vec![0; line];
    for row in inflated.chunks_exact(line + 1) {
        let mut row = row.to_vec();
        let filter = row.remove(0);
        unfilter(filter, &mut row, &above, channels)?;
        pixels.extend(row.chunks_exact(channels).map(|pixel| [pixel[0], pixel[1], pixel[2]]));
        above = row;
    }
    Ok(Image { width, height, pixels })
}

/// Adds to each byte what its filter takes from those to the left, above, and above to the left.
fn unfilter(filter: u8, row: &mut [u8], above: &[u8], channels: usize) -> anyhow::Result<()> {
    for at in 0..row.len() {
        let before = at.checked_sub(channels);
        let (left, corner) = before.map_or((0, 0), |before| (row[before], above[before]));
        let up = above[at];
        let guess = match filter {
            0 => 0,
            1 => left,
            2 => up,
            3 => left.midpoint(up),
            4 => paeth(left, up, corner),
            _ => bail!("it has the unknown filter {filter}"),
        };
        row[at] = row[at].wrapping_add(guess);
    }
    Ok(())
}

/// The neighbour that is nearest to `left + up − corner`.
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let guess = i16::from(left) + i16::from(up) - i16::from(corner);
    let distance = |of: u8| guess.abs_diff(i16::from(of));
    [left, up, corner].into_iter().min_by_key(|of| distance(*of)).unwrap_or(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::read::ZlibEncoder;

    /// Two by two pixels, each row with a filter.
    fn file(rows: [[u8; 7]; 2]) -> Vec<u8> {
        let mut packed = Vec::new();
        let flat = rows.concat();
        ZlibEncoder::new(&flat[..], Compression::fast()).read_to_end(&mut packed).unwrap();
        let header = [0, 0, 0, 2, 0, 0, 0, 2, 8, 2, 0, 0, 0];
        let mut bytes = SIGNATURE.to_vec();
        for (kind, data) in [(b"IHDR", &header[..]), (b"IDAT", &packed), (b"IEND", &[])] {
            bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(kind);
            bytes.extend(data);
            bytes.extend([0; 4]);
        }
        bytes
    }

    #[test]
    fn filters_are_undone() {
        let expect = vec![[9, 8, 7], [10, 10, 10], [9, 9, 9], [12, 8, 8]];
        // None, then up; left, then nearest: each writes the same picture.
        for rows in [
            [[0, 9, 8, 7, 10, 10, 10], [2, 0, 1, 2, 2, 254, 254]],
            [[1, 9, 8, 7, 1, 2, 3], [4, 0, 1, 2, 2, 254, 254]],
        ] {
            let image = decode(&file(rows)).unwrap();
            assert_eq!((image.width, image.height), (2, 2));
            assert_eq!(image.pixels, expect, "{rows:?}");
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let whole = file([[0; 7]; 2]);
        assert!(decode(&whole).is_ok());
        assert!(decode(&whole[..whole.len() - 30]).is_err());
        assert!(decode(b"GIF89a").is_err());
        assert!(decode(&file([[9; 7]; 2])).is_err());
    }
}
