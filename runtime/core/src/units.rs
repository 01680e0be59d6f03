//! Units as types, so that a nat is never added to a token.

use serde::{Deserialize, Serialize};

macro_rules! units {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);
    )*};
}

units! {
    /// Millionths of a nat (natural-log unit of information); signed.
    MicroNats(i64);
    /// Millionths: a recipe's real-valued setting as an exact decimal.
    Micro(u64);
    /// Parts per million of a whole.
    Ppm(u32);
    /// Wasmtime fuel: roughly one per executed WebAssembly instruction.
    Fuel(u64);
    /// A number of bytes.
    Bytes(u64);
    /// A training step, counted from 0.
    StepIndex(u32);
}

impl MicroNats {
    /// The value in nats, for people: six decimals and a sign.
    #[must_use]
    pub fn display(self) -> String {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { '-' } else { '+' };
        format!("{sign}{}.{:06}", magnitude / 1_000_000, magnitude % 1_000_000)
    }
}

impl Micro {
    /// The nearest f64: one correctly rounded division.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nats_print_with_sign_and_six_decimals() {
        assert_eq!(MicroNats(-50_001).display(), "-0.050001");
        assert_eq!(MicroNats(1_386_294).display(), "+1.386294");
    }
}
