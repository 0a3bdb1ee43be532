//! Each algorithm with its key, and every way to confuse one with another.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

const ED25519: (&str, &str) = (
    include_str!("../../../tests/keys/ed25519.pem"),
    include_str!("../../../tests/keys/ed25519.pub.pem"),
);
const P256: (&str, &str) = (
    include_str!("../../../tests/keys/p256.pem"),
    include_str!("../../../tests/keys/p256.pub.pem"),
);
const RSA: (&str, &str) = (
    include_str!("../../../tests/keys/rsa.pem"),
    include_str!("../../../tests/keys/rsa.pub.pem"),
);

fn claims() -> Value {
    json!({"sub": "ada", "exp": 2_000_000_000, "canvases": {"*": "write"}, "aud": "else"})
}

fn signed(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, key).unwrap()
}

fn keys(pem: &str) -> Keys {
    Keys(vec![public_key(pem).unwrap()])
}

fn all() -> [(Algorithm, EncodingKey, &'static str); 3] {
    [
        (
            Algorithm::EdDSA,
            EncodingKey::from_ed_pem(ED25519.0.as_bytes()).unwrap(),
            ED25519.1,
        ),
        (
            Algorithm::ES256,
            EncodingKey::from_ec_pem(P256.0.as_bytes()).unwrap(),
            P256.1,
        ),
        (
            Algorithm::RS256,
            EncodingKey::from_rsa_pem(RSA.0.as_bytes()).unwrap(),
            RSA.1,
        ),
    ]
}

#[test]
fn the_kind_of_key_is_the_algorithm() {
    for (algorithm, private, public) in all() {
        let keys = keys(public);
        assert_eq!(format!("{keys:?}"), format!("[{algorithm:?}]"));
        let token = signed(algorithm, &private, &claims());
        assert_eq!(keys.decode(&token).unwrap().sub, "ada");
        let mut other = token.into_bytes();
        let middle = other.len() / 2;
        other[middle] = if other[middle] == b'A' { b'B' } else { b'A' };
        assert!(keys.decode(&String::from_utf8(other).unwrap()).is_err());
    }
}

#[test]
fn a_token_cannot_choose_an_algorithm_that_is_not_its_keys() {
    for (_, _, public) in all() {
        // The classic: the public key, which everybody has, as the shared secret.
        let secret = EncodingKey::from_secret(public.as_bytes());
        let token = signed(Algorithm::HS256, &secret, &claims());
        let why = keys(public).decode(&token).unwrap_err();
        assert!(why.contains("signed with HS256"), "{why}");
    }
    let secret = EncodingKey::from_secret(&[b'x'; 32]);
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["x".to_owned()]);
    let critical = encode(&header, &claims(), &secret).unwrap();
    let known = Keys::of_secrets(vec![Secret::new("x".repeat(32))]);
    assert!(known.decode(&critical).unwrap_err().contains("crit"));
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZGEifQ.";
    let secret = Keys::of_secrets(vec![Secret::new("x".repeat(32))]);
    assert!(secret.decode(none).is_err());
    let rsa = EncodingKey::from_rsa_pem(RSA.0.as_bytes()).unwrap();
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let token = signed(algorithm, &rsa, &claims());
        assert!(keys(RSA.1).decode(&token).is_err(), "{algorithm:?}");
    }
    let hs512 = EncodingKey::from_secret("x".repeat(32).as_bytes());
    assert!(
        secret
            .decode(&signed(Algorithm::HS512, &hs512, &claims()))
            .is_err()
    );
}

#[test]
fn any_of_several_keys_will_do() {
    let secret = |text: &str| Secret::new(text.repeat(32));
    let mut keys = Keys::of_secrets(vec![secret("a"), secret("b")]);
    keys.0.push(public_key(P256.1).unwrap());
    for text in ["a", "b"] {
        let key = EncodingKey::from_secret(text.repeat(32).as_bytes());
        assert!(
            keys.decode(&signed(Algorithm::HS256, &key, &claims()))
                .is_ok()
        );
    }
    let wrong = EncodingKey::from_secret("c".repeat(32).as_bytes());
    let why = keys
        .decode(&signed(Algorithm::HS256, &wrong, &claims()))
        .unwrap_err();
    assert!(why.contains("not signed by a key of this server"), "{why}");
}

#[test]
fn what_is_missing_is_named() {
    let key = EncodingKey::from_secret("a".repeat(32).as_bytes());
    let keys = Keys::of_secrets(vec![Secret::new("a".repeat(32))]);
    for claim in ["sub", "exp", "canvases"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(claim);
        let why = keys
            .decode(&signed(Algorithm::HS256, &key, &claims))
            .unwrap_err();
        assert!(why.contains(claim), "{claim}: {why}");
    }
    let mut odd = claims();
    odd["canvases"]["*"] = "admin".into();
    let why = keys
        .decode(&signed(Algorithm::HS256, &key, &odd))
        .unwrap_err();
    assert!(why.contains("admin"), "{why}");
}

#[test]
fn other_keys_are_refused_when_they_are_read() {
    for (pem, why) in [
        (include_str!("../../../tests/keys/p384.pub.pem"), "P-256"),
        (include_str!("../../../tests/keys/rsa1024.pub.pem"), "2048"),
        (
            include_str!("../../../tests/keys/x25519.pub.pem"),
            "no public key",
        ),
        (ED25519.0, "private"),
        (RSA.0, "private"),
        ("nonsense", "no public key"),
    ] {
        let error = public_key(pem).err().expect(why);
        assert!(error.contains(why), "{error}");
    }
}
