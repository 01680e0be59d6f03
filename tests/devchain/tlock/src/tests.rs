//! A commit that the Bittensor SDK made for round 1000 of quicknet, and that round's signature.

use alloc::vec::Vec;

use super::open;

const SIGNATURE: &str = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125\
                         e342b73a8dd2bacbe47e4b6b63ed5e39";

const COMMIT: &str = "\
    90fd64da7d2d7afc61904cb3b5c0f7f2cf69e355cb94879240471ef88833fea7fe133ec2c6470135\
    2f83823eae8b4d0f02a36695325710fe43480df3202d47976038dfd70caa821d28a71f8c73c17ef3\
    20378c2dbb9cdd7e9509fce3a7077bbe20000000000000008b43f63a8f9e41ce218ac5552f977ad6\
    d00673e396634352824a157876893d7420000000000000005cf72a8acaf6cafd436f7b6c5e2b879b\
    58af86a197116f6a43aef12b53255ae75b000000000000003f000000000000003497b58bf74e4e2c\
    34fec4e4861743d5bb6a7e394f9bc64cc1b917cfdb9d15b170414349e3ffea8dea1a6aed569bbeb0\
    f233df2c6a707d704ae3ceabb15a9f0c00000000000000340c097a9584c52a9c15ddfd0800000000\
    0000004145535f47434d5f";

const PLAIN: &str = "\
    800cca78b9e3dba207c035a1d951dabe10fcd4714f94791e6a8511224bb132080704e9af040000f7\
    984ba5a51500af";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn the_rounds_signature_opens_what_the_sdk_encrypted() {
    assert_eq!(open(&bytes(COMMIT), &bytes(SIGNATURE)), Some(bytes(PLAIN)));
}

#[test]
fn damage_opens_nothing() {
    let (commit, signature) = (bytes(COMMIT), bytes(SIGNATURE));
    // In U, V, W, a length, the ciphertext and the nonce.
    for at in [5, 110, 150, 184, 210, 280] {
        let mut damaged = commit.clone();
        damaged[at] ^= 1;
        assert_eq!(open(&damaged, &signature), None, "byte {at}");
    }
    assert_eq!(open(&commit[..commit.len() / 2], &signature), None);
    assert_eq!(open(&commit, &signature[..47]), None);
    assert_eq!(open(&[], &signature), None);
}
