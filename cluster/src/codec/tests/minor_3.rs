//! What minor version 3 brought: questions, claims of pages, and a beat that says what its node reads.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    codec::{CLAIM, HEADER, LOST_CLAIM, claim_hash, decode, encode},
    frame::{Beat, Frame, LostClaimsPage, Numbered, Rest, SnapshotPage, Stream, Unnumbered},
    page::{Claim, LostClaim, PageClaim, PageHash, Standing},
    room::NodeId,
};

pub(super) fn claims() -> Vec<PageClaim> {
    let claim = |byte, claim| PageClaim { page: PageHash([byte; 16]), claim };
    vec![
        claim(7, Some(Claim::new(1_000, Standing::UpToDate))),
        claim(8, Some(Claim::new(u64::MAX, Standing::Owing))),
        claim(9, None),
    ]
}

pub(super) fn lost_claims() -> Vec<LostClaim> {
    let claim = Claim::new(1_000, Standing::Owing);
    vec![LostClaim {
        node: NodeId::from_bits(3),
        page: PageHash([7; 16]),
        claim,
        silent_for: Duration::from_millis(6_500),
    }]
}

pub(super) fn questions() -> [Unnumbered; 2] {
    let question = Unnumbered::Question { number: 7, question: Bytes::from_static(b"who") };
    [question, Unnumbered::Answer { number: 7, answer: Bytes::new() }]
}

#[test]
fn a_question_and_its_answer_are_these_bytes() {
    let of = |body: Unnumbered| encode(&Frame { origin: NodeId::from_bits(1), number: 42, body: body.into() });
    let question = of(Unnumbered::Question { number: 7, question: "who".into() });
    assert_eq!(question[..4], [1, 36, 3, 13]);
    assert_eq!(question[HEADER..], *b"\0\0\0\0\0\0\0\x07\0\0\0\x03who");
    let answer = of(Unnumbered::Answer { number: 7, answer: Bytes::new() });
    assert_eq!((answer[2], answer[3], &answer[HEADER..]), (3, 14, &b"\0\0\0\0\0\0\0\x07\0\0\0\0"[..]));
}

#[test]
fn an_earlier_release_does_not_say_what_it_reads() {
    let Unnumbered::Beat(beat) = super::unnumbered().swap_remove(0) else { panic!("the first is a beat") };
    let of = |minor| {
        let body = Unnumbered::Beat(Beat { minor, ..beat.clone() });
        encode(&Frame { origin: NodeId::from_bits(1), number: 42, body: body.into() })
    };
    let (earlier, later) = (of(0), of(3));
    assert_eq!((earlier[2], later[2]), (0, 3));
    assert_eq!((&earlier[3..], &later[earlier.len()..]), (&later[3..earlier.len()], &b"\x03\0\0\0\0\0\0\0\x0b"[..]));
    assert!(decode(earlier).is_ok());
}

fn bytes_of(body: Unnumbered) -> Bytes {
    encode(&Frame { origin: NodeId::from_bits(1), number: 42, body: body.into() })
}

#[test]
fn claims_are_these_bytes_in_a_kind_that_an_earlier_release_passes_over() {
    let body = Numbered::Claims(claims()[..1].to_vec()).after(41);
    let bytes = encode(&Frame { origin: NodeId::from_bits(1), number: 42, body });
    assert_eq!((bytes[2], bytes[3], &bytes[28..HEADER]), (3, 0x85, &Stream::STATE.bits().to_be_bytes()[..]));
    let claim = [&[7; 16][..], &2_000_u64.to_be_bytes()].concat();
    assert_eq!(bytes[HEADER..], [&[0, 0, 0, 1][..], &claim].concat());
    assert_eq!(claim.len(), CLAIM);
    let hashes: Vec<u64> = claims().iter().map(claim_hash).collect();
    // Nodes of all releases compare them.
    assert_eq!(hashes, [10_792_609_837_687_033_545, 17_981_447_312_565_637_821, 8_691_750_453_326_988_843]);
}

#[test]
fn a_part_of_a_snapshot_of_claims_is_these_bytes() {
    let page = SnapshotPage { state: 5, after: Some(PageHash([1; 16])), rest: Rest::Nothing, facts: Vec::new() };
    let bytes = bytes_of(Unnumbered::Claims(page));
    let body = [&5_u64.to_be_bytes()[..], &[1], &[1; 16], &[0], &[0; 4]].concat();
    assert_eq!((bytes[2], bytes[3], &bytes[HEADER..]), (3, 16, &body[..]));
    let question = bytes_of(Unnumbered::AskClaims { after: Some(PageHash([1; 16])) });
    assert_eq!((question[3], &question[HEADER..]), (15, &[1; 17][..]));
}

#[test]
fn claims_of_dead_nodes_are_these_bytes() {
    let page = LostClaimsPage { after: None, rest: Rest::More, claims: lost_claims() };
    let bytes = bytes_of(Unnumbered::LostClaims(page));
    let claim = [&3_u64.to_be_bytes()[..], &[7; 16], &2_001_u64.to_be_bytes(), &6_500_u64.to_be_bytes()].concat();
    assert_eq!(claim.len(), LOST_CLAIM);
    assert_eq!((bytes[3], &bytes[HEADER..]), (18, &[&[0, 1, 0, 0, 0, 1][..], &claim].concat()[..]));
    let question = bytes_of(Unnumbered::AskLostClaims { after: Some(lost_claims()[0].key()) });
    assert_eq!((question[3], &question[HEADER..]), (17, &[&[1][..], &claim[..24]].concat()[..]));
}
