//! The fields of a commitment, encoded as the chain has them: raw bytes are one variant for each
//! length, so that the variant's number tells it.

use alloc::vec;
use alloc::vec::Vec;

use codec::{
    Decode, DecodeWithMemTracking, Encode, EncodeLike, Error, Input, MaxEncodedLen, Output,
};
use frame_support::BoundedVec;
use frame_support::traits::ConstU32;
use scale_info::build::{Fields, Variants};
use scale_info::{Path, Type, TypeInfo};

/// Bytes behind their length, at most so many.
type Bytes<const MOST: u32> = BoundedVec<u8, ConstU32<MOST>>;

/// What a key commits to.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct CommitmentInfo {
    /// Its parts.
    pub fields: BoundedVec<Data, ConstU32<3>>,
}

/// A part of a commitment.
///
/// Byte format: 0, nothing; n + 1, n raw bytes, n at most 128; 130 to 133, a hash of 32 bytes; 134,
/// encrypted bytes behind their compact length, then the round (8 bytes, least significant first);
/// 135, nothing; 136, bytes behind their compact length.
#[derive(Clone, Debug, Default, PartialEq, Eq, DecodeWithMemTracking, MaxEncodedLen)]
pub enum Data {
    /// Nothing.
    #[default]
    None,
    /// Bytes.
    Raw(Bytes<128>),
    /// A hash.
    BlakeTwo256([u8; 32]),
    /// A hash.
    Sha256([u8; 32]),
    /// A hash.
    Keccak256([u8; 32]),
    /// A hash.
    ShaThree256([u8; 32]),
    /// Bytes that the beacon's round opens.
    TimelockEncrypted {
        /// The bytes.
        encrypted: Bytes<1024>,
        /// The round.
        reveal_round: u64,
    },
    /// Asks that the subnet's bonds begin anew.
    ResetBondsFlag,
    /// More bytes.
    BigRaw(Bytes<512>),
}

impl Data {
    /// How many bytes count against what a key may commit in an epoch.
    #[must_use]
    pub fn space(&self) -> u64 {
        let bytes = match self {
            Self::None | Self::ResetBondsFlag => 0,
            Self::Raw(bytes) => bytes.len(),
            Self::BigRaw(bytes) => bytes.len(),
            Self::TimelockEncrypted { encrypted, .. } => encrypted.len(),
            Self::BlakeTwo256(hash)
            | Self::Sha256(hash)
            | Self::Keccak256(hash)
            | Self::ShaThree256(hash) => hash.len(),
        };
        bytes as u64
    }
}

impl Encode for Data {
    fn encode_to<O: Output + ?Sized>(&self, output: &mut O) {
        match self {
            Self::None => output.push_byte(0),
            Self::Raw(bytes) => {
                output.push_byte(bytes.len() as u8 + 1);
                output.write(bytes);
            }
            Self::BlakeTwo256(hash) => (130_u8, hash).encode_to(output),
            Self::Sha256(hash) => (131_u8, hash).encode_to(output),
            Self::Keccak256(hash) => (132_u8, hash).encode_to(output),
            Self::ShaThree256(hash) => (133_u8, hash).encode_to(output),
            Self::TimelockEncrypted { encrypted, reveal_round } => {
                (134_u8, encrypted, reveal_round).encode_to(output);
            }
            Self::ResetBondsFlag => output.push_byte(135),
            Self::BigRaw(bytes) => (136_u8, bytes).encode_to(output),
        }
    }
}

impl EncodeLike for Data {}

impl Decode for Data {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        Ok(match input.read_byte()? {
            0 => Self::None,
            tag @ 1..=129 => {
                let mut bytes = vec![0; usize::from(tag - 1)];
                input.read(&mut bytes)?;
                Self::Raw(bytes.try_into().map_err(|_: Vec<u8>| "too long")?)
            }
            130 => Self::BlakeTwo256(Decode::decode(input)?),
            131 => Self::Sha256(Decode::decode(input)?),
            132 => Self::Keccak256(Decode::decode(input)?),
            133 => Self::ShaThree256(Decode::decode(input)?),
            134 => {
                let (encrypted, reveal_round) = Decode::decode(input)?;
                Self::TimelockEncrypted { encrypted, reveal_round }
            }
            135 => Self::ResetBondsFlag,
            136 => Self::BigRaw(Decode::decode(input)?),
            _ => return Err("no kind of data".into()),
        })
    }
}

impl TypeInfo for Data {
    type Identity = Self;

    fn type_info() -> Type {
        let mut variants = Variants::new().variant("None", |variant| variant.index(0));
        macro_rules! raw {
            ($($length:literal)*) => {$(
                variants = variants.variant(concat!("Raw", $length), |variant| {
                    let bytes = Fields::unnamed().field(|field| field.ty::<[u8; $length]>());
                    variant.index($length + 1).fields(bytes)
                });
            )*};
        }
        raw!(
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60
            61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89
            90 91 92 93 94 95 96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111 112 113
            114 115 116 117 118 119 120 121 122 123 124 125 126 127 128
        );
        let hashes =
            [(130, "BlakeTwo256"), (131, "Sha256"), (132, "Keccak256"), (133, "ShaThree256")];
        for (index, name) in hashes {
            variants = variants.variant(name, |variant| {
                let hash = Fields::unnamed().field(|field| field.ty::<[u8; 32]>());
                variant.index(index).fields(hash)
            });
        }
        let variants = variants
            .variant("TimelockEncrypted", |variant| {
                let fields = Fields::named()
                    .field(|field| field.name("encrypted").ty::<Bytes<1024>>())
                    .field(|field| field.name("reveal_round").ty::<u64>());
                variant.index(134).fields(fields)
            })
            .variant("ResetBondsFlag", |variant| variant.index(135))
            .variant("BigRaw", |variant| {
                let bytes = Fields::unnamed().field(|field| field.ty::<Bytes<512>>());
                variant.index(136).fields(bytes)
            });
        Type::builder().path(Path::new("Data", module_path!())).variant(variants)
    }
}
