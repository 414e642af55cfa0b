//! Whether a request comes from whom it should: HMAC-SHA256 over its body.

use sha2::{Digest, Sha256};

use crate::ids::hex;

/// Block of SHA-256 in bytes.
const BLOCK: usize = 64;

/// HMAC-SHA256 of RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |byte: u8| block.map(|own| own ^ byte);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

/// Whether a header (`sha256=…` in hex, or the hex alone) is the signature of a body.
pub(crate) fn is_signed(secret: &str, body: &[u8], header: &str) -> bool {
    let given = header.trim().strip_prefix("sha256=").unwrap_or(header.trim()).to_ascii_lowercase();
    same(given.as_bytes(), hex(&hmac(secret.as_bytes(), body)).as_bytes())
}

/// Whether a token is the right one, in a time that does not tell where it differs.
pub(crate) fn is_same(given: &str, wanted: &str) -> bool {
    same(given.as_bytes(), wanted.as_bytes())
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub(crate) fn same(given: &[u8], wanted: &[u8]) -> bool {
    // Through a hash, so that neither length nor place shows.
    let (given, wanted) = (Sha256::digest(given), Sha256::digest(wanted));
    given.iter().zip(wanted.iter()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_rfc_4231() {
        for (key, message, expected) in [
            (vec![0x0b; 20], b"Hi There".to_vec(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&hmac(&key, &message)), expected);
        }
    }

    #[test]
    fn only_the_right_signature_is_one() {
        let header = format!("sha256={}", hex(&hmac(b"secret", b"body")));
        assert!(is_signed("secret", b"body", &header));
        assert!(is_signed("secret", b"body", &header["sha256=".len()..]));
        assert!(is_signed("secret", b"body", &header.to_uppercase().replace("SHA256=", "sha256=")));
        for (secret, body, header) in [
            ("other", &b"body"[..], header.as_str()),
            ("secret", b"body ", &header),
            ("secret", b"body", ""),
            ("secret", b"body", "sha256="),
            ("secret", b"body", &header[..header.len() - 1]),
        ] {
            assert!(!is_signed(secret, body, header));
        }
    }
}
