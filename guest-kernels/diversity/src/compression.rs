//! Compression ratio (Shaib et al. 2024): how much repetition a general compressor finds.

use miniz_oxide::deflate::compress_to_vec;

/// The usual level of zlib and gzip.
const LEVEL: u8 = 6;

/// Bytes of all texts, each with a line end, divided by the bytes of their DEFLATE stream (RFC
/// 1951, without header or checksum); 0 if there are no texts.
pub(crate) fn ratio(texts: &[String]) -> f64 {
    if texts.is_empty() {
        return 0.0;
    }
    let bytes = lines(texts);
    // An empty stream has two bytes, so this divides by no less.
    bytes.len() as f64 / compress_to_vec(&bytes, LEVEL).len() as f64
}

fn lines(texts: &[String]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(texts.iter().map(|text| text.len() + 1).sum());
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::inflate::decompress_to_vec;

    fn texts(count: usize, text: impl Fn(usize) -> String) -> Vec<String> {
        (0..count).map(text).collect()
    }

    #[test]
    fn the_stream_holds_the_lines() {
        let texts = texts(500, |row| format!("row {row} of {}", row * row));
        let stream = compress_to_vec(&lines(&texts), LEVEL);
        let back = decompress_to_vec(&stream).unwrap();
        assert_eq!(
            back,
            texts.iter().map(|text| format!("{text}\n")).collect::<String>().into_bytes()
        );
    }

    // Beside each: what zlib 1.2.13 gives (level 6, raw), which picks other matches.
    #[test]
    fn ratio_is_pinned() {
        let varied = texts(500, |row| format!("row {row} has the square {}", row * row));
        let same = texts(1000, |_| "the very same answer.".to_owned());
        assert_eq!(lines(&varied).len(), 14_427);
        assert_eq!(ratio(&varied), 14_427.0 / 2_935.0); // 2943
        assert_eq!(ratio(&same), 22_000.0 / 96.0); // 97
        assert_eq!(ratio(&[String::new()]), 1.0 / 3.0); // 3
        assert_eq!(ratio(&[]), 0.0);
    }
}
