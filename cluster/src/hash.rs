//! The hash by which nodes compare what they know. It crosses the wire, so it must be the same in every release and on
//! every machine; it guards against loss and bugs, not against forgery.

/// FNV-1a, then a finish that spreads every bit, so that sums of hashes can stand for sets.
pub fn hash(bytes: &[u8]) -> u64 {
    spread(fold(BASIS, bytes))
}

/// The hash of texts with a zero byte between them.
pub fn hash_texts(texts: &[&str]) -> u64 {
    let (first, others) = texts.split_first().unwrap_or((&"", &[]));
    let folded =
        others.iter().fold(fold(BASIS, first.as_bytes()), |state, text| fold(fold(state, b"\0"), text.as_bytes()));
    spread(folded)
}

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

fn fold(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A bijection under which neighbouring numbers become strangers.
pub fn spread(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes_between_releases() {
        assert_eq!(hash(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(hash(b"gaung"), 2_533_439_377_223_745_424);
        assert_eq!(hash_texts(&["shop", "", "7"]), hash(b"shop\x00\x007"));
    }
}
