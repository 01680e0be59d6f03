//! In the making.
use crate::ids::AccountId;
pub struct Keypair(schnorrkel::Keypair);
impl Keypair {
    pub fn public(&self) -> AccountId {
        AccountId(self.0.public.to_bytes())
    }
    pub fn sign(&self, context: &[u8], m: &[u8]) -> [u8; 64] {
        self.0.sign_simple(context, m).to_bytes()
    }
}
