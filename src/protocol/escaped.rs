//! How long a text is in JSON, known without writing it. Pure.

/// The bytes of a text between the quotes of JSON. This runs for every trigger: without branches, and with sums that fit
/// into a byte, many bytes are looked at at once.
pub(super) fn escaped_bytes(text: &str) -> usize {
    /// Of that many bytes, each with five more at most.
    const CHUNK: usize = 48;
    let more = |byte: u8| {
        let is_quoted = (byte == b'"') | (byte == b'\\');
        let has_letter = (byte == 0x08) | (byte == b'\t') | (byte == b'\n') | (byte == 0x0C) | (byte == b'\r');
        u8::from(is_quoted | has_letter) + u8::from((byte < 0x20) & !has_letter) * 5
    };
    let chunks = text.as_bytes().chunks(CHUNK);
    text.len() + chunks.map(|chunk| usize::from(chunk.iter().map(|byte| more(*byte)).sum::<u8>())).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_what_is_written_of_it() {
        let every_character: String = (0..0x300).filter_map(char::from_u32).collect();
        for text in ["", "{}", "\u{1F600}\u{2028}", &every_character, &"\"".repeat(70), &"\u{1}".repeat(70)] {
            let written = serde_json::to_string(text).unwrap();
            assert_eq!(escaped_bytes(text), written.len() - 2, "{written}");
        }
    }
}
