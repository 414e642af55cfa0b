//! The token that a group shares, and proofs of knowing it that do not give it away.

use sha2::{Digest, Sha256};

/// What only ranks of a group know.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Vec<u8>);

/// A proof: HMAC-SHA-256 (RFC 2104) over what was said.
pub(crate) type Proof = [u8; 32];

/// A number that is used once.
pub(crate) type Nonce = [u8; 32];

impl Token {
    /// A token of these bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().to_vec())
    }

    /// The proof over parts that are told apart by their lengths.
    pub(crate) fn proof(&self, parts: &[&[u8]]) -> Proof {
        const BLOCK: usize = 64;
        let mut key = [0_u8; BLOCK];
        if self.0.len() > BLOCK {
            key[..32].copy_from_slice(&Sha256::digest(&self.0));
        } else {
            key[..self.0.len()].copy_from_slice(&self.0);
        }
        let padded = |with: u8| key.map(|byte| byte ^ with);
        let mut inner = Sha256::new_with_prefix(padded(0x36));
        for part in parts {
            inner.update((part.len() as u64).to_le_bytes());
            inner.update(part);
        }
        Sha256::new_with_prefix(padded(0x5c)).chain_update(inner.finalize()).finalize().into()
    }

    /// Whether a proof is right; takes as long for each wrong one.
    pub(crate) fn proves(&self, parts: &[&[u8]], proof: &[u8]) -> bool {
        let right = self.proof(parts);
        proof.len() == right.len() && right.iter().zip(proof).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }

    /// The token of one session of a group that has this one.
    pub(crate) fn session(&self, nonce: &Nonce) -> Self {
        Self(self.proof(&[b"session", nonce]).to_vec())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token")
    }
}

/// A number that nobody can foresee.
pub(crate) fn nonce() -> Nonce {
    rand::random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_hmac() {
        // Of Python's `hmac`, over parts that begin with their lengths as 8 bytes, the lowest first.
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let short = Token::new("Jefe");
        assert_eq!(hex(&short.proof(&[])), "923598ca6d64af2a5dba79dcd021a8a0fe5c5f557519adaaf0ad532d4506dd30");
        assert_eq!(
            hex(&short.proof(&[b"what do ya want for nothing?"])),
            "c0b77cf99718fc7f09c8727ff74305bde25761b2db20b1081cfcc82a3ec6029e"
        );
        assert_eq!(
            hex(&Token::new([0xaa; 131]).proof(&[b"larger", b"than a block"])),
            "f85058ee0b8b0c87e507166704605d18dc2938984394a38c9d04c8e1735844b4"
        );
    }

    #[test]
    fn proofs_hold_for_their_parts_alone() {
        let token = Token::new([7; 100]);
        let proof = token.proof(&[b"ab", b"c"]);
        assert!(token.proves(&[b"ab", b"c"], &proof));
        assert!(!token.proves(&[b"a", b"bc"], &proof), "parts are told apart");
        assert!(!token.proves(&[b"ab", b"c"], &proof[..31]));
        assert!(!Token::new([8; 100]).proves(&[b"ab", b"c"], &proof));
        assert_eq!(format!("{token:?}"), "Token", "never shown");
    }
}
