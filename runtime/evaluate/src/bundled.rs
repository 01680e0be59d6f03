//! Kernels that are part of this program, since no spec of format 1 names any: what they say is
//! reported, never paid and never hashed. The bytes are the pinned ones.

/// A kernel's name and its component.
pub(crate) type Bundled = (&'static str, &'static [u8]);

macro_rules! bundled {
    ($($name:ident: $file:literal;)*) => {$(
        pub(crate) const $name: Bundled = (
            $file,
            include_bytes!(concat!("../../../eval-specs/kernels/", $file, ".wasm")),
        );
    )*};
}

bundled! {
    CONTAMINATION: "contamination-1.0.0";
    DIVERSITY: "diversity-1.0.0";
    METRICS: "metrics-1.0.0";
    SIMILARITY: "similarity-1.0.0";
}
