//! Values in DER.

use x509_parser::asn1_rs::{Any, Class, FromDer, Tag};

/// The contents of the first value, which has to be of this kind, and what comes behind it.
pub(super) fn take(bytes: &[u8], tag: Tag) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(bytes).ok()?;
    (any.class() == Class::Universal && any.tag() == tag).then_some((any.data, rest))
}

/// The bytes of a bit string.
pub(super) fn bits(bytes: &[u8]) -> Option<&[u8]> {
    let (string, _) = take(bytes, Tag::BitString)?;
    string.strip_prefix(&[0])
}

/// What comes behind the version of a certificate, if it says one.
pub(super) fn behind_version(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, first) = Any::from_der(bytes).ok()?;
    let version = first.class() == Class::ContextSpecific && first.tag() == Tag(0);
    Some(if version { rest } else { bytes })
}
